"""Statistics of a population that must not depend on the frame rate or the size of the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.raster.sprites import Sprites
from ecs_core.testing.simulate import Population, State

TOLERANCE = 0.12  # of a mean; to it comes what chance explains: 3 standard errors
_ERRORS = 3.0
_PLACE = 40.0  # units: what is drawn by the time is farther at another rate, as frames show other times


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its standard error, a reference scale, and the smallest relevant difference."""

    value: float
    error: float
    scale: float
    trifle: float

    def differs(self, other: Mean) -> bool:
        """Whether two means differ by more than tolerance and chance allow."""
        allowed = TOLERANCE * self.scale + _ERRORS * float(np.hypot(self.error, other.error)) + self.trifle
        return abs(self.value - other.value) > allowed


Look = Mapping[tuple[int, str], Mean]  # by number of the population and name of the quantity
DRAWN = 0  # number of what the type's own systems draw
SPEED, COVERED = "the mean speed", "the mean distance covered"


def look(states: Sequence[State], *, seconds: float) -> Look:
    """The statistics over all ``states``, which are ``seconds`` apart."""
    found: dict[tuple[int, str], list[Mean]] = {}
    for state in states:
        for number, population in enumerate(state.populations, 1):
            for name, mean in _means(population):
                found.setdefault((number, name), []).append(mean)
        for name, mean in _means_of_drawings(state.own):
            found.setdefault((DRAWN, name), []).append(mean)
    for before, now in pairwise(states):
        for number, pair in enumerate(zip(before.populations, now.populations, strict=False), 1):
            for mean in _covered(*pair):
                found.setdefault((number, f"{COVERED} in {seconds:g} s (units)"), []).append(mean)
    together = {}
    for key, means in found.items():
        # The moments of a run are no independent samples, so errors are not divided by their number.
        value, error, scale = (
            float(np.mean([getattr(mean, part) for mean in means])) for part in ("value", "error", "scale")
        )
        together[key] = Mean(value, error, scale, means[0].trifle)
    return together


def _means(now: Population) -> Iterator[tuple[str, Mean]]:
    count = len(now)
    yield "the number of particles", Mean(count, count**0.5, count, 3.0)
    if not count:
        return
    x, y = now.column("Position.x"), now.column("Position.y")
    if x is not None and y is not None:
        away = np.hypot(x - x.mean(), y - y.mean())
        spread = float(away.mean())
        yield "the mean distance from their middle (units)", _mean(away, trifle=5.0)
        for axis, values in (("x", x), ("y", y)):
            error = float(values.std()) / count**0.5
            yield f"the mean {axis} (units)", Mean(float(values.mean()), error, 2 * spread, 5.0)
    speed_x, speed_y = now.column("Velocity.x"), now.column("Velocity.y")
    if speed_x is not None and speed_y is not None:
        yield f"{SPEED} (units/s)", _mean(np.hypot(speed_x, speed_y), trifle=1.0)
    radius, light = now.column("Look.radius"), now.column("Look.light")
    red, green, blue = (now.column(f"Color.{name}") for name in "rgb")
    if radius is not None:
        yield "the mean radius (units)", _mean(radius, trifle=0.05)
    if light is not None and red is not None and green is not None and blue is not None:
        yield "the mean light", _mean(light * (red + green + blue) / 3, trifle=0.01)
        for name, channel in (("red", red), ("green", green), ("blue", blue)):
            yield f"the mean {name}", _mean(light * channel, trifle=0.02)


def _means_of_drawings(drawn: Sprites) -> Iterator[tuple[str, Mean]]:
    """Of what is drawn, where it is and how large, by its light on all the area that it takes."""
    length = np.zeros(len(drawn)) if drawn.dx is None or drawn.dy is None else np.hypot(drawn.dx, drawn.dy)
    bright = np.maximum((drawn.red + drawn.green + drawn.blue) / 3, 0 if drawn.cover is None else drawn.cover)
    light = np.nan_to_num(bright * drawn.radius.astype(np.float64) * (drawn.radius + length))
    total = float(light.sum())
    yield "the light that its systems draw", Mean(total, float(np.sqrt((light**2).sum())), total, 1.0)
    if total <= 0:
        return
    for name, values in (("x", drawn.x), ("y", drawn.y), ("radius", drawn.radius)):
        mean = float((light * values).sum() / total)
        spread = float(np.sqrt((light * (values - mean) ** 2).sum() / total))
        error = spread * float(np.sqrt((light**2).sum())) / total
        scale, trifle = (mean, 0.05) if name == "radius" else (2 * spread, _PLACE)
        yield f"the mean {name} of what its systems draw (units)", Mean(mean, error, scale, trifle)


def _covered(before: Population, now: Population) -> Iterator[Mean]:
    """Distances travelled by the particles that existed before."""
    _, then, still = np.intersect1d(before.rows.birth, now.rows.birth, assume_unique=True, return_indices=True)
    paths = []
    for axis in "xy":
        one, other = before.column(f"Position.{axis}"), now.column(f"Position.{axis}")
        if one is None or other is None or not len(still):
            return
        paths.append(other[still] - one[then])
    yield _mean(np.hypot(*paths), trifle=2.0)


def _mean(values: NDArray[np.floating[Any]], *, trifle: float) -> Mean:
    wide = values.astype(np.float64)
    value = float(wide.mean())
    return Mean(value, float(wide.std()) / len(wide) ** 0.5, abs(value), trifle)
