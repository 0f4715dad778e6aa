"""How petals fly."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from ecs_core import Clock, Phase, Position, System, Table, Turn, Velocity

TAU = np.float32(2 * math.pi)
FOLLOWS = 0.35  # seconds in which a petal takes on the speed of the air


@dataclass(frozen=True)
class Flight:
    """The air: ``wind`` to the right and ``fall`` down, units/s; ``sway`` to both sides as a petal turns over.

    ``gust`` is how many times as strong the wind is besides, and ``whirl`` how strongly the air turns round (``x``,
    ``y``), within ``reach``; the song drives both. Stirred by them, petals ``tumble`` so many times as much as petals
    do. ``near`` is how much faster all of it seems to be than in the middle distance.
    """

    bindable: ClassVar[tuple[str, ...]] = ("wind", "fall", "gust", "whirl", "sway")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {"gust": (0.0, 30.0), "whirl": (0.0, 30.0), "sway": (0.0, 1000.0)}
    )

    wind: float
    fall: float
    x: float
    y: float
    reach: float
    near: float = 1.0
    tumble: float = 1.0
    sway: float = 60.0
    gust: float = 0.0
    whirl: float = 0.0


class Fly(System):
    """Petals follow the air, slide to the side on which they lie, and fall faster on their edge; gusts tumble them."""

    phase = Phase.FORCE
    reads = (Position,)
    writes = (Velocity, Turn)

    def process(self) -> None:
        t, dt = self.world.get(Clock).t, self.world.dt
        follow = np.float32(-math.expm1(-dt / FOLLOWS))
        for entity, (table, flight, position, velocity, turn) in self.world.query(
            Table, Flight, Position, Velocity, Turn
        ):
            own = self.world.traits(self, entity, table)  # one petal is lighter than another
            lying = np.cos(turn.flip * TAU)
            # Gusts roll through the picture from the left, and are not everywhere as strong.
            wave = np.sin(TAU * (position.x * np.float32(1 / 1500) + position.y * np.float32(1 / 2600) - t * 0.45 % 1))
            gust = np.float32(flight.gust) * (np.float32(0.7) + np.float32(0.3) * wave) * (np.float32(0.5) + own)
            vx = np.float32(flight.wind) * (np.float32(0.75) + np.float32(0.5) * own + gust)
            vx += np.float32(flight.sway) * lying * (np.float32(0.5) + own)
            vy = np.float32(flight.fall) * (np.float32(1.25) - np.float32(0.5) * np.abs(lying)) * (1.3 - 0.6 * own)
            vy -= np.float32(0.35 * abs(flight.wind)) * gust
            if flight.whirl:
                dx, dy = position.x - np.float32(flight.x), position.y - np.float32(flight.y)
                distance = np.hypot(dx, dy) + np.float32(1)
                away = distance / np.float32(flight.reach)
                around = np.float32(1500 * flight.whirl) * away * np.exp(-away * away) / distance
                # Petals close in on a ring, each on one of its own.
                inward = around * np.clip(away - np.float32(0.55) - np.float32(0.6) * own, -0.6, 0.6)
                vx += -dy * around - dx * inward
                vy += dx * around - dy * inward
            near = np.float32(flight.near)
            velocity.x += follow * (near * vx - velocity.x)
            velocity.y += follow * (near * vy - velocity.y)
            stirred = np.float32(flight.tumble * dt) * (gust + np.float32(flight.whirl)) * (own - np.float32(0.5))
            turn.flip += np.float32(0.9) * stirred
            begun = turn.angle >= 0  # and stays so, as a turn below 0 begins anew
            angle = turn.angle[begun] + np.float32(0.35) * stirred[begun]
            turn.angle[begun] = angle - np.floor(angle)
