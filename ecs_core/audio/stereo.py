"""Stereo width and balance, from the mean squares of left, right and their product."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32

_NOTHING = 1e-6  # moments 60 dB below the loudest one count as centred


def width(squares: F32) -> F32:
    """Energy of the side signal over total energy, (n,) in 0–1: 0 is mono, 0.5 uncorrelated, 1 out of phase."""
    left, right, both = squares.T
    return _share((left + right) / 2 - both, left + right)


def balance(squares: F32) -> F32:
    """(right - left) / (right + left) of the energies, (n,) from -1 (all left) to 1 (all right)."""
    left, right, _ = squares.T
    return _share(right - left, left + right)


def _share(part: F32, whole: F32) -> F32:
    share = np.divide(part, whole, out=np.zeros_like(whole), where=whole > _NOTHING * whole.max(initial=0))
    return np.clip(share, -1, 1)
