"""Distributions and curves: Range and Pareto to draw from, Curve over 0–1, Gradient of colours. All are frozen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ecs_core.arrays import F32


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``: uniform, or with a ``tail`` over 1, mostly small (u ** tail instead of u)."""

    low: float
    high: float
    tail: float = 1.0

    def draw(self, rng: np.random.Generator, n: int) -> F32:
        """``n`` numbers, (n,) float32."""
        if self.low == self.high:
            return np.full(n, self.low, np.float32)
        return (self.low + (self.high - self.low) * rng.uniform(0.0, 1.0, n) ** self.tail).astype(np.float32)

    def at(self, uniform: F32) -> F32:
        """The numbers for uniform ones in [0, 1); float32, same shape."""
        return (self.low + (self.high - self.low) * uniform**self.tail).astype(np.float32)

    def __mul__(self, factor: float) -> Range:
        return Range(self.low * float(factor), self.high * float(factor), self.tail)

    def __add__(self, shift: float) -> Range:
        return Range(self.low + float(shift), self.high + float(shift), self.tail)


@dataclass(frozen=True, slots=True)
class Pareto:
    """Pareto distribution from ``low``: P(x > v) = (low / v) ** ``alpha``, clipped at ``high``."""

    low: float
    high: float
    alpha: float = 1.7

    def draw(self, rng: np.random.Generator, n: int) -> F32:
        """``n`` numbers, (n,) float32."""
        drawn = self.low * (1.0 - rng.uniform(0.0, 1.0, n)) ** (-1.0 / self.alpha)
        return np.minimum(drawn, self.high).astype(np.float32)

    def at(self, uniform: F32) -> F32:
        """The numbers for uniform ones in [0, 1); float32, same shape."""
        drawn: F32 = np.minimum(self.low * (1.0 - uniform) ** (-1.0 / self.alpha), self.high).astype(np.float32)
        return drawn

    def __mul__(self, factor: float) -> Pareto:
        return Pareto(self.low * float(factor), self.high * float(factor), self.alpha)

    def __add__(self, shift: float) -> Pareto:
        return Pareto(self.low + float(shift), self.high + float(shift), self.alpha)


Draw = Range | Pareto


@dataclass(frozen=True, slots=True)
class Curve:
    """Piecewise linear through ``points``, (position, value) pairs in ascending order; constant outside them."""

    points: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        try:
            positions = [float(position) for position, _ in self.points]
        except (TypeError, ValueError):
            positions = []
        if not positions or positions != sorted(positions):
            raise ValueError(
                f"Curve({self.points!r}): must be (position, value) pairs with ascending positions, such as "
                "((0, 0), (0.5, 1), (1, 0))"
            )

    def __call__(self, at: ArrayLike) -> F32:
        """Values at the positions ``at``; float32, same shape."""
        positions, values = zip(*self.points, strict=True)
        found: F32 = np.interp(np.asarray(at), positions, values).astype(np.float32)
        return found


@dataclass(frozen=True, slots=True)
class Gradient:
    """Colours in linear light, evenly spaced over 0–1."""

    colours: tuple[tuple[float, float, float], ...]

    def __call__(self, at: ArrayLike) -> F32:
        """Interpolated colours at the positions ``at`` of shape (n,); (n, 3) float32."""
        stops = np.linspace(0.0, 1.0, len(self.colours))
        channels = np.asarray(self.colours, np.float64).T
        return np.stack([np.interp(np.asarray(at), stops, channel) for channel in channels], axis=-1).astype(np.float32)

    def pick(self, rng: np.random.Generator, n: int) -> F32:
        """``n`` of the colours, each with the same probability; (n, 3) float32."""
        return np.asarray(self.colours, np.float32)[rng.integers(0, len(self.colours), n)]
