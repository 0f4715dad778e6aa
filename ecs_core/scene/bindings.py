"""Bindings of a config: find parameters by name and attach the bindings to the populations that have them.

A parameter is a numeric field of a component (``emission.rate``, ``attraction.strength``, also of a plugin's own
dataclass) or a field of Look or Velocity. Components that have no effect at rest (``gravity.y``) are added when a
binding targets them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol

from ecs_core.audio.timeline import LEVELS, FeatureTimeline
from ecs_core.ecs.components import (
    Brightness,
    Camera,
    Drag,
    EmitFrom,
    Gravity,
    Hue,
    Jitter,
    Look,
    Speed,
    Sprite,
    Trail,
    TrailPoints,
    Tumble,
    Turbulence,
    Turn,
    Velocity,
)
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.space import Depth, TrailDepths
from ecs_core.ecs.table import Column, Table
from ecs_core.ecs.values import Curve, Pareto, Range
from ecs_core.ecs.world import World
from ecs_core.errors import SceneError
from ecs_core.scene.colouring import color_populations
from ecs_core.scene.dust import Dust, add_dust
from ecs_core.scene.nested_settings import BindingSettings, CameraSettings
from ecs_core.scene.settings import Settings
from ecs_core.systems.audio_reaction import Binding, Reactive, install_driven_components, no_source
from ecs_core.systems.spawning import source_of

Target = tuple[type[Any], str]

ALIASES = {"size": "look.radius", "light": "look.light", "speed": "speed.factor", "color": "hue.shift"}
_AT_REST = (Speed(), Hue(), Gravity(), Jitter(), Drag(), Turbulence())
_SIXTEENTHS = [step / 16 for step in range(17)]
_CURVES = {
    "linear": Curve(),
    "square": Curve(tuple((at, at * at) for at in _SIXTEENTHS)),
    "root": Curve(tuple((at, at**0.5) for at in _SIXTEENTHS)),
    "smooth": Curve(tuple((at, at * at * (3 - 2 * at)) for at in _SIXTEENTHS)),
    "step": Curve(((0.0, 1.0), (1.0, 1.0))),  # with the gate: 1 at and above the threshold
}


def parameters(components: Iterable[object]) -> dict[str, Target]:
    """The bindable parameters of a population by name."""
    found: dict[str, Target] = {}
    for component in (*_AT_REST, *components):
        kind = type(component)
        if isinstance(component, Column):
            names = kind.fields if kind in (Look, Velocity) else ()
        elif is_dataclass(component) and not isinstance(component, Reactive):
            allowed = getattr(kind, "bindable", None)
            names = tuple(
                field.name
                for field in fields(component)
                if type(getattr(component, field.name)) in (int, float, Range, Pareto)
                and (allowed is None or field.name in allowed)
            )
        else:
            names = ()
        for name in names:
            found[f"{_snake(kind.__name__)}.{name}"] = (kind, name)
    return found


def attach(world: World, wanted: Sequence[BindingSettings] = ()) -> None:
    """Add the ``wanted`` bindings to the populations' own, and record the base components of all bindings.

    Raises:
        SceneError: an unknown source or target; the message lists the known ones.
    """
    for number, binding in enumerate(wanted):
        if binding.source not in world.timeline.features and world.timeline.event_of(binding.source) is None:
            raise SceneError(f"bindings.{number}.source = {binding.source!r}: {no_source(world.timeline)}")
    bound = set()
    every: dict[str, Target] = {}
    for entity in _bindable(world):
        components = world.components(entity)
        known_here = parameters(components)
        every |= known_here
        own = world.component(entity, Reactive) or Reactive(())
        mine = []
        for number, binding in enumerate(wanted):
            target = known_here.get(ALIASES.get(binding.target, binding.target))
            if target is not None:
                bound.add(number)
                components = (*components, *_missing(target[0], components))
                mine.append(_resolve(binding, target, components))
        if not (own.bindings or mine):
            continue
        base = own.base
        for component in components:
            noted = isinstance(component, Table | Column | Reactive) or type(component) in map(type, base)
            if not noted:
                base = (*base, component)
                world.replace(entity, component)
        world.replace(entity, replace(own, bindings=own.bindings + tuple(mine), base=base))
    for number, binding in enumerate(wanted):
        if number not in bound:
            names = ", ".join(sorted({*ALIASES, *every}))
            raise SceneError(f"bindings.{number}.target = {binding.target!r}: no such parameter; there are: {names}")
    install_driven_components(world)


class FillsWorlds(Protocol):
    """An object that creates the populations of a new world, such as a ParticleType."""

    @property
    def api_version(self) -> int:
        """The version of the plugin API that it was written for."""

    def fill(self, world: World, settings: Settings) -> None:
        """Create the populations."""


def fill(world: World, particle_type: FillsWorlds, settings: Settings) -> None:
    """Create the populations of a type in a new world, the scene's camera and its finish."""
    particle_type.fill(world, settings)
    look: dict[str, Any] = {} if settings.blend is None else {"blend": settings.blend}
    if settings.shutter:
        look["shutter"] = settings.shutter / 30
    for entity, (sprite,) in world.query(Sprite):
        pictured = {} if settings.texture is None or sprite.texture is not None else _picture(sprite, settings)
        world.replace(entity, replace(sprite, **look, **pictured))
        if pictured:
            if world.component(entity, Turn) is None:
                world.add_column(entity, Turn)
            if world.component(entity, Tumble) is None:
                world.replace(entity, Tumble.like(pictured["texture"]))
        if settings.blend == "over" and world.component(entity, Brightness) is None:
            world.add_column(entity, Brightness)
        # What is far out of focus has no tail: it would be as wide, and too faint to see.
        if settings.trail and sprite.shape != "disc" and world.component(entity, Velocity) is not None:
            trail = world.component(entity, Trail) or Trail()
            world.replace(entity, replace(trail, seconds=settings.trail))
            if world.component(entity, TrailPoints) is None:
                world.add_column(entity, TrailPoints)
            if world.component(entity, Depth) is not None and world.component(entity, TrailDepths) is None:
                world.add_column(entity, TrailDepths)
    color_populations(world, settings)
    if settings.dust:
        add_dust(world, settings.dust)
    for entity, (origin,) in world.query(EmitFrom):
        world.derived(entity, origin, source_of)  # that there is one
    _place_camera(world, settings.camera)
    if settings.picture_finish is not None:
        world.populate((), (settings.picture_finish,), name="scene.finish")


