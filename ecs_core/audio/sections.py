"""Sections of a song and their similarity; build-ups, and the drops that end them.

A song is described beat by beat by timbre and pitch classes. A section begins where the novelty along the diagonal of
the beats' self-similarity peaks (J. Foote, "Automatic audio segmentation using a measure of audio novelty", ICME 2000).
A drop is where the bass comes back; a build-up is the rise before it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from itertools import pairwise
from string import ascii_uppercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.audio.catalogue import NOTES
from ecs_core.audio.curves import Curves
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.audio.spectrum import Spectrum
from ecs_core.audio.stored_rows import Rows
from ecs_core.audio.windows import around

_MOST = 1500  # steps at most: long songs are described more coarsely, to limit memory
_STEP = 0.5  # seconds per step without beats
_STEPS = 64  # processed at a time
_REACH = 8.0  # seconds before and after that are compared; less in short songs
_SHORTEST = 4.0  # seconds: shortest section; less in short songs
_NOVEL = 0.22  # threshold, as a share of the largest possible novelty
_ALIKE = 0.65  # distance of similar sections, in standard deviations of two bars
_USUAL = 2.0  # minimum norm of a step's descriptors
_BANDS = 16
_QUIETER, _PASSAGE = 6.0, 4.0  # dB of bass, for so many seconds, until a drop
_LESS_QUIET = 3.0  # dB, where something also rose that falls away
_LONGEST_BUILD, _SHORTEST_BUILD = 16.0, 2.0  # seconds
_TENTH = 0.1  # seconds: the grid on which drops are sought
_NO_BASS = 1e-8  # a mean square of this (-80 dBFS) is silence
_LET_GO = 2.0  # standard deviations of the fall at a drop
_RISING = 0.6  # correlation with a straight line


def find_sections(spectrum: Spectrum, curves: Curves, events: Mapping[str, F64]) -> tuple[F64, tuple[str, ...]]:
    """The starts of sections in seconds, the first at 0, and a letter for each; none in a silent song.

    A section begins at each drop; others begin at downbeats if there are any.
    """
    duration = spectrum.samples / spectrum.rate
    if not len(spectrum.rms) or float(spectrum.rms.max()) < 1e-4:
        return np.zeros(0), ()
    if duration < 2 * _SHORTEST:
        return np.zeros(1), ("A",)
    edges = _steps(events["beats"], duration)
    described = _described(spectrum, curves, edges)
    times = edges[:-1]
    reach, shortest = min(_REACH, max(2.0, duration / 12)), min(_SHORTEST, duration / 10)
    novelty = _novelty(described, max(2, round(reach * len(times) / duration)))
    drops = [time for time in events["drops"].tolist() if shortest <= time <= duration - shortest]
    starts = [0.0, *drops]
    for at in np.argsort(-novelty, kind="stable").tolist():
        if novelty[at] < _NOVEL:
            break
        if all(abs(times[at] - other) >= shortest for other in (*starts, duration)):
            starts.append(float(times[at]))
    others = {_nearest(time, events["downbeats"]) for time in starts[1 + len(drops) :]}
    starts = sorted({0.0, *drops, *others})
    usual = _standard(_slow(described, 8), 0.5)  # averaged over two bars, as single beats say little about a section
    means = _means(usual, times, starts, duration)
    while len(starts) > 1:
        off = [
            np.inf if start in drops else _off(*pair) for start, pair in zip(starts[1:], pairwise(means), strict=True)
        ]
        if min(off) >= _ALIKE:
            break
        del starts[1 + int(np.argmin(off))]  # merge the most similar neighbours
        means = _means(usual, times, starts, duration)
    return np.asarray(starts), _labels(means)


def _means(described: F32, times: F64, starts: list[float], duration: float) -> list[F32]:
    bounds = np.searchsorted(times, [*starts, duration]).tolist()
    return [described[first : max(last, first + 1)].mean(axis=0) for first, last in pairwise(bounds)]


def _off(one: F32, other: F32) -> float:
    return float(np.sqrt(((one - other) ** 2).mean()))


def _steps(beats: F64, duration: float) -> F64:
    edges = beats if len(beats) >= 8 else np.arange(0.0, duration, _STEP)
    edges = np.unique(np.concatenate([[0.0], edges[(edges > 0.1) & (edges < duration - 0.1)], [duration]]))
    every = -(-len(edges) // _MOST)
    return np.append(edges[:-1:every], duration)


def _described(spectrum: Spectrum, curves: Curves, edges: F64) -> F32:
    """Descriptors of each step, (steps, 28): levels of 16 bands and 12 pitch classes, normalised over the song."""
    hops = len(spectrum.mel_rows)
    starts = np.minimum((edges[:-1] / SECONDS_PER_HOP).astype(np.int64), hops - 1)
    counts = np.maximum(np.diff(np.append(starts, hops)), 1)[:, None]
    mel = _sums(spectrum.mel_rows, starts) / counts
    bands = mel.reshape(len(mel), _BANDS, -1).mean(axis=2)
    level = np.log10(bands + np.float32(1e-3) * bands.mean())
    notes = (np.add.reduceat(curves.column("chroma", note), starts, dtype=np.float32) for note in range(len(NOTES)))
    tones = np.stack(list(notes), axis=1) / counts
    # Pitch changes with every chord, so it says less about sections than timbre.
    parts = [_standard(level, 0.15), np.float32(0.5) * _standard(_slow(tones, 4), 0.05)]
    described: F32 = np.concatenate(parts, axis=1).astype(np.float32)
    return described


def _sums(rows: Rows, starts: NDArray[np.int64]) -> F32:
    """The sum of the rows from each start to the next, in float32; a few steps at a time, to limit memory."""
    ends = np.append(starts, len(rows))
    parts = []
    for first in range(0, len(starts), _STEPS):
        some = starts[first : first + _STEPS]
        last = ends[min(first + _STEPS, len(starts))]
        parts.append(np.add.reduceat(rows[some[0] : max(last, some[-1] + 1)], some - some[0], axis=0, dtype=np.float32))
    return np.concatenate(parts)


def _slow(values: NDArray[np.floating[Any]], steps: int) -> F32:
    """Moving average over a number of steps."""
    padded = np.pad(values, ((steps // 2, steps - 1 - steps // 2), (0, 0)), "edge")
    slow: F32 = np.lib.stride_tricks.sliding_window_view(padded, steps, axis=0).mean(axis=-1)
    return slow


def _standard(values: F32, least: float) -> F32:
    standard: F32 = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), np.float32(least))
    return standard


def _novelty(described: F32, reach: int) -> F32:
    """Novelty of each step, about 0–1, (steps,); local maxima only, 0 elsewhere."""
    norms = np.linalg.norm(described, axis=1, keepdims=True)
    unit = described / np.maximum(norms, np.float32(_USUAL))  # small deviations count as similar
    side = np.arange(-reach, reach) + 0.5
    taper = np.exp(-0.5 * (side / (0.5 * reach)) ** 2)
    kernel = np.outer(np.sign(side) * taper, np.sign(side) * taper)
    kernel /= np.abs(kernel).sum()
    novelty = np.empty(len(described), np.float32)
    for first in range(0, len(described), _STEPS):
        last = min(first + _STEPS, len(described))
        nearby = unit[np.clip(np.arange(first - reach, last + reach), 0, len(described) - 1)]
        alike = np.einsum("ik,jk->ij", nearby, nearby)
        views = np.lib.stride_tricks.sliding_window_view(alike, (2 * reach, 2 * reach))
        novelty[first:last] = [float((views[at, at] * kernel).sum()) for at in range(last - first)]
    return np.where(novelty >= around(novelty, 5, outside="constant").max(axis=1), novelty, np.float32(0))


def _nearest(time: float, downbeats: F64) -> float:
    if len(downbeats) < 2:
        return time
    nearest = float(downbeats[np.argmin(np.abs(downbeats - time))])
    return nearest if abs(nearest - time) <= 0.6 * float(np.median(np.diff(downbeats))) else time


def _labels(means: list[F32]) -> tuple[str, ...]:
    """A, B, C …: similar sections share a letter (complete linkage, most similar first); neighbours never do."""
    off = np.array([[_off(one, other) for other in means] for one in means])
    first, second = np.arange(len(means))[:-1], np.arange(len(means))[1:]
    off[first, second] = off[second, first] = np.inf
    alike = [[which] for which in range(len(means))]
    for pair in np.argsort(off, axis=None, kind="stable").tolist():
        one, other = (alike[which] for which in divmod(pair, len(means)))
        if off.flat[pair] >= _ALIKE:
            break
        if one is not other and off[np.ix_(one, other)].max() < _ALIKE:
            one += other
            for which in other:
                alike[which] = one
    order = {min(group): None for group in alike}
    letters = {which: ascii_uppercase[at] if at < 26 else f"Z{at - 25}" for at, which in enumerate(order)}
    return tuple(letters[min(group)] for group in alike)


def find_drops(curves: Mapping[str, F32], events: Mapping[str, F64]) -> tuple[F64, F64]:
    """The starts of build-ups and the times of drops in seconds; a build-up ends with the first drop after it."""
    amplitude = curves["bass"]
    bass = _tenths(amplitude**2)
    passage = round(_PASSAGE / _TENTH)
    before, after = (_mean_of(bass, first, first + passage) for first in (-passage, 0))
    loud = float(np.percentile(after, 75)) if len(bass) > 2 * passage else 0.0
    if loud <= _NO_BASS:
        return np.zeros(0), np.zeros(0)
    more = 10 * np.log10((after + 0.03 * loud) / (before + 0.03 * loud))
    rising = _rising(curves)
    # A rise that falls away while some bass comes back.
    fall = (_mean_of(rising, -2, 1) - _mean_of(rising, 8, 28)) / _LET_GO
    fall[more < _LESS_QUIET] = 0
    fall[[at for at in np.flatnonzero(fall >= 1) if _build(rising, at * _TENTH) is None]] = 0
    worth = np.where(more >= _QUIETER, 10 + more, fall)  # bass first
    worth[after < 0.5 * loud] = 0
    worth[:passage] = 0  # the beginning of a song is not a drop
    drops: list[float] = []
    for at in np.argsort(-worth, kind="stable").tolist():
        if worth[at] < 1:
            break
        time = _at_event(at * _TENTH, amplitude, events)
        if all(abs(time - other) >= _PASSAGE for other in drops):
            drops.append(time)
    drops = sorted(time for time in drops if time <= len(bass) * _TENTH - _PASSAGE)  # nor is its end
    before_it = zip([0.0, *drops], drops, strict=False)
    builds = [start for last, drop in before_it if (start := _build(rising, drop, after=last)) is not None]
    return np.asarray(builds), np.asarray(drops)


def _tenths(values: F32) -> F64:
    """The mean of each tenth of a second."""
    starts = np.unique((np.arange(0, len(values) * SECONDS_PER_HOP, _TENTH) / SECONDS_PER_HOP).astype(np.int64))
    starts = starts[starts < len(values)]
    sums = np.add.reduceat(values, starts, dtype=np.float64) if len(starts) else np.zeros(0)
    return np.asarray(sums / np.diff(np.append(starts, len(values))))


def _mean_of(values: F64, first: int, last: int) -> F64:
    """For each i the mean of values[i + first : i + last], within bounds."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    start, stop = np.clip(at + first, 0, len(values)), np.clip(at + last, 0, len(values))
    return np.asarray((total[stop] - total[start]) / np.maximum(1, stop - start))


