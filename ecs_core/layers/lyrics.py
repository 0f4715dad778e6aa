"""Lyrics: the lines of a song as they are sung, with those before and after; words light up with their times.

Lines are set when they come, and the masks of a few are kept, so that memory does not grow with the song.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from ecs_core.errors import SceneError
from ecs_core.layers.kind import Drawer, LayerKind, Moment, Stage
from ecs_core.layers.lettering import LEAST, Ink, Lettered, Recent, density_of, inks, letters, style_of, under
from ecs_core.layers.sung import Course, smooth, together
from ecs_core.scene.model import RGB, Share, option

if TYPE_CHECKING:
    from ecs_core.raster.marks import Mark, Pose
    from ecs_core.text.lyrics import Line
    from ecs_core.text.placed import Layout

_GAP = 0.4  # between lines, in sizes of their letters
_PART = 0.6  # of the time in which lines fade, that one takes to go, or to come
_MORE = 3  # lines of which masks are kept, besides those that are seen


class LyricsSettings(Lettered):
    """Words as they are sung; ``x`` and ``y`` are the middle of the line that is sung."""

    size: float = option(
        0.07,
        "size of the letters as a share of the picture's shorter side; less where they would not fit",
        group="place",
        ge=0.005,
        le=4,
    )
    file: str | None = option(
        None,
        "lyrics as LRC, SRT or WebVTT, or lines without times, which follow the song's sections and beats; in the API "
        "uploaded lyrics",
        group="text",
        asset="lyrics",
        min_length=1,
        max_length=4096,
    )
    text: str | None = option(
        None,
        "the same in the config itself: lines of LRC, or lines without times",
        group="text",
        min_length=1,
        max_length=100_000,
    )
    offset: float = option(0.0, "how much later the words come", group="time", unit="s", ge=-3600, le=3600)
    rows: int = option(2, "rows into which a line may break", group="place", ge=1, le=8)
    before: int = option(1, "lines that are seen before the one that is sung", group="look", ge=0, le=4)
    after: int = option(1, "lines that are seen after it", group="look", ge=0, le=4)
    others: Share = option(0.5, "opacity of those lines", group="look")
    others_scale: float = option(0.75, "their size, to that of the line that is sung", group="look", ge=0.1, le=2)
    karaoke: Literal["words", "evenly", "off"] = option(
        "words",
        "words light up as they are sung, by their times; a line without lights up at once, or evenly; or nothing does",
        group="look",
    )
    waiting_color: RGB = option((170, 176, 192), "colour of words that are still to be sung", group="look")
    change: Literal["scroll", "fade"] = option("scroll", "how lines follow one another", group="time")
    change_seconds: float = option(0.5, "how long that takes", group="time", unit="s", ge=0, le=10)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.text is None):
            raise ValueError("lyrics need one of file and text")
        return self


def _words(settings: LyricsSettings) -> str:
    from ecs_core.text.lyrics import load_text  # noqa: PLC0415 - many scenes have no text

    return settings.text if settings.file is None else load_text(Path(settings.file))  # type: ignore[return-value]


def _read(settings: LyricsSettings, stage: Stage | None = None) -> tuple[Line, ...]:
    """The lines as they are set, with their times in the song; without a ``stage`` those that have none begin at 0.

    Raises:
        SceneError: they cannot be read, or there is none.
    """
    from ecs_core.song_file.tags import are_timed  # noqa: PLC0415 - as above
    from ecs_core.text.lyrics import Lyrics, read_lyrics, shifted  # noqa: PLC0415 - as above
    from ecs_core.text.untimed import check_words, set_times, words_of  # noqa: PLC0415 - as above

    text, name = _words(settings), "text" if settings.file is None else Path(settings.file).name
    duration = None if stage is None else stage.timeline.duration
    try:
        if "-->" in text or are_timed(text):
            found = read_lyrics(text, name, duration=duration)
        elif stage is None:
            check_words(text)
            found = Lyrics(words_of(text))
        else:
            events = stage.timeline.events
            sections, beats = ([float(each) for each in events[kind]] for kind in ("sections", "beats"))
            found = set_times(text, sections=sections, beats=beats, duration=stage.timeline.duration)
    except SceneError as error:
        if settings.file is None:
            raise
        said = str(error).removeprefix("lyrics: ").removeprefix(f"{name}: ")
        raise SceneError(f"lyrics: {settings.file}: {said}") from None
    if stage is not None:
        found = shifted(found, settings.offset)
    if not found.lines and stage is None:
        raise SceneError("lyrics: there is no line; one line of text at least")
    lines = found.lines if stage is None else together(found.lines)
    return tuple(_written(line, settings) for line in lines)


def _written(line: Line, settings: LyricsSettings) -> Line:
    """A line in the letters in which it is set; words may become longer, as ß does."""
    if not settings.uppercase:
        return line
    words = (
        replace(word, text=settings.written(word.text), at=len(settings.written(line.text[: word.at])))
        for word in line.words
    )
    return replace(line, text=settings.written(line.text), words=tuple(words))


def _fitted(settings: LyricsSettings, text: str, width: float, short: float, density: float = 1.0) -> Layout:
    """A line in its box, which is as high as its rows; in a picture of so many pixels, of so many texels each."""
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


def _fits(settings: LyricsSettings, width: int, height: int) -> None:
    for line in dict.fromkeys(line.text for line in _read(settings)):
        if not settings.is_awaited:
            try:
                _fitted(settings, line, width, min(width, height))
            except SceneError as error:
                raise SceneError(str(error).replace("text: ", "lyrics: ", 1)) from None


@dataclass(frozen=True, eq=False, slots=True)
class _Piece:
    """Letters of one word, row and direction, between ``left`` and ``right`` of the box's middle, in pixels.

    They are sung from ``start`` to ``end``, in seconds of the song.
    """

    ink: Ink
    left: float
    right: float
    rtl: bool
    start: float
    end: float

    def sung(self, time: float) -> float:
        """How much of it has been sung, 0–1."""
        if time >= self.end:
            return 1.0
        return max(0.0, (time - self.start) / (self.end - self.start))


class _Lines:
    """The lines of a song as they are drawn; what takes long is made when it is asked for."""

    def __init__(self, settings: LyricsSettings, stage: Stage, lines: Sequence[Line]) -> None:
        self._settings, self._stage, self._lines = settings, stage, lines
        self._density = density_of(settings, settings.width * stage.width)
        kept = settings.before + settings.after + 1 + _MORE
        self.layout = Recent[int, "Layout"](self._laid, 8 * kept)
        self.ink = Recent[int, "tuple[Ink, ...]"](self._inked, kept)
        self.pieces = Recent[int, tuple[_Piece, ...]](self._cut, 3)

    def height(self, number: int) -> float:
        """The height of a line, in pixels."""
        layout = self.layout(number)
        return len(layout.lines) * layout.style.line_height * layout.size / self._density

    def pose(self, number: int, pose: Pose, down: float, scale: float, opacity: float) -> Pose:
        """The pose of a line that is so far below the layer's middle; it grows from the side at which it stands."""
        across = self._side(number) * (1 - scale)
        at = pose.moved(across, down) if across or down else pose
        return replace(at, scale=pose.scale * scale, opacity=pose.opacity * opacity)

    def _side(self, number: int) -> float:
        """How far the side at which a line stands, or its middle, lies from that of the box, in pixels."""
        layout = self.layout(number)
        side = layout.style.align
        if side in ("start", "end"):
            side = "left" if (side == "start") != layout.lines[0].rtl else "right"
        return {"left": -0.5, "right": 0.5}.get(side, 0.0) * layout.width / self._density

    def _laid(self, number: int) -> Layout:
        text = self._lines[number].text
        return _fitted(self._settings, text, self._stage.width, self._stage.short, self._density)

    def _inked(self, number: int) -> tuple[Ink, ...]:
        layout = self.layout(number)
        return inks(layout, [(0, len(layout.text))], self._density)

    def _cut(self, number: int) -> tuple[_Piece, ...]:
        line, layout = self._lines[number], self.layout(number)
        found: list[_Piece] = []
        middle = round(layout.width / 2)
        ends = [*(word.at for word in line.words[1:]), len(layout.text)]
        for place, (word, end) in enumerate(zip(line.words, ends, strict=True)):
            runs = _runs(layout, word.at if place else 0, end)
            whole = sum(right - left for _, _, left, right, _ in runs) or 1.0
            at = word.start
            for first, last, left, right, rtl in runs:
                until = at + (word.end - word.start) * (right - left) / whole
                for ink in inks(layout, [(first, last)], self._density, shining=True):
                    near, far = (left - middle) / self._density, (right - middle) / self._density
                    found.append(_Piece(ink, near, far, rtl, at, until))
                at = until
        return tuple(found)


