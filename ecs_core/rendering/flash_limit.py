"""Where ``flash_guard`` is "limit": a pass over small pictures of all frames decides how much light each keeps.

It comes before the plan is cut into the work of processes, so all of them draw the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from ecs_core.arrays import U16
from ecs_core.flashes.light_meter import LightMeter
from ecs_core.flashes.limiter import FlashLimiter
from ecs_core.raster.finish import Finish
from ecs_core.raster.marks import Marks
from ecs_core.raster.rasteriser import Planes, Rasteriser
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.plan import RenderPlan
from ecs_core.rendering.simulation import Simulation, backdrop

_SMALL = 270  # pixels of the shorter side of the small picture


def with_limited_flashes(
    plan: RenderPlan, *, frames: int | None = None, progress: Callable[[float], None] = lambda share: None
) -> RenderPlan:
    """The plan with a factor on the light of each frame, if its settings ask for it; of the first ``frames`` at least.

    ``progress`` is called with the share, 0–1, that is done.
    """
    if plan.settings.flash_guard != "limit":
        return plan
    last = plan.frames if frames is None else frames
    gains = np.ones(plan.frames, np.float32)
    picture = _SmallPicture(plan)
    limiter = FlashLimiter(plan.video.fps)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        for frame in range(last):
            drawn = *picture.scaled(simulation.frame(), simulation.marks), simulation.finish
            light = partial(picture.light, *drawn, fade=plan.part.light(frame, plan.video.fps))
            gains[frame] = limiter.gain(light)
            progress((frame + 1) / last)
    return replace(plan, gains=gains)


class _SmallPicture:
    """What a small picture is drawn and measured with."""

    def __init__(self, plan: RenderPlan) -> None:
        width, height = plan.video.width, plan.video.height
        scale = min(1.0, _SMALL / min(width, height))
        small = 2 * max(8, round(width * scale / 2)), 2 * max(8, round(height * scale / 2))
        self._across, self._down = np.float32(small[0] / width), np.float32(small[1] / height)
        self._planes, self._meter = Planes.empty(*small), LightMeter(*small)
        self._rasteriser = Rasteriser(*small, background=backdrop(plan.particle_type, plan.settings))

    def light(self, sprites: Sprites, marks: Marks, finish: Finish | None, gain: float, *, fade: float) -> U16:
        """The light of a frame, as :meth:`scaled` returns it, with a factor on it."""
        self._rasteriser.paint(sprites, self._planes, light=fade * gain, finish=finish, marks=marks)
        return self._meter.measure(self._planes)

    def scaled(self, sprites: Sprites, marks: Marks) -> tuple[Sprites, Marks]:
        """Sprites and marks of the large picture in pixels of the small one."""
        across, down = float(self._across), float(self._down)
        small_marks = [replace(each, mark=each.mark.scaled(across, down)) for each in marks]
        small = replace(
            sprites,
            x=sprites.x * self._across,
            y=sprites.y * self._down,
            radius=sprites.radius * self._down,
            dx=None if sprites.dx is None else sprites.dx * self._across,
            dy=None if sprites.dy is None else sprites.dy * self._down,
        )
        return small, small_marks
