"""Curves on the analysis grid: one value per hop, (hops,) or (hops, columns), by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32
from ecs_core.audio.onsets import SECONDS_PER_HOP


@dataclass(frozen=True, eq=False)
class Scaled:
    """``values`` (hops,), which others share, times ``factor``."""

    values: F32
    factor: np.float32


@dataclass(frozen=True, eq=False)
class Coarse:
    """``values`` (n,) or (n, columns) measured at ``times`` (n,), in seconds, fewer than there are hops."""

    times: NDArray[np.floating[Any]]
    values: F32


class Curves(Mapping[str, F32]):
    """Curves of a song of ``hops``; those that are not kept as arrays are made whenever they are looked at.

    The pitch classes of an hour are 2 MB, and 15 MB on the grid.
    """

    def __init__(self, hops: int, kept: Mapping[str, F32 | Scaled | Coarse]) -> None:
        self._hops, self._kept = hops, dict(kept)

    def __getitem__(self, name: str) -> F32:
        kept = self._kept[name]
        if isinstance(kept, Scaled):
            scaled: F32 = kept.values * kept.factor
            return scaled
        if not isinstance(kept, Coarse):
            return kept
        if kept.values.ndim == 1:
            return self._on_grid(kept.times, kept.values)
        whole = np.empty((self._hops, kept.values.shape[1]), np.float32)
        for number in range(whole.shape[1]):
            whole[:, number] = self.column(name, number)
        return whole

    def __contains__(self, name: object) -> bool:  # without making it
        return name in self._kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def column(self, name: str, number: int) -> F32:
        """A column of a curve that has several, (hops,), without the others."""
        kept = self._kept[name]
        if isinstance(kept, Coarse):
            return self._on_grid(kept.times, kept.values[:, number])
        column: F32 = self[name][:, number]
        return column

    def _on_grid(self, times: NDArray[np.floating[Any]], values: F32) -> F32:
        if not len(values):
            return np.zeros(self._hops, np.float32)
        grid: F32 = np.interp(np.arange(self._hops) * SECONDS_PER_HOP, times, values).astype(np.float32)
        return grid


def column_of(curves: Mapping[str, F32], name: str, number: int) -> F32:
    """A column of a curve that has several, (hops,); of Curves without the others."""
    return curves.column(name, number) if isinstance(curves, Curves) else curves[name][:, number]
