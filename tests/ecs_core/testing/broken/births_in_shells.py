"""Bears all particles of a frame at its beginning, in one place."""

import numpy as np

from ecs_core import (
    Canvas,
    Color,
    Lifetime,
    Look,
    ParticleType,
    Phase,
    Position,
    Settings,
    Size,
    Sprite,
    System,
    Table,
    Velocity,
    World,
)


def populate(world: World, settings: Settings) -> None:
    """None at first."""
    world.populate((Position, Velocity, Size, Color, Look, Lifetime), (Sprite(),))


class Spray(System):
    """A fountain in the middle, in all directions."""

    phase = Phase.EMIT
    writes = (Position, Velocity, Size, Color, Lifetime)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        for entity, parts in self.world.query(Table, Position, Velocity, Size, Color, Lifetime):
            table, position, velocity, size, color, life = parts
            rng = self.world.rng(self, entity)
            count = rng.poisson(500.0 * self.world.dt)
            new, angle = table.spawn(count), rng.uniform(0.0, 2 * np.pi, count)
            position.x[new], position.y[new] = canvas.width / 2, canvas.height / 2
            velocity.x[new], velocity.y[new] = 300.0 * np.cos(angle), 300.0 * np.sin(angle)
            size.value[new], life.span[new] = 4.0, 1.5
            color.r[new] = color.g[new] = color.b[new] = 1.0


BROKEN = ParticleType("births_in_shells", populate=populate, systems=(Spray,))
