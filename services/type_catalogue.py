"""Particle types as plain data, for the command line and the API."""

from __future__ import annotations

from ecs_core.audio.timeline import EVENTS, FEATURES, LEVELS
from ecs_core.plugin_api import ParticleType, particle_types
from ecs_core.scene.bindings import ALIASES, check_bindings


def bindable(kind: ParticleType) -> tuple[list[str], list[str]]:
    """Valid sources and targets of a type's bindings."""
    features = particle_types().features
    targets = check_bindings(kind, kind.settings(), features)
    return [*FEATURES, *LEVELS, *features, *EVENTS], [*ALIASES, *sorted(targets)]


def describe(kind: ParticleType) -> dict[str, object]:
    """A type as plain data, with the JSON schema of its settings."""
    sources, targets = bindable(kind)
    return {
        "type": kind.name,
        "name": kind.name.replace("_", " ").title(),
        "description": kind.description,
        "features": list(kind.features),
        "config_schema": kind.settings.model_json_schema(),
        "presets": {name: kind.preset(name) for name in kind.preset_names()},
        "bindable": {"sources": sources, "targets": targets},
    }
