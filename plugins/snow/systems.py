"""Systems that only snow has."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ecs_core import FRAME, AudioFrame, Canvas, Emission, Phase, Position, System, Velocity


@dataclass(frozen=True)
class Source:
    """Parameters of the systems: the centre, the radius within which flakes start and the distance at which they fade,
    in units; and the threshold of high bass.
    """

    bindable: ClassVar[tuple[str, ...]] = ()

    x: float
    y: float
    heart: float
    reach: float
    threshold: float


class SendMore(System):
    """Emits more flakes, up to three times as many, the faster they leave."""

    phase = Phase.SENSE
    reads = (Velocity,)

    def process(self) -> None:
        for entity, (emission, velocity) in self.world.query(Emission, Velocity):
            if emission.rate and len(velocity.x):
                mean = float(np.sqrt(velocity.x**2 + velocity.y**2).mean()) / FRAME  # px a frame
                self.world.change(entity, Emission, rate=emission.rate * (1 + min(2.0, mean / 2)))


class ScatterAtStart(System):
    """Moves the first flakes along their paths to the edge, as if it had been snowing for a while."""

    phase = Phase.EMIT
    random_key = "ScatterAtStart"
    writes = (Position,)

    def process(self) -> None:
        if self.world.frame != 0:
            return
        canvas = self.world.get(Canvas)
        for entity, (_, position, velocity) in self.world.query(Source, Position, Velocity):
            speed = np.hypot(velocity.x, velocity.y) + 1e-6
            way_x, way_y = velocity.x / speed, velocity.y / speed
            to_x = np.where(way_x > 0, canvas.width - position.x, position.x) / (np.abs(way_x) + 1e-6)
            to_y = np.where(way_y > 0, canvas.height - position.y, position.y) / (np.abs(way_y) + 1e-6)
            to_edge = np.maximum(0, np.minimum(to_x, to_y))
            way = self.world.rng(self, entity).uniform(0.0, 1.0, len(speed)) ** 0.7 * to_edge
            position.x += way_x * way
            position.y += way_y * way


class ThrowBack(System):
    """At onsets with high bass, moves some flakes back to the centre, preferably distant and fast ones."""

    phase = Phase.EMIT
    random_key = "ThrowBack"
    writes = (Position, Velocity)

    def process(self) -> None:
        audio = self.world.get(AudioFrame)
        if not (audio.bass_high and audio.count("onsets")):
            return
        for entity, (source, position, velocity) in self.world.query(Source, Position, Velocity):
            rng = self.world.rng(self, entity)
            speed = np.hypot(velocity.x, velocity.y)
            distance = np.hypot(position.x - np.float32(source.x), position.y - np.float32(source.y))
            chance = (audio.level - source.threshold) * 0.3 * (1 + speed / (5 * FRAME))
            # More likely the farther out, as a song full of kicks would keep all flakes at the centre; but rarely, to
            # keep the edges populated.
            chance *= np.minimum(1, distance / source.reach) ** 2 / 3
            jumping = rng.uniform(0.0, 1.0, len(speed)) < chance
            start = source.heart * rng.uniform(0.0, 1.0, len(speed)).astype(np.float32) / (speed + np.float32(1e-6))
            position.x[jumping] = source.x + (velocity.x * start)[jumping]
            position.y[jumping] = source.y + (velocity.y * start)[jumping]
