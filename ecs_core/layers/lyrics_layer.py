"""Lyrics: the lines of a song as they are sung, with those before and after; words light up with their times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecs_core.errors import SceneError
from ecs_core.layers.kind import Drawer, LayerKind, Moment, Stage
from ecs_core.layers.lettering import glow_of, letters, under
from ecs_core.layers.lyric_lines import LyricLines, doubtful, fitted
from ecs_core.layers.lyrics_settings import LyricsSettings, read_lines
from ecs_core.layers.sung import Course, smooth
from ecs_core.scene.model import RGB

if TYPE_CHECKING:
    from ecs_core.raster.marks import Mark, Pose

_GAP = 0.4  # between lines, in sizes of their letters
_PART = 0.6  # of the time in which lines fade, that one takes to go, or to come


def _fits(settings: LyricsSettings, width: int, height: int) -> None:
    texts = list(dict.fromkeys(line.text for line in read_lines(settings)))
    if settings.is_awaited:
        return
    try:
        for line in doubtful(settings, texts, width=width, short=min(width, height)):
            fitted(settings, line, width=width, short=min(width, height))
    except SceneError as error:
        raise SceneError(str(error).replace("text: ", "lyrics: ", 1)) from None


def _prepare(settings: LyricsSettings, stage: Stage) -> Drawer:
    from ecs_core.text.untimed import spread  # noqa: PLC0415 - many scenes have no text

    lines = read_lines(settings, stage)
    if settings.karaoke == "evenly":
        lines = tuple(line if line.words else spread(line.text, line.start, line.end) for line in lines)
    if not lines:
        return lambda now, moment, pose: ()
    course, set_ = Course(lines, settings.change_seconds), LyricLines(settings, stage, lines)
    shown = _Shown(course, set_, settings, _GAP * settings.size * stage.short)

    def draw(now: LyricsSettings, moment: Moment, pose: Pose) -> Sequence[Mark]:
        marks: list[Mark] = []
        for number, place, scale, opacity in shown.at(moment.song):
            at = set_.pose(number, pose, down=place, scale=scale, opacity=opacity)
            marks += _line_marks(number, set_, course, now, moment.song, at, scale)
        return marks

    return draw


class _Shown:
    """Which lines are seen at a time: their numbers, how far below the middle, their scales and their opacities."""

    def __init__(self, course: Course, lines: LyricLines, settings: LyricsSettings, gap: float) -> None:
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


def _line_marks(
    number: int, lines: LyricLines, course: Course, now: LyricsSettings, time: float, pose: Pose, scale: float
) -> list[Mark]:
    """The marks of a line at a pose, which is that of its middle, and a scale within its layer."""
    line, light = course.lines[number], course.light(number, time)
    by_word = now.karaoke != "off" and line.words and light > 0
    lower: list[Mark] = []
    upper: list[Mark] = []
    for ink in lines.ink(number, scale):
        lower += under(ink, now, pose, glow=0.0 if by_word else light)
        if not by_word:
            done = float(time >= line.start) if line.words else course.come(number, time)
            color = now.color if now.karaoke == "off" else _mixed(now.waiting_color, now.color, done)
            upper.append(letters(ink, now, pose, color=color))
    if by_word:
        for piece in lines.pieces(number):
            begun, ended = time > piece.times[0], time >= piece.times[-1]
            if begun != ended:
                place, sides = piece.voice(time), (now.color, now.waiting_color)
                lower += glow_of(piece.ink, now, pose, light, (place, piece.rtl))
                other, color = reversed(sides) if piece.rtl else sides
                upper.append(letters(piece.ink, now, pose, color=color, left=(other, place)))
                continue
            lower += glow_of(piece.ink, now, pose, light if ended else 0.0)
            upper.append(letters(piece.ink, now, pose, color=now.color if ended else now.waiting_color))
    return [*lower, *upper]


def _mixed(one: RGB, other: RGB, share: float) -> RGB:
    share = smooth(share)
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(one, other, strict=True))
    return red, green, blue


LYRICS = LayerKind(
    "lyrics", "the words of the song as they are sung", LyricsSettings, _prepare, loops=False, fits=_fits
)
