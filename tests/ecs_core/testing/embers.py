"""Embers: sparks that rise on the beat. A plugin as anybody might write it, in one module."""

from collections.abc import Callable

from ecs_core import (
    AudioFrame,
    Canvas,
    Lifetime,
    ParticleType,
    Phase,
    Position,
    System,
    Table,
    Velocity,
    hookimpl,
)

motes_api_version = 1


class Embers:
    """Tag of the populations that EmitEmbers feeds."""


class EmitEmbers(System):
    """Along the lower edge, the more the louder the bass."""

    phase = Phase.EMIT
    writes = (Position, Velocity, Lifetime)

    def process(self) -> None:
        """As many as are due."""
        canvas = self.world.get(Canvas)
        rate = 240 + 6000 * self.world.get(AudioFrame).bass  # per second
        for entity, parts in self.world.query(Table, Embers, Position, Velocity, Lifetime):
            table, _, position, velocity, life = parts
            rng = self.world.rng(self, entity)
            count = rng.poisson(rate * self.world.dt)
            new = table.spawn(count)
            position.x[new] = rng.uniform(0.0, canvas.width, count)
            position.y[new] = canvas.height
            velocity.x[new] = rng.normal(0.0, 30.0, count)
            velocity.y[new] = rng.uniform(-600.0, -200.0, count)
            life.span[new] = rng.uniform(0.5, 2.0, count)


EMBERS = ParticleType("embers", archetype=(Position, Velocity, Lifetime), components=(Embers,), systems=(EmitEmbers,))


@hookimpl
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Register ``embers``."""
    register(EMBERS)
