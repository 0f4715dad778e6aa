"""Loudness by ITU-R BS.1770-4 and EBU R 128, from mean squares of tenths of a second.

The K-weighting is the standard's pair of filters, computed for any sample rate after B. De Man ("Evaluation of
implementations of the EBU R128 loudness measurement", AES 145, 2018); at 48 kHz they match the standard to five digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.song_file.layouts import loudness_weights

SILENCE = -70.0  # LUFS: anything quieter is silence
_QUIETEST = -120.0  # LUFS: lower limit of curves
_OFFSET = -0.691  # LUFS of a mean square of 1
_MOMENTARY, _SHORT_TERM = 4, 30  # tenths of a second


def weighting(frequencies: NDArray[np.floating[Any]], rate: int) -> NDArray[np.complex64]:
    """The response of the K-weighting, a shelf and a high-pass, at ``frequencies`` in Hz and a sample ``rate``."""
    z = np.exp(-2j * np.pi * frequencies / rate)
    # The shelf: 4 dB more from about 1.7 kHz on.
    k, q = np.tan(np.pi * min(1681.974450955533 / rate, 0.49)), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    shelf = _biquad(
        z,
        (high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k),
        (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k),
    )
    # The high-pass, at 38 Hz.
    k, q = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    above = _biquad(
        z, (1.0, -2.0, 1.0), (1.0, 2 * (k * k - 1) / (1 + k / q + k * k), (1 - k / q + k * k) / (1 + k / q + k * k))
    )
    return (shelf * above).astype(np.complex64)


def _biquad(z: NDArray[np.complex128], b: tuple[float, ...], a: tuple[float, ...]) -> NDArray[np.complex128]:
    """The response of a second-order filter; ``z`` is a delay of one sample."""
    return (b[0] + b[1] * z + b[2] * z * z) / (a[0] + a[1] * z + a[2] * z * z)


def together(squares: F32, layout: str) -> F64:
    """The weighted sum of the mean squares of a layout's channels, (n, channels) to (n,)."""
    return np.asarray((squares * loudness_weights(layout)).sum(axis=1), np.float64)


def integrated(energy: F64) -> float:
    """LUFS of the whole song from mean squares of tenths of a second; at least SILENCE.

    Blocks of 0.4 s every 0.1 s, gated at -70 LUFS, then at 10 LU below the mean of the rest.
    """
    blocks = _moving(energy, _MOMENTARY)
    heard = blocks[_lufs(blocks) > SILENCE]
    if not heard.size:
        return SILENCE
    heard = heard[_lufs(heard) > _lufs(heard.mean()) - 10]
    return max(SILENCE, float(_lufs(heard.mean())))


def momentary(energy: F64) -> F32:
    """LUFS of the 0.4 s around each edge between tenths, (n + 1,) float32; at least -120.

    The k-th value is that at k · 0.1 s; outside the song there is silence.
    """
    return _around(energy, _MOMENTARY)


def short_term(energy: F64) -> F32:
    """As :func:`momentary`, of the 3 s around."""
    return _around(energy, _SHORT_TERM)


def _around(energy: F64, width: int) -> F32:
    half = width // 2
    values: F32 = np.maximum(_lufs(_moving(np.pad(energy, half), width)), _QUIETEST).astype(np.float32)
    return values


def _moving(energy: F64, width: int) -> F64:
    """Moving average over ``width`` values; over all of them if there are fewer."""
    if len(energy) < width:
        return np.array([energy.mean()]) if len(energy) else np.zeros(0)
    means: F64 = np.lib.stride_tricks.sliding_window_view(energy, width).mean(axis=1)
    return means


def _lufs(square: F64 | np.float64) -> F64:
    return np.asarray(_OFFSET + 10 * np.log10(np.maximum(square, 1e-12)))
