"""The wave of a moment of a song, held still, and how loud the song is from its beginning to its end."""

from __future__ import annotations

import math

import numpy as np

from ecs_core.arrays import F32, F64
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.audio.sonogram import Sonogram
from ecs_core.audio.wave_rows import AMPLITUDES, WAVE_SAMPLES, wave_samples

_RATE = WAVE_SAMPLES / SECONDS_PER_HOP  # samples a second
_SEARCH = 0.02  # seconds around a moment within which a wave may begin to rise: those of a tone of 25 Hz
_SIDES = 0.004  # seconds on both sides of a crossing that tell how much it rises
_JOINED = 0.2  # share of a closed wave in which its end becomes its beginning


def momentary_wave(
    sonogram: Sonogram | None, seconds: float, *, window: float, points: int, closed: bool = False
) -> F32:
    """The wave around a moment of the song as (points,), 1 being the song's highest; 0 without a sonogram.

    ``window`` is its length in seconds. Its middle is where the wave rises most through zero near the moment, so that
    a tone stands still. If ``closed``, its end leads into its beginning, for a ring.
    """
    if sonogram is None or sonogram.peak == 0:
        return np.zeros(points, np.float32)
    reach = _SEARCH + window + _SIDES + 4 / _RATE
    first = math.floor((seconds - reach) / SECONDS_PER_HOP)
    samples = _samples(sonogram, first, math.ceil((seconds + reach) / SECONDS_PER_HOP)) / AMPLITUDES[sonogram.peak]
    middle = _rise_near(samples, (seconds - first * SECONDS_PER_HOP) * _RATE)
    length = window * _RATE
    shares = np.arange(points) / points if closed else np.linspace(0, 1, points)
    wave = _interpolated(samples, middle + (shares - 0.5) * length)
    if closed:
        before = _interpolated(samples, middle + (shares - 1.5) * length)
        joined = np.clip((shares - (1 - _JOINED)) / _JOINED, 0, 1)
        joined = joined * joined * (3 - 2 * joined)
        wave = wave * (1 - joined) + before * joined
    return np.clip(wave, -1, 1).astype(np.float32)


def outline_of(sonogram: Sonogram | None, start: float, end: float, *, count: int) -> F32:
    """How loud the song is in each of ``count`` equal parts from one second to another, (count,): 1 is the loudest."""
    if sonogram is None:
        return np.zeros(count, np.float32)
    power = np.square(AMPLITUDES[sonogram.outline[:][:, 0]])
    # The sum up to any moment: of a part, the difference of two.
    sums: F64 = np.concatenate([[0.0], np.cumsum(power)])
    edges = np.linspace(start, end, count + 1) / SECONDS_PER_HOP
    means = np.diff(np.interp(edges, np.arange(len(sums)), sums))
    loud: F64 = np.sqrt(np.maximum(means, 0))
    return (loud / max(float(loud.max()), 1e-12)).astype(np.float32)


def _samples(sonogram: Sonogram, first: int, last: int) -> F64:
    """The samples of some hops; silence where the song has none."""
    table = sonogram.wave
    low, high = (min(max(0, hop - sonogram.begin), len(table)) for hop in (first, last))
    samples = np.zeros((last - first) * WAVE_SAMPLES)
    if low < high:
        at = (low + sonogram.begin - first) * WAVE_SAMPLES
        samples[at : at + (high - low) * WAVE_SAMPLES] = wave_samples(table[low:high])
    return samples


def _rise_near(samples: F64, moment: float) -> float:
    """Where samples rise most through zero near a moment, between two samples; the moment if they do not."""
    reach, sides = int(_SEARCH * _RATE), int(_SIDES * _RATE)
    low = int(moment) - reach
    near = samples[low : low + 2 * reach + 2]
    rising = np.flatnonzero((near[:-1] < 0) & (near[1:] >= 0))
    if not rising.size:
        return moment
    sums: F64 = np.concatenate([[0.0], np.cumsum(samples)])
    after = low + rising + 1
    rises = sums[after + sides] - 2 * sums[after] + sums[after - sides]
    # Of those that rise about as much, as in a tone, the nearest.
    far = np.abs(after - moment) / reach
    best = int(np.argmax(rises * (1 - 0.25 * far)))
    before, behind = near[rising[best]], near[rising[best] + 1]
    return float(low + rising[best] + before / (before - behind))


def _interpolated(samples: F64, at: F64) -> F64:
    """Samples between others, along cubic curves."""
    whole = np.floor(at).astype(np.int64)
    share = at - whole
    a, b, c, d = (samples[whole + offset] for offset in (-1, 0, 1, 2))
    curve: F64 = b + share * (c - a + share * (2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a))) / 2
    return curve