def _at_event(time: float, bass: F32, events: Mapping[str, F64]) -> float:
    """The time of a nearby kick, or else onset: the one with the largest increase of bass."""
    for name, near in (("kicks", 0.5), ("onsets", 0.2)):
        times = events[name][np.abs(events[name] - time) <= near]
        if times.size:
            return float(max(times.tolist(), key=lambda each: _change(bass, each)))
    return time


def _change(bass: F32, time: float) -> float:
    """The difference in energy between the half seconds after and before a time."""
    at, span = round(time / SECONDS_PER_HOP), round(0.5 / SECONDS_PER_HOP)
    before, after = bass[max(0, at - span) : at], bass[at : at + span]
    return float((after**2).sum() - (before**2).sum())


def _rising(curves: Mapping[str, F32]) -> F64:
    """What rises in a build-up: high frequencies, brightness and onset strength, in the 0.8 s before each tenth."""
    parts = [
        np.log10(_tenths(curves["high"] ** 2) + 1e-9),
        np.log2(_tenths(curves["centroid"]) + 50),
        _tenths(curves["onset"]),
    ]
    return np.asarray(sum(_mean_of((part - part.mean()) / max(1e-6, float(part.std())), -8, 0) for part in parts))


def _build(rising: F64, drop: float, *, after: float = 0.0) -> float | None:
    """The start of the build-up before a drop, not before ``after``; None if nothing rises."""
    stop = round(drop / _TENTH)
    found: list[tuple[float, float]] = []
    for seconds in np.arange(_SHORTEST_BUILD, _LONGEST_BUILD + 1e-9, 1.0):
        start = stop - round(float(seconds) / _TENTH)
        if start < round(after / _TENTH):
            break
        part = rising[start:stop]
        if part.std() < 0.3:
            continue
        line = statistics.correlation(range(len(part)), part.tolist())
        if line >= _RISING:
            found.append((line, start * _TENTH))
    best = max(found, default=(0.0, 0.0))[0]
    return min((start for line, start in found if line >= 0.95 * best), default=None)  # the longest one