def _runs(layout: Layout, start: int, end: int) -> list[tuple[int, int, float, float, bool]]:
    """Characters ``start`` to ``end`` by row and direction: first, one after the last, left, right, from the right."""
    found: list[tuple[int, int, float, float, bool]] = []
    row = -1
    for each in layout.letters:
        if each.letter.space or not start <= each.start < end:
            continue
        if found and row == each.line and found[-1][4] == each.letter.rtl:
            first, _, left, right, rtl = found.pop()
            found.append((first, each.end, min(left, each.left), max(right, each.right), rtl))
        else:
            found.append((each.start, each.end, each.left, each.right, each.letter.rtl))
        row = each.line
    return found


def _prepare(settings: LyricsSettings, stage: Stage) -> Drawer:
    from ecs_core.text.untimed import spread  # noqa: PLC0415 - many scenes have no text

    lines = _read(settings, stage)
    if settings.karaoke == "evenly":
        lines = tuple(line if line.words else spread(line.text, line.start, line.end) for line in lines)
    if not lines:
        return lambda now, moment, pose: ()
    course, set_ = Course(lines, settings.change_seconds), _Lines(settings, stage, lines)
    shown = _Shown(course, set_, settings, _GAP * settings.size * stage.short)

    def draw(now: LyricsSettings, moment: Moment, pose: Pose) -> Sequence[Mark]:
        marks: list[Mark] = []
        for number, place, scale, opacity in shown.at(moment.song):
            marks += _line_marks(number, set_, course, now, moment.song, set_.pose(number, pose, place, scale, opacity))
        return marks

    return draw


