"""Systems that only tunnel has."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ecs_core import F32, AudioFrame, Clock, Color, Column, Depth, Look, Phase, Position, Speed, System, Table, Velocity
from plugins.tunnel.settings import TunnelSettings

f32 = np.float32
_TWIST = 0.00075  # radians per unit of depth that arms wind
_LONG = 1500.0  # units of depth of a bend
_RING = 3600.0  # units/s at which a kick's ring of light runs into the depth


@dataclass(frozen=True)
class Tunnel:
    """The tunnel's mouth and ``radius``, how far it ``bend``s (units), its ``roll`` (radians/s) and the viewer's
    ``distance`` (units).
    """

    bindable: ClassVar[tuple[str, ...]] = ("radius", "bend")

    x: float
    y: float
    radius: float
    bend: float
    roll: float
    distance: float


class Wall(Column):
    """The place of a star in the tunnel: its angle (radians), and its distance from the middle as a share of the
    radius.
    """

    angle: F32
    away: F32


class PlaceOnWall(System):
    """Gives the stars their places when they are born: most on the wall, in arms, some within it and far outside."""

    phase = Phase.EMIT
    writes = (Wall, Color)

    def process(self) -> None:
        if self.world.frame != 0:
            return
        settings = self.world.get(TunnelSettings)
        for entity, (table, wall, color) in self.world.query(Table, Wall, Color):
            n = len(table)
            u, v, w, which = self.world.rng(self, entity).uniform(0.0, 1.0, (4, n))
            angle = u
            if settings.arms:  # three in four are in an arm, more in its middle
                arm = (np.floor(u * settings.arms) + 0.5 + (v - 0.5) * np.abs(2 * w - 1)) / settings.arms
                angle = np.where(which < 0.75, arm, u)
            wall.angle[:] = 2 * np.pi * angle
            wall.away[:] = np.where(w < 0.62, 0.8 + 0.35 * v, np.where(w < 0.8, 0.3 + 0.5 * v, 1.2 + 1.6 * v * v))
            if settings.color_by is not None:
                continue
            light = np.maximum(np.maximum(color.r, color.g), color.b)
            colours = np.asarray(settings.palette.colours, np.float32)
            at = (angle % 1) * len(colours)
            first = at.astype(int) % len(colours)
            share = (at - np.floor(at)).astype(np.float32)[:, None]
            share = share * share * (3 - 2 * share)
            shown = colours[first] * (1 - share) + colours[(first + 1) % len(colours)] * share
            brightest = np.maximum(shown.max(axis=1), f32(1e-6))
            color.r[:], color.g[:], color.b[:] = (shown / brightest[:, None] * light[:, None]).T


class LineTunnel(System):
    """Keeps the stars on the tunnel's wall, as it winds and turns."""

    phase = Phase.MOVE
    reads = (Wall, Depth)
    writes = (Position, Velocity)

    def process(self) -> None:
        world, dt = self.world, self.world.dt
        t = world.get(Clock).t
        kinds = (Tunnel, Wall, Depth, Position, Velocity)
        for _, (tunnel, wall, depth, position, velocity, speed) in world.query(*kinds, optional=(Speed,)):
            factor = 1.0 if speed is None else speed.factor
            factor = factor if abs(factor) >= 1e-3 else 1e-3
            position.x[:], position.y[:] = _place(tunnel, wall, depth.z, t)
            was_x, was_y = _place(tunnel, wall, depth.z - depth.vz * f32(factor * dt), t - dt)
            velocity.x[:] = (position.x - was_x) / f32(factor * dt)
            velocity.y[:] = (position.y - was_y) / f32(factor * dt)


class SendRings(System):
    """Lets each kick send a ring of light from the viewer into the depth."""

    phase = Phase.SHADE
    reads = (Depth,)
    writes = (Look,)

    def process(self) -> None:
        kicks = self.world.get(AudioFrame).recent("kicks", 1.6)
        for _, (tunnel, depth, look) in self.world.query(Tunnel, Depth, Look):
            for _, since, strength in kicks:
                front = f32(_RING * since - 0.7 * tunnel.distance)
                ring = np.exp(-(((depth.z - front) / f32(260.0)) ** 2))
                look.light *= 1 + f32(2.5 * strength * np.exp(-1.6 * since)) * ring


def _place(tunnel: Tunnel, wall: Wall, z: F32, t: float) -> tuple[F32, F32]:
    """Where stars of the wall are at depths ``z``: the tunnel winds, but not where the viewer is."""
    angle = wall.angle + f32(_TWIST) * z + f32(tunnel.roll * t)
    away, bend = f32(tunnel.radius) * wall.away, f32(tunnel.bend)
    here = np.float32(-tunnel.distance)
    across, down = f32(0.23 * t), f32(0.17 * t + 1.3)
    deep = f32(1 / _LONG)
    x = f32(tunnel.x) + away * np.cos(angle) + bend * (np.sin(z * deep + across) - np.sin(here * deep + across))
    y = f32(tunnel.y) + away * np.sin(angle) + bend * f32(0.7) * (np.sin(z * deep + down) - np.sin(here * deep + down))
    return x, y
