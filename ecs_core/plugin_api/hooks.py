"""Hooks that a plugin may implement. They run at load time and before and after a render, never per frame."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from ecs_core.audio.timeline import AudioFeature
from ecs_core.layers.kind import LayerKind
from ecs_core.plugin_api.particle_type import ParticleType
from ecs_core.scene.render_result import RenderResult
from ecs_core.scene.scene import Scene

hookspec = pluggy.HookspecMarker("motes")
hookimpl = pluggy.HookimplMarker("motes")


@hookspec
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Call ``register`` once for each particle type of the plugin."""


@hookspec
def motes_layers(register: Callable[[LayerKind], None]) -> None:
    """Call ``register`` once for each kind of layers of the plugin."""


@hookspec
def motes_audio_features(register: Callable[[AudioFeature], None]) -> None:
    """Call ``register`` once for each audio feature of the plugin; bindings can use its name."""


@hookspec
def motes_before_render(scene: Scene) -> None:
    """Called before a render, for observation only: an exception becomes a warning of the render."""


@hookspec
def motes_after_render(scene: Scene, stats: RenderResult) -> None:
    """Called after a render, for observation only: an exception becomes a warning of the render."""
