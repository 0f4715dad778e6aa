"""Lines of lyrics as they are drawn: set when they come, and cut where words light up.

The masks of a few lines are kept, so that memory does not grow with the song.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from ecs_core.layers.lettering import LEAST, Ink, Recent, density_of, inks, resized, style_of
from ecs_core.layers.lyrics_settings import LyricsSettings

if TYPE_CHECKING:
    from ecs_core.layers.kind import Stage
    from ecs_core.raster.marks import Pose
    from ecs_core.text.lyrics import Line
    from ecs_core.text.placed import Layout, Placed

_SPACE = 0.6  # ems: more than a space takes
_MORE = 3  # lines of which masks are kept, besides those that are seen


def fitted(settings: LyricsSettings, text: str, *, width: float, short: float, density: float = 1.0) -> Layout:
    """A line in its box, which is as high as its rows, in a picture of so many pixels, of so many texels each.

    Raises:
        SceneError: it does not fit, or no typeface has a letter.
    """
    from ecs_core.text.layout import fit  # noqa: PLC0415 - many scenes have no text

    size = settings.size * short
    rows = settings.rows * (text.count("\n") + 1)
    return fit(
        text,
        style_of(settings),
        width=settings.width * width * density,
        height=2 * (rows + 1) * max(1.0, settings.line_height) * size * density,
        least=min(LEAST * short, size) * density,
        most=size * density,
        lines=rows,
    )


def doubtful(settings: LyricsSettings, texts: Iterable[str], *, width: float, short: float) -> Iterator[str]:
    """Of lines those that may not fit; most are sure to, by the widths of their words, each of which is set once.

    Raises:
        SceneError: no typeface has a letter.
    """
    from ecs_core.text.shaping import shape  # noqa: PLC0415 - many scenes have no text

    style, least = style_of(settings), min(LEAST, settings.size) * short
    room = settings.width * width / least - 2 * settings.outline
    wide: dict[str, float] = {}
    for text in texts:
        needed = 0.0
        for word in text.split():
            if word not in wide:
                wide[word] = max(shape(word, style).ends)
            needed += wide[word] + _SPACE + settings.letter_spacing
        if needed > room:
            yield text


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Letters of one row and direction, and where the voice is in them.

    At each of ``times``, which do not fall, it is at one of ``places``, in pixels from the box's middle.
    """

    ink: Ink
    rtl: bool
    times: tuple[float, ...]
    places: tuple[float, ...]

    def voice(self, time: float) -> float:
        """Where the voice is at a time within ``times``."""
        after = min(bisect_right(self.times, time), len(self.times) - 1)
        begin, end = self.times[after - 1], self.times[after]
        share = (time - begin) / (end - begin) if end > begin else 1.0
        return self.places[after - 1] + share * (self.places[after] - self.places[after - 1])


class LyricLines:
    """The lines of a song in a layer; what takes long is made when it is asked for."""

    def __init__(self, settings: LyricsSettings, stage: Stage, lines: Sequence[Line]) -> None:
        self._settings, self._stage, self._lines = settings, stage, lines
        self._density = density_of(settings, settings.width * stage.width)
        kept = settings.before + settings.after + 1 + _MORE
        self._layout = Recent[int, "Layout"](self._laid, 8 * kept)
        self._ink = Recent[tuple[int, bool], tuple[Ink, ...]](self._inked, kept + 2)
        self._pieces = Recent[int, tuple[Piece, ...]](self._cut, 3)

    def height(self, number: int) -> float:
        """The height of a line, in pixels."""
        layout = self._layout(number)
        return len(layout.lines) * layout.style.line_height * layout.size / self._density

    def pose(self, number: int, pose: Pose, *, down: float, scale: float, opacity: float) -> Pose:
        """The pose of a line that is so far below the layer's middle; it grows from the side at which it stands."""
        across = float(round(self._side(number) * (1 - scale)))
        at = pose.moved(across, down) if across or down else pose
        return replace(at, scale=pose.scale * scale, opacity=pose.opacity * opacity)

    def ink(self, number: int, scale: float) -> tuple[Ink, ...]:
        """A line at a scale: of its masks those whose texels are pixels, if there are such."""
        return self._ink((number, scale == self._settings.others_scale))

    def pieces(self, number: int) -> tuple[Piece, ...]:
        """A line whose words have times, by rows and directions."""
        return self._pieces(number)

    def _side(self, number: int) -> float:
        """How far the side at which a line stands, or its middle, lies from that of the box, in pixels."""
        layout = self._layout(number)
        side = layout.style.align
        if side in ("start", "end"):
            side = "left" if (side == "start") != layout.lines[0].rtl else "right"
        return {"left": -0.5, "right": 0.5}.get(side, 0.0) * layout.width / self._density

    def _laid(self, number: int) -> Layout:
        text, stage = self._lines[number].text, self._stage
        return fitted(self._settings, text, width=stage.width, short=stage.short, density=self._density)

    def _inked(self, which: tuple[int, bool]) -> tuple[Ink, ...]:
        number, is_other = which
        layout, density = self._layout(number), self._density
        if is_other:
            layout, density = resized(layout, self._settings.others_scale), density * self._settings.others_scale
        return inks(layout, [(0, len(layout.text))], density)

    def _cut(self, number: int) -> tuple[Piece, ...]:
        line, layout = self._lines[number], self._layout(number)
        middle = round(layout.width / 2)
        # The first word also has what comes before it, and each what comes up to the next one.
        starts = [0, *(word.at for word in line.words[1:])]
        sung = [(word.start, word.end) for word in line.words]
        found = []
        seen = (each for each in layout.letters if not each.letter.space)
        for (_, rtl), group in groupby(seen, key=lambda each: (each.line, each.letter.rtl)):
            run = list(group)
            times, places = list[float](), list[float]()
            for word, of_word in groupby(run, key=lambda each: bisect_right(starts, each.start) - 1):
                part = list(of_word)
                times += _within(layout, part, starts, word, *sung[word])
                edges = min(each.left for each in part), max(each.right for each in part)
                places += [(each - middle) / self._density for each in (reversed(edges) if rtl else edges)]
            (ink,) = inks(layout, [(run[0].start, run[-1].end)], self._density, shining=True)
            rising = [max(times[: place + 1]) for place in range(len(times))]
            found.append(Piece(ink, rtl, tuple(rising), tuple(places)))
        return tuple(found)


def _within(
    layout: Layout, part: Sequence[Placed], starts: Sequence[int], word: int, begin: float, end: float
) -> tuple[float, float]:
    """When a part of a word is sung, which may be in several rows: its share of the time is that of its width."""
    after = starts[word + 1] if word + 1 < len(starts) else len(layout.text)
    whole = [each for each in layout.letters if starts[word] <= each.start < after and not each.letter.space]
    wide = sum(each.right - each.left for each in whole) or 1.0
    before = sum(each.right - each.left for each in whole if each.start < part[0].start)
    own = sum(each.right - each.left for each in part)
    return begin + (end - begin) * before / wide, begin + (end - begin) * (before + own) / wide
