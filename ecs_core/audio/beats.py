"""Beats: the times at which people would tap, and a confidence.

A comb filter over the envelope's autocorrelation, in windows of twelve seconds, rates each tempo over time. Beats are
the chain of hops that collects most of the envelope at highly rated tempi, found by dynamic programming over hop and
tempo together, so that the tempo may drift, or jump at a penalty: D. Ellis, "Beat tracking by
dynamic programming", J. New Music Research 36, 2007, with the tempo as a part of the state, as in N. Whiteley,
A. Cemgil and S. Godsill, "Bayesian modelling of temporal structure in musical audio", ISMIR 2006.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.audio.beat_chain import best_chain
from ecs_core.audio.onsets import SECONDS_PER_HOP, Rise, onset_envelope, refine
from ecs_core.audio.windows import around

SLOWEST, FASTEST = 40.0, 240.0  # beats a minute
_STATES = 48  # tempi an octave
_USUAL, _OCTAVES = 125.0, 0.88  # centre and width of the log-normal prior
_OWN = 0.5  # octaves: deviation of local tempi from the song's tempo
_GIVEN = 0.04  # octaves: allowed deviation from a given tempo
_TEETH = ((0.5, 0.12), (1, 0.53), (4, 0.35))  # teeth of the comb: multiples of the period, and weights
_WHOLE = np.float32(0.33)  # weight of the whole spectrum's envelope; the rest is that of its middle
_WINDOW, _ROW = 1024, 86  # window and step of autocorrelations, hops
_ROWS = 64  # processed at a time, to limit memory
_GUIDE = 10.0  # weight of the tempo relative to the envelope
_CHANGE, _JUMP, _MISS = 20.0, 500.0, 0.5  # penalties for changing tempo and for deviating from a period
_PAUSE = 8.0  # seconds of silence over which beats go on
_UNCLEAR = 0.03  # combs below this are chance
_EVEN = 0.15  # beats: largest deviation from a regular grid
_BEGINS = 0.05  # envelopes above this are onsets


@dataclass(frozen=True, eq=False)
class Beats:
    """``times`` (n,) in seconds, ascending; ``tempo`` in beats per minute, 0 if there is none; ``confidence`` 0–1 that
    people would tap there.
    """

    times: F64
    tempo: float
    confidence: float


NO_BEATS = Beats(np.zeros(0), 0.0, 0.0)


def beats_of(rise: Rise, *, bpm: float | None = None, beat_at: float | None = None, octave: int = 0) -> Beats:
    """Track the beats of a song.

    ``bpm`` is the tempo if it is known; beats follow the song within 3 % of it. ``beat_at`` is the time in seconds of
    any beat; all are shifted to match it. With both, beats lie on a regular grid. ``octave`` 1 doubles the detected
    tempo, -1 halves it. If the song has nothing periodic at that tempo, beats are a regular grid with confidence 0.
    """
    seconds = len(rise.whole) * SECONDS_PER_HOP
    if bpm is not None and beat_at is not None:
        first = beat_at % (60 / bpm)
        return Beats(np.arange(first, seconds, 60 / bpm), bpm, 1.0)
    envelope, middle = onset_envelope(rise.whole), onset_envelope(rise.middle)
    found = _track(rise.whole, envelope, middle, around=bpm)
    if octave and found.tempo > 0:
        around = float(np.clip(found.tempo * 2.0**octave, SLOWEST / 2, FASTEST * 2))
        found = _track(rise.whole, envelope, middle, around=around)
    if beat_at is not None and len(found.times) > 1:
        found = Beats(_moved(found.times, beat_at, seconds), found.tempo, found.confidence)
    return found


def tempo_of(beats: F64) -> float:
    """The tempo in beats per minute: that of a regular grid if the beats fit one, else the median; 0 without beats."""
    if len(beats) < 3:
        return 0.0
    intervals = np.diff(beats)
    usual = float(np.median(intervals))
    numbers = np.concatenate([[0.0], np.cumsum(np.rint(intervals / usual))])  # a pause counts as several beats
    slope, start = statistics.linear_regression(numbers.tolist(), beats.tolist())  # numpy has LAPACK do it
    steady = np.abs(beats - (start + slope * numbers)).max() < _EVEN * usual
    return float(60 / (slope if steady else usual))


def tempo_curve(beats: F64, times: F64) -> F32:
    """Beats per minute at the given times, (n,) float32: the median of five intervals; 0 without beats."""
    if len(beats) < 3:
        return np.zeros(len(times), np.float32)
    intervals = np.diff(beats)
    usual: F64 = np.median(around(intervals, 5, outside="edge"), axis=1)
    return np.interp(times, (beats[:-1] + beats[1:]) / 2, 60.0 / usual).astype(np.float32)


def beat_phase(beats: F64, times: F64) -> F32:
    """0 at a beat rising to 1 at the next, at the given times; extrapolated before the first and after the last."""
    if len(beats) < 2:
        return np.zeros(len(times), np.float32)
    return np.mod(beat_position(beats, times), 1.0).astype(np.float32)


def beat_position(beats: F64, times: F64) -> F64:
    """Fractional number of beats since the first one at the given times; negative before it."""
    first, last = beats[1] - beats[0], beats[-1] - beats[-2]
    inside: F64 = np.interp(times, beats, np.arange(len(beats), dtype=np.float64))
    inside += np.minimum(times - beats[0], 0) / first + np.maximum(times - beats[-1], 0) / last
    return inside


def _track(curve: F32, envelope: F32, middle: F32, *, around: float | None) -> Beats:
    if len(envelope) < 3 or envelope.max() <= 0:
        return NO_BEATS
    periods = _periods(around)
    guide, clarity = _guide(envelope, middle, periods, around)
    if clarity < _UNCLEAR:
        return NO_BEATS if around is None else _even(envelope, around)
    change = (_CHANGE * np.arange(4, dtype=np.float32) ** 2).astype(np.float32)
    hops, states = best_chain(_worth(envelope), guide, _ROW, periods, change, _JUMP, _MISS)
    hops, states = _without_silence(hops, states, envelope)
    if len(hops) < 3:
        return NO_BEATS
    # Move each beat to the nearest onset within a twelfth of a beat, if there is one.
    reach = np.maximum(1, np.round(periods[states] / 12)).astype(np.int64)
    nearest = np.asarray([_strongest(envelope, *each) for each in zip(hops.tolist(), reach.tolist(), strict=True)])
    if (envelope[nearest] > _BEGINS).sum() < 3:  # two onsets, such as both ends of a tone, are not a beat
        return NO_BEATS
    times = np.unique(refine(curve, nearest))
    on = float(np.minimum(envelope[nearest], 1.0).mean())
    return Beats(times, tempo_of(times), round(min(1.0, 2 * clarity * on), 3))


def _worth(envelope: F32) -> F32:
    """How much a beat at each hop is worth."""
    padded = np.pad(np.minimum(envelope, 2.0), 1)
    worth: F32 = padded[1:-1] + 0.5 * (padded[:-2] + padded[2:])
    worth /= worth.std() + 1e-9
    return worth.astype(np.float32, copy=False)


def _even(envelope: F32, bpm: float) -> Beats:
    """A regular grid at a given tempo at which nothing is periodic, with the phase that hits most onsets."""
    period = 60 / bpm / SECONDS_PER_HOP
    phases = np.arange(0, min(period, len(envelope)))
    hops = [np.arange(phase, len(envelope) - 0.5, period) for phase in phases.tolist()]
    grid = max(hops, key=lambda each: float(np.minimum(envelope[np.rint(each).astype(np.int64)], 1.0).mean()))
    kept, _ = _without_silence(np.rint(grid).astype(np.int32), np.zeros(len(grid), np.int16), envelope)
    grid = grid[np.isin(np.rint(grid), kept)]
    return Beats(grid * SECONDS_PER_HOP, bpm, 0.0) if len(grid) > 2 else NO_BEATS


def _periods(around: float | None) -> F32:
    """The periods of the candidate tempi in hops, ascending."""
    fastest, slowest = (FASTEST, SLOWEST) if around is None else (around * 2**_GIVEN, around * 2**-_GIVEN)
    octaves = np.arange(int(np.log2(fastest / slowest) * _STATES + 1e-9) + 1) / _STATES
    return (60.0 / (fastest * 2.0**-octaves) / SECONDS_PER_HOP).astype(np.float32)


def _guide(envelope: F32, middle: F32, periods: F32, around: float | None) -> tuple[F32, float]:
    """The rating of each tempo at every ``_ROW``-th hop, (rows, states), and the clarity of the periodicity, 0–1.

    Uses the whole spectrum and, with more weight, its middle, which has snares and chords but not the steady hi-hat
    that would suggest twice the tempo.
    """
    comb = np.maximum(_WHOLE * _comb(envelope, periods) + (1 - _WHOLE) * _comb(middle, periods), 0)
    if around is None:
        tempi = 60.0 / periods / SECONDS_PER_HOP
        weight = np.exp(-0.5 * (np.log2(tempi / _USUAL) / _OCTAVES) ** 2)
        own = tempi[np.argmax(comb.mean(axis=0) * weight)]
        comb *= (weight * np.exp(-0.5 * (np.log2(tempi / own) / _OWN) ** 2)).astype(np.float32)
    best = comb.max(axis=1, keepdims=True)
    guide = _GUIDE * (comb / np.maximum(best, 0.05)) ** 2
    return guide.astype(np.float32), float(np.clip(np.median(best[best > 0]), 0, 1)) if best.any() else 0.0


def _comb(envelope: F32, periods: F32) -> F32:
    """The envelope's autocorrelation at multiples of each period, weighted: (rows, states), 1 if all repeats."""
    rows = -(-len(envelope) // _ROW) + 1
    padded = np.concatenate(
        [np.zeros(_WINDOW // 2, np.float32), np.minimum(envelope, 2.0), np.zeros(_WINDOW + _ROW, "f4")]
    )
    window = np.hanning(_WINDOW).astype(np.float32)
    overlap = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * _WINDOW)) ** 2)[:_WINDOW]
    unbiased = np.maximum(overlap / overlap[0], 0.05)
    out = np.zeros((rows, len(periods)), np.float32)
    weights = np.zeros(len(periods), np.float32)
    teeth = []
    for multiple, share in _TEETH:
        lags = periods * np.float32(multiple)
        weight = np.float32(share) * (lags < 0.85 * _WINDOW)
        weights += weight
        teeth.append((np.minimum(lags, _WINDOW - 2), weight))
    for first in range(0, rows, _ROWS):
        last = min(rows, first + _ROWS)
        parts = sliding_window_view(padded, _WINDOW)[first * _ROW : (last - 1) * _ROW + 1 : _ROW]
        parts = (parts - parts.mean(axis=1, keepdims=True)) * window
        correlation = np.fft.irfft(np.abs(np.fft.rfft(parts, 2 * _WINDOW, axis=1)) ** 2, axis=1)[:, :_WINDOW] / unbiased
        correlation /= np.maximum(correlation[:, :1], 1e-6)
        for lags, weight in teeth:
            whole = lags.astype(np.int64)
            part = lags - whole
            out[first:last] += weight * ((1 - part) * correlation[:, whole] + part * correlation[:, whole + 1])
    return out / weights


