"""Where ``flash_guard`` is "limit": a pass over small pictures of all frames decides how much light each keeps.

It comes before the plan is cut into the work of processes, so all of them draw the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ecs_core.arrays import U16
from ecs_core.flashes.light_meter import LightMeter
from ecs_core.flashes.limiter import FlashLimiter
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
            sprites, finish = picture.scaled(simulation.frame()), simulation.finish
            marks = picture.scaled_marks(simulation.marks)
            fade = plan.part.light(frame, plan.video.fps)

            def measure(gain: float) -> U16:
                what: dict[str, Any] = {"light": fade * gain, "finish": finish, "marks": marks}  # noqa: B023
                picture.rasteriser.paint(sprites, picture.planes, **what)  # noqa: B023
                return picture.meter.measure(picture.planes)

            gains[frame] = limiter.gain(measure)
            progress((frame + 1) / last)
    return replace(plan, gains=gains)


class _SmallPicture:
    """What a small picture is drawn and measured with."""

    def __init__(self, plan: RenderPlan) -> None:
        width, height = plan.video.width, plan.video.height
        scale = min(1.0, _SMALL / min(width, height))
        small = 2 * max(8, round(width * scale / 2)), 2 * max(8, round(height * scale / 2))
        self._across, self._down = np.float32(small[0] / width), np.float32(small[1] / height)
        self.planes, self.meter = Planes.empty(*small), LightMeter(*small)
        self.rasteriser = Rasteriser(*small, background=backdrop(plan.particle_type, plan.settings))

    def scaled_marks(self, marks: Marks) -> Marks:
        """Marks of the large picture in the small one."""
        across, down = float(self._across), float(self._down)
        return [replace(each, mark=each.mark.scaled(across, down)) for each in marks]

    def scaled(self, sprites: Sprites) -> Sprites:
        """Sprites of the large picture in pixels of the small one."""
        return replace(
            sprites,
            x=sprites.x * self._across,
            y=sprites.y * self._down,
            radius=sprites.radius * self._down,
            dx=None if sprites.dx is None else sprites.dx * self._across,
            dy=None if sprites.dy is None else sprites.dy * self._down,
        )
