"""Simulation: the worlds of a scene's layers, stepped frame by frame, and their sprites in pixels.

The simulation-only pass, the renderer of segments and ``motes frame`` all use it, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.components import FAR
from ecs_core.ecs.resources import AudioFrame, Canvas
from ecs_core.ecs.space import MovingCamera
from ecs_core.ecs.world import Snapshot, World
from ecs_core.errors import RenderError, in_a_line
from ecs_core.layers.kind import Stage
from ecs_core.plugin_api import API_VERSION, Layer, ParticleType
from ecs_core.plugin_api.layers import MAIN, DrawnLayer, all_layers
from ecs_core.raster.background import Background
from ecs_core.raster.finish import Finish
from ecs_core.raster.marks import PlacedMark
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.drawn_layers import BackdropDrawer, LayerDrawer
from ecs_core.rendering.eye import Eye
from ecs_core.rendering.hud import hud_sprites
from ecs_core.rendering.plan import with_levels
from ecs_core.rendering.projection import dimmed
from ecs_core.scene.bindings import attach, fill
from ecs_core.scene.safe_area import safe_box
from ecs_core.scene.settings import Settings
from ecs_core.systems import BUILT_IN

_AS_DRAWN = ("disc", "texture", "angle", "squeeze")  # whatever the camera shows
_WHITEST = 254.9  # of 255: the tone curve reaches white only with infinite light


@dataclass(frozen=True, eq=False, slots=True)
class SceneSnapshot:
    """The state of all layers before a frame is simulated, by their names."""

    frame: int
    layers: Mapping[str, Snapshot]


class Simulation:
    """The worlds of a scene's layers. Use as a context manager.

    ``world`` is that of the scene's own particles; its ``frame`` is the next frame to simulate, as that of all others.
    ``marks`` are those of the frame that was simulated last, among its sprites.
    """

    def __init__(self, particle_type: ParticleType, settings: Settings, timeline: FeatureTimeline) -> None:
        self._width, self._height, self._hud = settings.width, settings.height, settings.hud
        every = all_layers(particle_type, settings)
        self._layers = tuple(layer for layer in every if isinstance(layer, Layer))
        stage = Stage(settings.width, settings.height, settings.rate, timeline)
        safe = None if settings.safe_area is None else safe_box(settings)
        self._drawn = {layer.name: LayerDrawer(layer, stage, safe) for layer in every if isinstance(layer, DrawnLayer)}
        self._backdrop = None if settings.backdrop is None else BackdropDrawer(settings.backdrop, stage)
        self._order = every
        self.marks: tuple[PlacedMark, ...] = ()
        self._worlds: dict[str, World] = {}
        try:
            for layer in self._layers:
                heard = timeline if layer.name == MAIN else with_levels(timeline, layer.settings)
                self._worlds[layer.name] = world = _world_of(layer, heard)
                fill(world, layer.type, layer.settings)
                attach(world, layer.settings.bindings)
        except BaseException:
            self.close()
            raise
        self.world = self._worlds[MAIN]
        for world in self._worlds.values():
            if Eye(world, self.world).may_move:
                world.insert(MovingCamera())

    def frame(self) -> Sprites:
        """Simulate the next frame and return its sprites, in pixels.

        Raises:
            RenderError: a system raised; names the particle type and the frame.
        """
        drawn: dict[str, list[Sprites]] = {layer.name: [] for layer in self._layers}
        self._step(drawn)
        lists: list[Sprites] = []
        marks: list[PlacedMark] = []
        if self._backdrop is not None:
            marks += self._backdrop.marks(self.world.frame - 1)
        view = Eye(self.world).view(self.world.get(Canvas)) if self._drawn else None
        for layer in self._order:
            if isinstance(layer, DrawnLayer):
                for thing in self._drawn[layer.name].marks(self.world.frame - 1, view):
                    if isinstance(thing, Sprites):
                        lists.append(thing)
                    else:
                        marks.append(PlacedMark(sum(map(len, lists)), thing, dark=not layer.settings.bloom))
                continue
            world = self._worlds[layer.name]
            eye = Eye(world, self.world)
            seen = partial(_pixels, height=self._height, eye=eye, canvas=world.get(Canvas), opacity=layer.opacity)
            lists += map(seen, drawn[layer.name])
        self.marks = tuple(marks)
        if self._hud:
            lists.append(self._hud_sprites())
        return Sprites.join(lists)

    @property
    def finish(self) -> Finish | None:
        """The finish of the picture that was simulated last; a copy, as bindings change it in place."""
        return next((copy(found) for _, (found,) in self.world.query(Finish)), None)

    def _hud_sprites(self) -> Sprites:
        canvas = Canvas.of_picture(self._width, self._height, api_version=API_VERSION)
        return hud_sprites(self.world.get(AudioFrame), height=canvas.height, scale=self._height / canvas.height)

    def skip_to(self, frame: int) -> None:
        """Simulate without drawing, up to but not including ``frame``.

        Raises:
            RenderError: a system raised; names the particle type and the frame.
        """
        while self.world.frame < frame:
            self._step()

    def _step(self, drawn: Mapping[str, list[Sprites]] | None = None) -> None:
        for layer in self._layers:
            world = self._worlds[layer.name]
            try:
                world.step(drawn=None if drawn is None else drawn[layer.name])
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                which = f" (layer {layer.name!r})" if layer.name else ""
                failed = f"particle type {layer.type.name!r}{which} failed in frame {world.frame}"
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
    """The empty world of a layer, with its systems."""
    settings = layer.settings
    canvas = Canvas.of_picture(settings.width, settings.height, api_version=layer.type.api_version)
    world = World(seed=settings.seed, fps=settings.rate, canvas=canvas, timeline=timeline)
    for system in (*BUILT_IN, *layer.type.systems):
        world.add(system())
    return world


def _pixels(sprites: Sprites, *, height: int, eye: Eye, canvas: Canvas, opacity: float) -> Sprites:
    """Sprites in units as the camera sees them, in pixels of a picture of this height.

    Nothing of them is shared with columns, which change before several frames that are simulated ahead are painted.
    """
    scale = np.float32(height / canvas.height)
    sprites = dimmed(eye.seen(sprites, canvas), np.full(1, opacity, np.float32))
    return replace(
        sprites,
        x=sprites.x * scale,
        y=sprites.y * scale,
        radius=np.maximum(sprites.radius * scale, np.float32(0.05)),
        red=_usable(sprites.red),
        green=_usable(sprites.green),
        blue=_usable(sprites.blue),
        skirt=_usable(sprites.skirt),
        cover=None if sprites.cover is None else _usable(sprites.cover),
        taper=None if sprites.taper is None else _usable(sprites.taper),
        fade=None if sprites.fade is None else _usable(sprites.fade),
        dx=None if sprites.dx is None else sprites.dx * scale,
        dy=None if sprites.dy is None else sprites.dy * scale,
        **{name: column.copy() for name in _AS_DRAWN if (column := getattr(sprites, name)) is not None},
    )


def _usable(values: F32) -> F32:
    """Values that the rasteriser can draw, whatever a system made of them: 0 for less, and for what is no number."""
    usable: F32 = np.fmin(np.fmax(values, np.float32(0)), np.float32(FAR))
    return usable


def backdrop(particle_type: ParticleType, settings: Settings) -> Background:
    """The background of a scene: the colour from the settings, or the type's own."""
    if settings.background is None:
        return particle_type.backdrop
    shown = np.minimum(settings.background, _WHITEST) / 255
    r, g, b = (float(light) for light in kernels.curve.linear_shown_as(shown))
    return Background(base=(r, g, b))
