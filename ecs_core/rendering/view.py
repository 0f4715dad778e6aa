"""View: the camera at one moment, and where it sees what.

All of it follows from the camera's numbers and the time, so a frame is the same wherever a simulation was cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ecs_core.arrays import F32
from ecs_core.ecs.components import Camera
from ecs_core.ecs.resources import Canvas
from ecs_core.systems.space import smooth

f32 = np.float32

# Shares, rates (1/s) and phases (turns) of the waves that wandering and trembling are made of, across and down.
_DRIFT = (
    ((0.60, 0.03127, 0.00), (0.30, 0.06713, 0.37), (0.10, 0.14911, 0.71)),
    ((0.60, 0.04139, 0.25), (0.40, 0.08293, 0.57)),
)
_SHAKE = (((0.50, 6.1, 0.00), (0.30, 8.9, 0.31), (0.20, 11.3, 0.77)), ((0.55, 7.3, 0.43), (0.45, 10.1, 0.11)))
_DRIFT_ROLL, _SHAKE_ROLL = 1 / 60, 1 / 30  # degrees per unit
NEAREST, _NEAR = 0.03, 0.25  # shares of the viewer's distance: what is nearer is not seen, or fades
_BRIGHTEST = 2.0  # of what is near, in fog


@dataclass(frozen=True, slots=True)
class View:
    """The camera at one moment, looking at a canvas: what is turned by how much, in units."""

    camera: Camera
    canvas: Canvas
    x: float
    y: float
    roll: float  # degrees
    turn: float  # degrees

    @staticmethod
    def of(camera: Camera, canvas: Canvas, t: float) -> View:
        """The view at ``t`` seconds of the video."""
        (drift_x, drift_y), (shake_x, shake_y) = (
            (_waves(across, t), _waves(down, t)) if extent else (0.0, 0.0)
            for (across, down), extent in ((_DRIFT, camera.drift), (_SHAKE, camera.shake))
        )
        return View(
            camera,
            canvas,
            camera.x * canvas.width + (camera.drift * drift_x + camera.shake * shake_x),
            camera.y * canvas.height + (camera.drift * drift_y + camera.shake * shake_y),
            camera.roll + (_DRIFT_ROLL * camera.drift * drift_y + _SHAKE_ROLL * camera.shake * shake_y),
            camera.angle + camera.orbit * t,
        )

    def flat(self, along: F32, across: F32) -> tuple[F32, F32]:
        """Places from the middle of what is seen, zoomed and turned, as places on the canvas of the picture."""
        c, s = self.zoomed
        return f32(self.canvas.width / 2) + c * along - s * across, f32(self.canvas.height / 2) + s * along + c * across

    @property
    def zoomed(self) -> tuple[np.float32, np.float32]:
        """Cosine and sine of the roll, times the zoom."""
        zoom, roll = self.camera.zoom, math.radians(self.roll)
        return f32(zoom * math.cos(roll)), f32(zoom * math.sin(roll))

    def projected(self, x: F32, y: F32, z: F32) -> tuple[F32, F32, F32, F32]:
        """Places in space on the picture, how much larger things are there, and their distance from the viewer."""
        camera, middle_x, middle_y = self.camera, f32(self.canvas.width / 2), f32(self.canvas.height / 2)
        turn, tilt, pivot = math.radians(self.turn), math.radians(self.camera.tilt), f32(camera.pivot)
        px, py, pz = x - middle_x, y - middle_y, z - pivot
        c, s = f32(math.cos(turn)), f32(math.sin(turn))
        px, pz = c * px + s * pz, c * pz - s * px
        c, s = f32(math.cos(tilt)), f32(math.sin(tilt))
        py, pz = c * py - s * pz, s * py + c * pz
        distance = f32(camera.perspective)
        away = pz + pivot + distance
        scale = distance / np.maximum(away, f32(NEAREST) * distance)
        seen_x, seen_y = self.flat((px + middle_x - f32(self.x)) * scale, (py + middle_y - f32(self.y)) * scale)
        return seen_x, seen_y, scale * f32(camera.zoom), away

    def place(self, x: F32, y: F32, z: F32 | None) -> tuple[F32, F32, F32]:
        """Where on the canvas of the picture something is seen, in space or on the canvas, and how much larger."""
        if z is None:
            return *self.flat(x - f32(self.x), y - f32(self.y)), np.full_like(x, self.camera.zoom)
        return self.projected(x, y, z)[:3]

    def air(self, away: F32) -> F32:
        """The share of light that is seen at a distance: fog, and what comes too near fades."""
        distance = f32(self.camera.perspective)
        seen = smooth((away / distance - f32(NEAREST)) / f32(_NEAR - NEAREST))
        if self.camera.fog:
            seen = seen * np.minimum(np.exp(f32(self.camera.fog / 1000) * (distance - away)), f32(_BRIGHTEST))
        return seen

    def blur(self, away: F32) -> F32 | None:
        """The radii (units) of the discs that points at a distance are spread to; None if all is in focus."""
        camera = self.camera
        if not camera.aperture:
            return None
        sharp = max(camera.perspective + camera.focus, NEAREST * camera.perspective)
        lens = f32(camera.aperture * camera.zoom)
        nearest = f32(NEAREST * camera.perspective)
        radii: F32 = lens * np.abs(away - f32(sharp)) / np.maximum(away, nearest)
        return radii


def _waves(waves: tuple[tuple[float, float, float], ...], t: float) -> float:
    return sum(share * math.sin(math.tau * (rate * t + phase)) for share, rate, phase in waves)