class _Shown:
    """Which lines are seen at a time: their numbers, how far below the middle, their scales and their opacities."""

    def __init__(self, course: Course, lines: _Lines, settings: LyricsSettings, gap: float) -> None:
        self._course, self._lines, self._settings, self._gap = course, lines, settings, gap

    def at(self, time: float) -> list[tuple[int, float, float, float]]:
        """What is seen at a second of the song."""
        place = self._course.place(time)
        settings, last = self._settings, place.number - 1
        arranged = [(place.number, self._arranged(place.number))]
        if place.share < 1:
            arranged.append((last, self._arranged(last)))
        found = []
        if settings.change == "fade":
            # The last ones go before the next ones come: letters over each other cannot be read.
            shares = max(0.0, 1 - (1 - place.share) / _PART), max(0.0, 1 - place.share / _PART)
            for (middle, places), share in zip(arranged, shares, strict=False):
                for number, (down, scale) in sorted(places.items()):
                    found.append((number, down, scale, share * self._opacity(number, number - middle, time)))
        else:
            position = last + place.share
            for number in sorted({number for _, places in arranged for number in places}):
                ways = [places.get(number) for _, places in arranged]
                down, scale = self._between(number, ways, arranged, place.share)
                found.append((number, down, scale, self._opacity(number, number - position, time)))
        return [each for each in found if each[3] > 1 / 512]

    def _arranged(self, middle: int) -> dict[int, tuple[float, float]]:
        """How far below the middle each line is, and its scale, while ``middle`` is sung; -1 comes before all."""
        settings, count = self._settings, len(self._course.lines)
        found: dict[int, tuple[float, float]] = {}
        for step, most in ((1, settings.after + 1), (-1, settings.before + 1)):
            down, edge = 0.0, 0.5 * self._height(middle)
            for away in range(1, most + 1):
                number = middle + step * away
                if not 0 <= number < count:
                    break
                half = 0.5 * settings.others_scale * self._height(number)
                down += step * (edge + self._gap + half)
                edge = half
                found[number] = (float(round(down)), settings.others_scale)
        if 0 <= middle < count:
            found[middle] = (0.0, 1.0)
        return found

    def _height(self, number: int) -> float:
        return self._lines.height(max(number, 0))

    def _between(
        self,
        number: int,
        ways: Sequence[tuple[float, float] | None],
        arranged: Sequence[tuple[int, dict[int, tuple[float, float]]]],
        share: float,
    ) -> tuple[float, float]:
        """Where a line is on its way from the last arrangement to the next one."""
        if len(ways) == 1 or ways[1] is None or ways[0] is None:
            here = ways[0] if ways[0] is not None else ways[1]
            assert here is not None
            return here
        (to, scale), (start, before) = ways[0], ways[1]
        return start + share * (to - start), before + share * (scale - before)

    def _opacity(self, number: int, away: float, time: float) -> float:
        """How much of a line is seen that is ``away`` lines from the middle."""
        settings = self._settings
        near = 1 - max(0.0, away - settings.after, -away - settings.before)
        light = self._course.light(number, time)
        past = time >= self._course.lines[number].start
        context = settings.others * self._course.hush(time) if (settings.before if past else settings.after) else 0.0
        return max(0.0, near) * (light + (1 - light) * context)


