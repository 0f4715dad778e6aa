"""The light of a segment's frames as a file, in which the join task counts flashes. Never pickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecs_core.arrays import U16


def save_light(light: U16, path: Path) -> None:
    """Save light as ``FlashCounter.add`` takes it; changes from frame to frame, which compress well."""
    np.savez_compressed(path, changes=np.diff(light, axis=0, prepend=np.uint16(0)))


def load_light(path: Path) -> U16:
    """Load light that was saved."""
    with np.load(path, allow_pickle=False) as kept:
        light: U16 = np.cumsum(kept["changes"], axis=0, dtype=np.uint16)
    return light