def _place_camera(world: World, wanted: CameraSettings | None) -> None:
    """Give a world the camera of its scene: that of its type, if it has one, with the numbers that were set."""
    if wanted is None:
        return
    values = {name: value for name, value in wanted.model_dump().items() if value != getattr(CameraSettings(), name)}
    for entity, (camera,) in world.query(Camera):
        world.replace(entity, replace(camera, **values))
        return
    world.populate((), (Camera(**values),), name="scene.camera")


def _picture(sprite: Sprite, settings: Settings) -> dict[str, Any]:
    """What makes pictures of particles; of those that are out of focus, blurred ones."""
    blur = 0.5 if sprite.shape == "disc" else 0.0
    scale = settings.texture_scale * (0.5 if blur else 1.0)  # glows seem to be smaller than they are
    return {"texture": settings.texture, "scale": scale, "blur": blur}


@contextmanager
def silent_world(particle_type: FillsWorlds, settings: Settings, features: Iterable[str] = ()) -> Iterator[World]:
    """A world of the type before its first frame, without a song; ``features`` names those of plugins."""
    silence = FeatureTimeline.silence(settings.rate, 1, more=(*LEVELS, *features))
    canvas = Canvas.of_picture(settings.width, settings.height, api_version=particle_type.api_version)
    with World(seed=settings.seed, fps=settings.rate, canvas=canvas, timeline=silence) as world:
        fill(world, particle_type, settings)
        yield world


def check_bindings(particle_type: FillsWorlds, settings: Settings, features: Iterable[str]) -> Mapping[str, Target]:
    """Check a scene's bindings against a silent world of its type; returns the bindable parameters by name.

    Raises:
        SceneError: as :func:`attach`.
    """
    found: dict[str, Target] = {}
    with silent_world(particle_type, settings, features) as world:
        attach(world, settings.bindings)
        for entity in _bindable(world):
            found |= parameters(world.components(entity))
    return found


def _bindable(world: World) -> list[int]:
    return [entity for entity, (_, dust) in world.query(Table, optional=(Dust,)) if dust is None]


def _missing(kind: type[Any], components: Sequence[object]) -> list[object]:
    present = any(type(component) is kind for component in components)
    return [] if present else [component for component in _AT_REST if type(component) is kind]


def _resolve(binding: BindingSettings, target: Target, components: Sequence[object]) -> Binding:
    kind, name = target
    return binding_of(binding, target, next((getattr(each, name) for each in components if type(each) is kind), 1.0))


def binding_of(wanted: BindingSettings, target: Target, resting: object) -> Binding:
    """A binding of a config, of a target that is ``resting`` without it."""
    kind, name = target
    op = wanted.op or ("add" if isinstance(resting, int | float) and resting == 0 else "multiply")
    return Binding(
        wanted.source,
        kind,
        name,
        op=op,
        gain=wanted.gain,
        threshold=wanted.threshold,
        curve=_CURVES[wanted.curve] if isinstance(wanted.curve, str) else Curve(wanted.curve),
        attack=wanted.attack,
        release=wanted.release,
        look_ahead=wanted.look_ahead,
        quantise=wanted.quantise,
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