def _line_marks(number: int, lines: _Lines, course: Course, now: LyricsSettings, time: float, pose: Pose) -> list[Mark]:
    """The marks of a line at a pose, which is that of its middle."""
    line, light = course.lines[number], course.light(number, time)
    marks: list[Mark] = []
    fills: list[Mark] = []
    color: RGB | None = None
    by_word = now.karaoke != "off" and line.words and light > 0
    if by_word:
        for piece in lines.pieces(number):
            marks += under(piece.ink, now, pose, glow=light * piece.sung(time))
            fills.append(_lit(piece, now, pose, time))
    elif now.karaoke != "off":
        done = float(time >= line.start) if line.words else course.come(number, time)
        color = _mixed(now.waiting_color, now.color, done)
    for ink in lines.ink(number):
        marks += under(ink, now, pose, glow=0.0 if by_word else light)
        if not by_word:
            fills.append(letters(ink, now, pose, color=color))
    return [*marks, *fills]


def _lit(piece: _Piece, now: LyricsSettings, pose: Pose, time: float) -> Mark:
    """A piece of the line that is sung: waiting, sung, or lit up to where the voice is."""
    share, wide = piece.sung(time), piece.right - piece.left
    if not 0 < share < 1:
        return letters(piece.ink, now, pose, color=now.color if share else now.waiting_color)
    if piece.rtl:
        split = piece.right - share * wide
        return letters(piece.ink, now, pose, other=now.waiting_color, split=split)
    split = piece.left + share * wide
    return letters(piece.ink, now, pose, color=now.waiting_color, other=now.color, split=split)


def _mixed(one: RGB, other: RGB, share: float) -> RGB:
    share = smooth(share)
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(one, other, strict=True))
    return red, green, blue


LYRICS = LayerKind("lyrics", "the words of the song as they are sung", LyricsSettings, _prepare, fits=_fits)
