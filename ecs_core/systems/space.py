"""Space: motion in depth, and light that fades at the planes where particles wrap."""

from __future__ import annotations

import math

import numpy as np

from ecs_core.arrays import F32
from ecs_core.ecs.components import Drag, Look, Speed, Walls
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth, Volume
from ecs_core.ecs.world import System

f32 = np.float32


class DepthSystem(System):
    """Moves particles in depth, with the drag of their population, within their Volume."""

    phase = Phase.MOVE
    needs = (Depth,)
    writes = (Depth,)

    def process(self) -> None:
        dt = self.world.dt
        for _, (depth, volume, drag, speed, walls) in self.world.query(Depth, optional=(Volume, Drag, Speed, Walls)):
            rate = 0.0 if drag is None else drag.rate
            step = (-math.expm1(-rate * dt) / rate if rate else dt) * (1.0 if speed is None else speed.factor)
            depth.z += depth.vz * f32(step)
            if rate:
                depth.vz *= f32(math.exp(-rate * dt))
            if volume is None or volume.walls == "open" or volume.far <= volume.near:
                continue
            near, through = f32(volume.near), f32(volume.far - volume.near)
            if volume.walls == "wrap":
                depth.z -= through * np.floor((depth.z - near) / through)
                continue
            below, above = depth.z < near, depth.z > near + through
            depth.z[:] = np.where(below, 2 * near - depth.z, np.where(above, 2 * (near + through) - depth.z, depth.z))
            np.clip(depth.z, near, near + through, out=depth.z)  # it may cross the whole space in one step
            kept = walls.restitution if walls is not None and walls.mode == "reflect" else 1.0
            towards = f32(kept) * np.abs(depth.vz)
            depth.vz[:] = np.where(below, towards, np.where(above, -towards, depth.vz))


class VolumeFadeSystem(System):
    """Dims particles near the planes where they wrap."""

    phase = Phase.SHADE
    needs = (Volume, Depth, Look)
    reads = (Depth,)
    writes = (Look,)

    def process(self) -> None:
        for _, (volume, depth, look) in self.world.query(Volume, Depth, Look):
            if volume.walls == "wrap" and volume.fade > 0:
                within = np.minimum(depth.z - f32(volume.near), f32(volume.far) - depth.z)
                look.light *= smooth(within / f32(volume.fade))


def smooth(share: F32) -> F32:
    """From 0 at 0 to 1 at 1, level at both."""
    s = np.clip(share, f32(0), f32(1))
    smooth: F32 = s * s * (f32(3) - 2 * s)
    return smooth
