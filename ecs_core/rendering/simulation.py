"""Simulation: a world set up for a scene, stepped frame by frame, and its sprites to draw.

The simulation-only pass, the renderer of segments and ``motes frame`` all use it, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.components import Color, Hue, Look, Position, Sprite
from ecs_core.ecs.resources import AudioFrame, Canvas
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import Snapshot, World
from ecs_core.errors import RenderError, in_a_line
from ecs_core.plugin_api import Layer, ParticleType, layers_of
from ecs_core.plugin_api.layers import MAIN
from ecs_core.raster.background import Background
from ecs_core.raster.colour import turn_hue
from ecs_core.raster.drawlist import DrawList
from ecs_core.rendering.hud import hud_sprites
from ecs_core.rendering.plan import with_levels
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


@dataclass(frozen=True, eq=False, slots=True)
class SceneSnapshot:
    """The state of all layers before a frame is simulated, by their names."""

    frame: int
    layers: Mapping[str, Snapshot]


class Simulation:
    """The worlds of a scene's layers. Use as a context manager.

    ``world`` is that of the scene's own particles; its ``frame`` is the next frame to simulate, as that of all others.
    """

    def __init__(self, particle_type: ParticleType, settings: Settings, timeline: FeatureTimeline) -> None:
        self._scale = np.float32(min(settings.width, settings.height) / UNITS)
        self._hud = settings.hud
        self._layers = layers_of(particle_type, settings)
        self._worlds: dict[str, World] = {}
        for layer in self._layers:
            heard = timeline if layer.name == MAIN else with_levels(timeline, layer.settings)
            self._worlds[layer.name] = _world_of(layer, heard)
        self.world = self._worlds[MAIN]

    def frame(self) -> DrawList:
        """Simulate the next frame and return its sprites, in pixels.

        Raises:
            RenderError: a system raised; names the particle type and the frame.
        """
        self._step()
        lists = [sprites for layer in self._layers for sprites in self._sprites(layer)]
        if self._hud:
            height = self.world.get(Canvas).height
            lists.append(hud_sprites(self.world.get(AudioFrame), height=height, scale=float(self._scale)))
        return DrawList.join(lists)

    def _sprites(self, layer: Layer) -> list[DrawList]:
        """The sprites of each population."""
        world = self._worlds[layer.name]
        seen = world.query(Table, Position, Look, Color, Sprite)
        crowd = np.float32(max(1.0, sum(len(table) for _, (table, *_) in seen) / _CROWD) ** 0.5)
        lists = []
        for entity, (table, position, look, color, sprite) in seen:
            if len(table):
                hue = world.component(entity, Hue)
                red, green, blue = color.r, color.g, color.b
                if hue is not None and hue.shift % 1:
                    red, green, blue = turn_hue(red, green, blue, hue.shift)
                light = look.light if layer.opacity == 1 else look.light * np.float32(layer.opacity)
                lists.append(self._drawn(crowd, position, look, (red * light, green * light, blue * light), sprite))
        return lists

    def _drawn(
        self, crowd: np.float32, position: Position, look: Look, color: tuple[F32, F32, F32], sprite: Sprite
    ) -> DrawList:
        red, green, blue = (np.maximum(channel, np.float32(0)) for channel in color)  # the rasteriser takes no less
        return DrawList(
            position.x * self._scale,
            position.y * self._scale,
            np.maximum(look.radius * self._scale, np.float32(0.05)),
            red,
            green,
            blue,
            _SKIRT_LIGHT * np.clip((look.radius / crowd - _SPECK) / (_STAR - _SPECK), 0, 1),
            np.full(len(position.x), sprite.shape == "disc", np.uint8),
        )

    def skip_to(self, frame: int) -> None:
        """Simulate without drawing, up to but not including ``frame``.

        Raises:
            RenderError: a system raised; names the particle type and the frame.
        """
        while self.world.frame < frame:
            self._step()

    def _step(self) -> None:
        for layer in self._layers:
            world = self._worlds[layer.name]
            try:
                world.step()
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                failed = f"particle type {layer.type.name!r} failed in frame {world.frame}"
                raise RenderError(f"{failed}: {in_a_line(error)}") from error

    def snapshot(self) -> SceneSnapshot:
        """The state before the next frame."""
        return SceneSnapshot(self.world.frame, {name: world.snapshot() for name, world in self._worlds.items()})

    def restore(self, snapshot: SceneSnapshot) -> None:
        """Resume from a snapshot, of this process or another one."""
        for name, world in self._worlds.items():
            world.restore(snapshot.layers[name])

    def close(self) -> None:
        """Delete the worlds."""
        for world in self._worlds.values():
            world.close()

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _world_of(layer: Layer, timeline: FeatureTimeline) -> World:
    """The world of a layer, before its first frame."""
    settings = layer.settings
    canvas = Canvas.of_picture(settings.width, settings.height)
    world = World(seed=layer.seed, fps=settings.rate, canvas=canvas, timeline=timeline)
    for system in (*BUILT_IN, *layer.type.systems):
        world.add(system())
    layer.type.fill(world, settings)
    attach(world, settings.bindings)
    return world


def backdrop(particle_type: ParticleType, settings: Settings) -> Background:
    """The background of a scene: the colour from the settings, or the type's own."""
    if settings.background is None:
        return particle_type.backdrop
    shown = np.minimum(settings.background, _WHITEST) / 255
    r, g, b = (float(light) for light in kernels.tone.linear_shown_as(shown))
    return Background(base=(r, g, b))
