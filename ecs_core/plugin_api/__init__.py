"""The contract between Motes and particle types: what a plugin registers and how it is found."""

from ecs_core.plugin_api.hooks import hookimpl
from ecs_core.plugin_api.particle_type import API_VERSION, ParticleType
from ecs_core.plugin_api.registry import Plugin, Registry, particle_types
from ecs_core.plugin_api.resolution import particle_type, resolve

__all__ = [
    "API_VERSION",
    "ParticleType",
    "Plugin",
    "Registry",
    "hookimpl",
    "particle_type",
    "particle_types",
    "resolve",
]
