"""Particle types as plain data, for the command line and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecs_core import SceneError
from ecs_core.audio.timeline import EVENTS, FEATURES, LEVELS
from ecs_core.plugin_api import ParticleType, particle_types
from ecs_core.scene.bindings import ALIASES, check_bindings


def bindable(kind: ParticleType) -> tuple[list[str], list[str]]:
    """Valid sources and targets of a type's bindings."""
    features = particle_types().features
    targets = check_bindings(kind, kind.settings(), features)
    return [*FEATURES, *LEVELS, *features, *EVENTS], [*ALIASES, *sorted(targets)]


def describe(kind: ParticleType, *, local: bool = True) -> dict[str, object]:
    """A type as plain data, with the JSON schema of its settings; without ``local``, as a service takes them."""
    sources, targets = bindable(kind)
    schema = kind.settings.model_json_schema()
    if not local:
        for name in local_settings(kind):
            shown = schema["properties"][name]
            kept = {word: shown[word] for word in ("title", "default", "group", "local")}
            what = f"no use here ({shown['description']})"
            schema["properties"][name] = kept | {"type": "null", "description": what}
    return {
        "type": kind.name,
        "name": kind.name.replace("_", " ").title(),
        "description": kind.description,
        "features": list(kind.features),
        "config_schema": schema,
        "presets": {name: kind.preset(name) for name in kind.preset_names()},
        "bindable": {"sources": sources, "targets": targets},
    }


def local_settings(kind: ParticleType) -> list[str]:
    """The settings of a type that name something on the machine that renders, such as a file."""
    extras = ((name, field.json_schema_extra) for name, field in kind.settings.model_fields.items())
    return [name for name, extra in extras if isinstance(extra, dict) and extra.get("local")]


def refuse_local_settings(particle_type: str, config: Mapping[str, Any]) -> None:
    """Refuse a client's config, as it was sent, that names something on this machine, in a layer, too.

    It comes before any other check, as those may open what it names.

    Raises:
        SceneError: names the setting.
    """
    layers = config.get("layers")
    parts: list[tuple[str, object, object]] = [("", particle_type, config)]
    for number, layer in enumerate(layers if isinstance(layers, list) else ()):
        if isinstance(layer, dict):
            parts.append((f"layers.{number}: ", layer.get("type"), layer.get("config")))
    types = particle_types().types
    for where, name, own in parts:
        kind = types.get(name) if isinstance(name, str) else None
        if kind is None or not isinstance(own, Mapping):
            continue  # which the checks of the config report
        for setting in local_settings(kind):
            if (given := own.get(setting)) is not None:
                raise SceneError(
                    f"{where}{setting} = {repr(given)[:100]}: names a file of the machine that renders, which only the"
                    " command line and the library may; leave it out"
                )
