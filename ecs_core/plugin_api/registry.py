"""Registry: the particle types of all plugins that load, and the reasons of those that do not.

Motes' own types come through the same ``motes`` entry-point group as anybody else's. One broken plugin is left out
and named; the rest works.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

import pluggy

from ecs_core.errors import PluginError
from ecs_core.plugin_api import hooks
from ecs_core.plugin_api.particle_type import ParticleType

GROUP = "motes"


@dataclass(frozen=True)
class Registry:
    """``types`` by name, and ``failures``: one line for each plugin that was left out."""

    types: Mapping[str, ParticleType]
    failures: tuple[str, ...]


@functools.cache
def particle_types() -> Registry:
    """Everything registered by the installed plugins; loaded once per process."""
    found = sorted(entry_points(group=GROUP), key=lambda point: (point.value, point.name))
    return load(found)


def load(points: list[EntryPoint]) -> Registry:
    """The types of the given entry points, each loaded on its own so that none can take another down."""
    types: dict[str, ParticleType] = {}
    failures: list[str] = []
    for point in points:
        try:
            brought: dict[str, ParticleType] = {}
            for particle_type in _types_of(point):
                if particle_type.name in types or particle_type.name in brought:
                    raise PluginError(f"particle type {particle_type.name!r} is registered already")
                brought[particle_type.name] = particle_type
            types |= brought  # all of a plugin or nothing
        except (Exception, SystemExit) as error:
            owner = point.dist.name if point.dist else "unknown distribution"
            failures.append(f"{owner}: plugin {point.name!r} ({point.value}) is left out: {_line(error)}")
    return Registry(MappingProxyType(dict(sorted(types.items()))), tuple(failures))


def _types_of(point: EntryPoint) -> list[ParticleType]:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hooks)
    manager.register(point.load(), name=point.name)
    manager.check_pending()  # a misspelt hook is an error, not a silence
    registered: list[ParticleType] = []
    manager.hook.motes_particle_types(register=registered.append)
    for particle_type in registered:
        if not isinstance(particle_type, ParticleType):
            raise PluginError(f"registered {particle_type!r}, which is not a ParticleType")
    return registered


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
