"""Times for lyrics that have none: stanzas are laid over the song's sections, lines and words by their length.

An estimate to begin with, which a person corrects: :func:`ecs_core.text.lrc.write` gives a file to edit.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from itertools import accumulate, pairwise

from ecs_core.errors import SceneError
from ecs_core.song_file.lyrics_in_tags import are_timed
from ecs_core.text.lyrics import Line, Lyrics, Word, check_length

_HEADING = re.compile(r"\s*[\[(][^\])]*[\])]\s*:?\s*$")  # such as [Chorus]
_PAUSE = 4.0  # letters that the breath between two lines counts as
_SHORTEST = 0.2  # seconds of a line


def set_times(text: str, *, sections: Sequence[float], beats: Sequence[float], duration: float) -> Lyrics:
    """Lyrics with times, from lines of text, with an empty line between stanzas.

    ``sections`` are the starts of the song's sections and ``beats`` its beats, both in rising order, and ``duration``
    its length, all in seconds. Where there are more sections than stanzas, the first one (the intro) and then the last
    one stay without words. Lines begin at beats, and take the time that their letters need.

    Raises:
        SceneError: there is no line, or the song is too short for them.
    """
    check_words(text)
    stanzas = _stanzas(text)
    if duration < _SHORTEST * sum(map(len, stanzas)):
        raise SceneError(f"lyrics: {sum(map(len, stanzas))} lines in {duration:g} seconds; allowed: 5 lines a second")
    edges = [0.0, *sorted({float(each) for each in sections if 0 < each < duration}), float(duration)]
    spare = len(edges) - 1 - len(stanzas)
    edges = edges[1 if spare > 0 else 0 : -1 if spare > 1 else None]
    weights = [sum(map(_weight, stanza)) for stanza in stanzas]
    starts = list[float]()
    for first, last, begin, end in _matched(weights, edges):
        lines = [line for stanza in stanzas[first:last] for line in stanza]
        starts += _shared(begin, end, [_weight(line) for line in lines])[:-1]
    starts = _at_beats(starts, beats, duration)
    lines = [line for stanza in stanzas for line in stanza]
    until = [*starts[1:], max(edges[-1], starts[-1] + _SHORTEST)]
    return Lyrics(tuple(spread(*each) for each in zip(lines, starts, until, strict=True)))


def check_words(text: str) -> None:
    """Refuse, before the song is known, words to which no times can be given.

    Raises:
        SceneError: there is no line, they have times, or are too long.
    """
    if are_timed(text):
        raise SceneError("lyrics: the words have times already; give them as LRC")
    if not _stanzas(text):
        raise SceneError("lyrics: there is no line; one line of text at least")


def words_of(text: str) -> tuple[Line, ...]:
    """The lines of words without times, all at 0 seconds."""
    return tuple(Line(line, 0.0, 0.0) for stanza in _stanzas(text) for line in stanza)


def _stanzas(text: str) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in check_length(text):
        if not line.strip() or _HEADING.match(line):
            found.append([])
        else:
            found[-1].append(" ".join(line.split()))
    return [stanza for stanza in found if stanza]


def _weight(line: str) -> float:
    """How long a line takes to sing: its letters, and a breath."""
    return _PAUSE + sum(each.isalnum() for each in line)


def _shared(begin: float, end: float, weights: Sequence[float]) -> list[float]:
    """The edges of parts of a time that are as long as their weights say."""
    total = sum(weights)
    return [begin + (end - begin) * part / total for part in (0.0, *accumulate(weights))]


def _matched(weights: Sequence[float], edges: Sequence[float]) -> list[tuple[int, int, float, float]]:
    """Which stanzas (first, last excluded) are sung from when to when: one or more of them, or of the sections, each.

    The larger number is divided among the smaller, in order, so that letters are sung about equally fast.
    """
    sections = [after - before for before, after in pairwise(edges)]
    if len(weights) <= len(sections):
        cuts = _divided(sections, weights)
        return [(i, i + 1, edges[a], edges[b]) for i, (a, b) in enumerate(pairwise(cuts))]
    cuts = _divided(weights, sections)
    return [(a, b, edges[i], edges[i + 1]) for i, (a, b) in enumerate(pairwise(cuts))]


def _divided(many: Sequence[float], few: Sequence[float]) -> list[int]:
    """Where to cut ``many`` into a run of one at least for each of ``few``, with sums about in proportion to it.

    The least sum of squared differences, by dynamic programming.
    """
    scale = sum(few) / sum(many)
    sums = [0.0, *accumulate(each * scale for each in many)]
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, (0,))}
    for number, wanted in enumerate(few, 1):
        rest = len(few) - number
        best = {
            end: min(
                (cost + (sums[end] - sums[cut] - wanted) ** 2, (*cuts, end))
                for cut, (cost, cuts) in best.items()
                if cut < end
            )
            for end in range(number, len(many) - rest + 1)
            if any(cut < end for cut in best)
        }
    return list(best[len(many)][1])


def _at_beats(starts: Sequence[float], beats: Sequence[float], duration: float) -> list[float]:
    """Starts moved to the nearest beats where each line keeps 0.2 s at least; without beats as they are."""
    moved = list[float]()
    for number, start in enumerate(starts):
        at = bisect.bisect_left(beats, start)
        near = min(beats[max(0, at - 1) : at + 1], key=lambda beat: abs(beat - start), default=start)
        earliest = moved[-1] + _SHORTEST if moved else 0.0
        latest = duration - _SHORTEST * (len(starts) - number)
        after = starts[number + 1] - _SHORTEST if number + 1 < len(starts) else latest
        free = earliest <= near <= min(max(after, earliest), latest)
        moved.append(near if free else max(earliest, min(start, latest)))
    return moved


def spread(text: str, start: float, end: float) -> Line:
    """A line whose words take the time that their letters need."""
    places = [(each.start(), each[0]) for each in re.finditer(r"\S+", text)]
    edges = _shared(start, end, [1.0 + sum(letter.isalnum() for letter in word) for _, word in places])
    words = (Word(word, edges[i], edges[i + 1], at) for i, (at, word) in enumerate(places))
    return Line(text, start, end, tuple(words))
