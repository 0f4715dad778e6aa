"""Bears a constant number per frame."""

from ecs_core import (
    Canvas,
    Lifetime,
    ParticleType,
    Phase,
    Position,
    System,
    Table,
    Velocity,
)


class Emit(System):
    """A fountain in the middle."""

    phase = Phase.EMIT
    writes = (Position, Velocity, Lifetime)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        for entity, (table, position, velocity, life) in self.world.query(Table, Position, Velocity, Lifetime):
            new = table.spawn(10)
            rng = self.world.rng(self, entity)
            position.x[new], position.y[new] = canvas.width / 2, canvas.height / 2
            velocity.x[new], velocity.y[new] = rng.uniform(-90.0, 90.0, (2, 10))
            life.span[new] = 1.5


BROKEN = ParticleType("births_per_frame", systems=(Emit,), archetype=(Position, Velocity, Lifetime))
