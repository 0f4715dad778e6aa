"""The hooks that a plugin may implement. They run when plugins are loaded, never per frame."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from ecs_core.plugin_api.particle_type import ParticleType

hookspec = pluggy.HookspecMarker("motes")
hookimpl = pluggy.HookimplMarker("motes")


@hookspec
def motes_particle_types(register: Callable[[ParticleType], None]) -> None:
    """Call ``register`` once for each particle type that the plugin brings."""
