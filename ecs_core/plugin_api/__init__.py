"""The plugin API: what plugins register, how they are found, and how a scene finds its particle type."""

from ecs_core.plugin_api.hooks import hookimpl
from ecs_core.plugin_api.layers import Layer, layers_of
from ecs_core.plugin_api.particle_type import API_VERSION, ParticleType
from ecs_core.plugin_api.registry import Plugin, Registry, particle_type, particle_types
from ecs_core.plugin_api.resolution import outputs_of, resolve

__all__ = [
    "API_VERSION",
    "Layer",
    "ParticleType",
    "Plugin",
    "Registry",
    "hookimpl",
    "layers_of",
    "outputs_of",
    "particle_type",
    "particle_types",
    "resolve",
]
