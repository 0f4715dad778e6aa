"""The flow: a sum of waves that repeats itself beyond the edges, and a current through all of it.

Its velocity is the curl of a smooth stream function, so it has no divergence: it moves particles without gathering or
scattering them (Bridson et al., "Curl-noise for procedural fluid flow", 2007). Waves instead of noise on a lattice show
no lattice, and are quick. As the flow repeats itself, what leaves at one edge may come in at the opposite one, and
particles that fill the picture evenly go on filling it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ecs_core import F32, Canvas, FeatureTimeline

MARGIN = 150.0  # units beyond the edges of the canvas, where the flow goes on
_MOST, _LEAST = 16, 8  # waves
_SECONDS = 0.7  # in which a snare turns the flow
_ROLL = 0.4  # seconds: snares that follow faster turn it less
_NONE = np.zeros(0)


@dataclass(frozen=True)
class Flow:
    """Parameters of the flow.

    The root mean square of the eddies' velocity is ``speed`` units/s, that of the current ``speed`` times ``current``;
    it goes towards ``heading`` (degrees clockwise from the right), and turns by ``turn`` degrees at each snare.
    ``waves`` are the wave vectors (radians per unit); phases change by up to ``change`` radians/s.
    """

    bindable: ClassVar[tuple[str, ...]] = ("speed", "current", "heading")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {"speed": (0.0, 4000.0), "current": (0.0, 20.0)}
    )

    speed: float
    current: float
    heading: float
    turn: float
    change: float
    waves: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False, slots=True)
class Moment:
    """The flow at one moment: for each wave its vector, phase and velocity, and the velocity of the current."""

    waves: tuple[tuple[float, float], ...]
    phases: tuple[float, ...]
    speeds: tuple[float, ...]
    across: float
    down: float

    def velocity(self, x: F32, y: F32) -> tuple[F32, F32]:
        """Velocities at places, units/s, (n,) each."""
        vx, vy = np.full_like(x, self.across), np.full_like(y, self.down)
        for (kx, ky), phase, speed in zip(self.waves, self.phases, self.speeds, strict=True):
            swing = np.cos(kx * x + ky * y + phase)
            per_length = speed / math.hypot(kx, ky)
            vx += (per_length * ky) * swing
            vy -= (per_length * kx) * swing
        return vx, vy

    def stream(self, x: F32, y: F32) -> F32:
        """The stream function at places over its usual height, (n,): the flow follows the lines of even height."""
        height, strongest = np.zeros_like(x), 1e-9
        for (kx, ky), phase, speed in zip(self.waves, self.phases, self.speeds, strict=True):
            amount = speed / math.hypot(kx, ky)
            height += amount * np.sin(kx * x + ky * y + phase)
            strongest += 0.5 * amount * amount
        return height / np.float32(math.sqrt(strongest))


def periods(canvas: Canvas) -> tuple[float, float]:
    """The distances after which the flow repeats itself, units."""
    return canvas.width + 2 * MARGIN, canvas.height + 2 * MARGIN


def waves_of(canvas: Canvas, *, eddies: float) -> tuple[tuple[float, float], ...]:
    """Wave vectors, radians per unit, of waves that fit into the periods and are about twice as long as eddies."""
    wide, high = periods(canvas)
    usual = 1 / (2 * eddies)
    across, down = (min(200, math.ceil(1.8 * usual * period) + 2) for period in (wide, high))
    found = [
        (i / wide, j / high) for i in range(across + 1) for j in range(-down, down + 1) if i > 0 or (i == 0 and j > 0)
    ]
    found.sort(key=lambda k: (abs(math.log(math.hypot(*k) / usual)), k))
    near = [k for k in found if abs(math.log(math.hypot(*k) / usual)) < math.log(1.7)]
    chosen = near if len(near) >= _LEAST else found[:_LEAST]
    chosen.sort(key=lambda k: math.atan2(k[1], k[0]))
    chosen = [chosen[at * len(chosen) // _MOST] for at in range(_MOST)] if len(chosen) > _MOST else chosen
    return tuple((math.tau * kx, math.tau * ky) for kx, ky in chosen)


def moment(flow: Flow, drawn: NDArray[np.float64], seconds: float, turned: float) -> Moment:
    """The flow after so many seconds of the song, when snares have ``turned`` it so many times.

    ``drawn`` (3, waves) are numbers in [0, 1) that make one flow different from another.
    """
    phases, weights, changes = drawn
    lengths = np.array([math.hypot(*k) for k in flow.waves])
    weights = (0.5 + weights) / lengths
    speeds = flow.speed * weights * math.sqrt(2 / float((weights * weights).sum()))
    # Waves run to and fro at different paces; snares push them on, too.
    ways = np.where(changes < 0.5, -1.0, 1.0) * (0.4 + 0.6 * np.abs(2 * changes - 1))
    at = math.tau * phases + ways * (flow.change * seconds + 0.3 * math.radians(flow.turn) * turned)
    heading = math.radians(flow.heading + flow.turn * turned)
    current = flow.speed * flow.current
    return Moment(
        flow.waves,
        tuple(np.mod(at, math.tau).tolist()),
        tuple(speeds.tolist()),
        current * math.cos(heading),
        current * math.sin(heading),
    )


@dataclass(frozen=True, eq=False, slots=True)
class Snares:
    """The snares of a song: their times, and how many times they turn the flow before each and after the last."""

    times: NDArray[np.float64]
    before: NDArray[np.float64]

    @staticmethod
    def of(timeline: FeatureTimeline) -> Snares:
        """Each snare turns the flow once, but those of a roll together no more than one after a pause."""
        times = timeline.events.get("snares", _NONE)
        pauses = np.diff(times, prepend=-math.inf)
        return Snares(times, np.concatenate([[0.0], np.cumsum(np.clip(pauses / _ROLL, 0, 1))]))

    def turned(self, seconds: float) -> float:
        """How many times the flow is turned after so many seconds of the song; each snare does so smoothly."""
        done, begun = (int(each) for each in np.searchsorted(self.times, [seconds - _SECONDS, seconds]))
        share = (seconds - self.times[done:begun]) / _SECONDS
        turns = np.diff(self.before[done : begun + 1]) * share * share * (3 - 2 * share)
        return float(self.before[done] + turns.sum())
