"""Simulation: a world set up for a scene, stepped frame by frame, and its sprites to draw.

The simulation-only pass, the renderer of segments and ``motes frame`` all use it, so they cannot differ.
"""

from __future__ import annotations

from types import TracebackType

import numpy as np

from ecs_core import kernels
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.components import Color, Hue, Look, Position, Sprite
from ecs_core.ecs.resources import AudioFrame, Canvas
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import Snapshot, World
from ecs_core.errors import RenderError, in_a_line
from ecs_core.plugin_api import ParticleType
from ecs_core.raster.background import Background
from ecs_core.raster.colour import turn_hue
from ecs_core.raster.drawlist import DrawList
from ecs_core.rendering.hud import hud_sprites
from ecs_core.scene.bindings import attach
from ecs_core.scene.settings import Settings
from ecs_core.systems import BUILT_IN

UNITS = 1080.0  # of the shorter side of the picture
_WHITEST = 254.9  # of 255: the tone curve reaches white only with infinite light
# Small particles are points; between these two radii (units) they gain the wide, faint skirt of a star. Most particles
# are points, as skirts are the most expensive thing to draw. In a crowd, where skirts would drown each other, only the
# larger particles have one: both radii grow with the square root of the number of particles.
_SPECK, _STAR = np.float32(1.3), np.float32(2.6)
_CROWD = 1000
_SKIRT_LIGHT = np.float32(0.05)  # of its core's light


class Simulation:
    """The world of a scene. Use as a context manager; ``world.frame`` is the next frame to simulate."""

    def __init__(self, particle_type: ParticleType, settings: Settings, timeline: FeatureTimeline) -> None:
        short = min(settings.width, settings.height)
        canvas = Canvas(width=UNITS * settings.width / short, height=UNITS * settings.height / short)
        self.world = World(seed=settings.seed, fps=settings.rate, canvas=canvas, timeline=timeline)
        self._scale = np.float32(short / UNITS)
        self._type = particle_type.name
        for system in (*BUILT_IN, *particle_type.systems):
            self.world.add(system())
        particle_type.fill(self.world, settings)
        attach(self.world, settings.bindings)
        self._hud = settings.hud

    def frame(self) -> DrawList:
        """Simulate the next frame and return its sprites, in pixels.

        Raises:
            RenderError: a system raised; names the particle type and the frame.
        """
        self._step()
        seen = self.world.query(Table, Position, Look, Color, Sprite)
        crowd = max(1.0, sum(len(table) for _, (table, *_) in seen) / _CROWD) ** 0.5
        lists = [self._sprites(entity, np.float32(crowd), *parts) for entity, (_, *parts) in seen if len(parts[0].x)]
        if self._hud:
            height = self.world.get(Canvas).height
            lists.append(hud_sprites(self.world.get(AudioFrame), height=height, scale=float(self._scale)))
        return DrawList.join(lists)

    def _sprites(
        self, entity: int, crowd: np.float32, position: Position, look: Look, color: Color, sprite: Sprite
    ) -> DrawList:
        disc = np.full(len(position.x), sprite.shape == "disc", np.uint8)
        r, g, b = color.r, color.g, color.b
        hue = self.world.component(entity, Hue)
        if hue is not None and hue.shift % 1:
            r, g, b = turn_hue(r, g, b, hue.shift)
        dark = np.float32(0)  # a system may write less, which the rasteriser cannot draw
        red, green, blue = (np.maximum(channel * look.light, dark) for channel in (r, g, b))
        return DrawList(
            position.x * self._scale,
            position.y * self._scale,
            np.maximum(look.radius * self._scale, np.float32(0.05)),
            red,
            green,
            blue,
            _SKIRT_LIGHT * np.clip((look.radius / crowd - _SPECK) / (_STAR - _SPECK), 0, 1),
            disc,
        )

    def skip_to(self, frame: int) -> None:
        """Simulate without drawing, up to but not including ``frame``.

        Raises:
            RenderError: a system raised; names the particle type and the frame.
        """
        while self.world.frame < frame:
            self._step()

    def _step(self) -> None:
        try:
            self.world.step()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failed = f"particle type {self._type!r} failed in frame {self.world.frame}"
            raise RenderError(f"{failed}: {in_a_line(error)}") from error

    def snapshot(self) -> Snapshot:
        """The state before the next frame."""
        return self.world.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Resume from a snapshot, of this process or another one."""
        self.world.restore(snapshot)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.world.close()


def backdrop(particle_type: ParticleType, settings: Settings) -> Background:
    """The background of a scene: the colour from the settings, or the type's own."""
    if settings.background is None:
        return particle_type.backdrop
    shown = np.minimum(settings.background, _WHITEST) / 255
    r, g, b = (float(light) for light in kernels.tone.linear_shown_as(shown))
    return Background(base=(r, g, b))