def _strongest(envelope: F32, hop: int, reach: int) -> int:
    first = max(0, hop - reach)
    around = envelope[first : hop + reach + 1]
    return first + int(np.argmax(around)) if around.max() > _BEGINS else hop


def _without_silence(
    hops: NDArray[np.int32], states: NDArray[np.int16], envelope: F32
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """Drop beats before the first and after the last onset, and within long pauses."""
    heard = np.flatnonzero(envelope > 0.1)
    if not heard.size:
        return hops[:0], states[:0]
    slack, pause = round(0.1 / SECONDS_PER_HOP), round(_PAUSE / SECONDS_PER_HOP)
    since = hops - heard[np.clip(np.searchsorted(heard, hops + slack, "right") - 1, 0, None)]
    until = heard[np.clip(np.searchsorted(heard, hops - slack), None, len(heard) - 1)] - hops
    kept = (since >= -slack) & (until >= -slack) & (since + until <= pause)
    return hops[kept], states[kept]


def _moved(beats: F64, beat_at: float, seconds: float) -> F64:
    """All beats shifted by the same fraction of a beat, at most half, so that one falls on ``beat_at``."""
    off = float(beat_position(beats, np.array([beat_at]))[0])
    off -= round(off)
    first, last = beats[1] - beats[0], beats[-1] - beats[-2]
    wide = np.concatenate([[beats[0] - first], beats, [beats[-1] + last]])
    moved: F64 = np.interp(np.arange(len(wide)) + off, np.arange(len(wide)), wide)[1:-1]
    return moved[(moved >= 0) & (moved < seconds)]
