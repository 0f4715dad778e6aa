"""When lines of lyrics come, are sung and go: numbers that follow from the second of the song alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from ecs_core.text.lyrics import Line, Word

_BEFORE = 0.7  # of the time that a line takes to come, before it is sung
_SOON = 1.0  # seconds: a line keeps its light until the next one comes, if that is so soon
_ENDING = 0.4  # seconds that a line takes to go where none follows soon
_AHEAD, _BEHIND = 8.0, 5.0  # seconds around what is sung in which lines before and after it are seen
_HUSH = 0.8  # seconds that those take to come and go


def together(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Lines in order, of which those that begin at once, such as translations, are one with several rows."""
    found = []
    for _, group in groupby(sorted(lines, key=lambda line: line.start), key=lambda line: line.start):
        several = list(group)
        if len(several) == 1:
            found += several
            continue
        text, words = "", list[Word]()
        timed = any(line.words for line in several)
        for line in several:
            at = len(text) + 1 if text else 0
            text = f"{text}\n{line.text}" if text else line.text
            own = line.words or ((Word(line.text, line.start, line.end, 0),) if timed else ())
            words += [replace(word, at=word.at + at) for word in own]
        found.append(Line(text, several[0].start, max(line.end for line in several), tuple(words)))
    return tuple(found)


def smooth(share: float) -> float:
    """A rise from 0 to 1, level at both ends; ``share`` may be any number."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _rise(time: float, begin: float, end: float) -> float:
    return smooth((time - begin) / (end - begin)) if end > begin else float(time >= begin)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a song is in its lines: ``number`` is the line that comes or has come, of which ``share`` is done."""

    number: int
    share: float


class Course:
    """The course of lines, which are in order and take ``seconds`` to come."""

    def __init__(self, lines: Sequence[Line], seconds: float) -> None:
        self.lines = lines
        starts = [line.start for line in lines]
        begins = [max(each - _BEFORE * seconds, before) for before, each in pairwise([starts[0] - seconds, *starts])]
        following = [*begins[1:], float("inf")]
        self._starts, self._begins = starts, begins
        self._ends = [
            min(start + (1 - _BEFORE) * seconds, after) for start, after in zip(starts, following, strict=True)
        ]

    def place(self, time: float) -> Place:
        """Where the song is at a second of it; number -1 before the first line comes."""
        number = bisect_right(self._begins, time) - 1
        return Place(number, 1.0 if number < 0 else self._come(number, time))

    def light(self, number: int, time: float) -> float:
        """How much a line is the one that is sung, 0–1."""
        return self._come(number, time) * (1 - self._gone(number, time))

    def come(self, number: int, time: float) -> float:
        """How far a line has come, 0–1."""
        return self._come(number, time)

    def hush(self, time: float) -> float:
        """How much of the lines before and after is seen, 0–1: nothing in the midst of a long rest."""
        number = bisect_right(self._starts, time) - 1
        soon = behind = 0.0
        if number + 1 < len(self.lines):
            soon = _rise(time, self._starts[number + 1] - _AHEAD, self._starts[number + 1] - _AHEAD + _HUSH)
        if number >= 0:
            end = max(line.end for line in self.lines[max(0, number - 3) : number + 1])
            behind = 1 - _rise(time, end + _BEHIND, end + _BEHIND + _HUSH)
        return max(soon, behind)

    def _come(self, number: int, time: float) -> float:
        return _rise(time, self._begins[number], self._ends[number])

    def _gone(self, number: int, time: float) -> float:
        end = self.lines[number].end
        if number + 1 < len(self.lines) and self._begins[number + 1] <= end + _SOON:
            return self._come(number + 1, time)
        return _rise(time, end, end + _ENDING)
