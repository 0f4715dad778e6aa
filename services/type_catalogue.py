"""Particle types and kinds of layers as plain data, for the command line and the API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import isclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from ecs_core.audio.timeline import EVENTS, FEATURES, LEVELS
from ecs_core.layers.kind import LayerKind
from ecs_core.plugin_api import ParticleType, particle_types
from ecs_core.scene.bindings import ALIASES, check_bindings
from ecs_core.scene.layer_settings import PARTICLES, ParticleLayer

REFERENCE = re.compile(r"asset:[0-9a-f]{64}")
_PARTICLES = "more particles, of another type or of the same one with other settings"
Place = tuple[str | int, ...]  # of a value in a config: names of settings, and numbers in lists


def bindable(kind: ParticleType) -> tuple[list[str], list[str]]:
    """Valid sources and targets of a type's bindings."""
    targets = check_bindings(kind, kind.settings(), particle_types().features)
    return _sources(), [*ALIASES, *sorted(targets)]


def _sources() -> list[str]:
    return [*FEATURES, *LEVELS, *particle_types().features, *EVENTS]


def describe(kind: ParticleType, *, local: bool = True) -> dict[str, object]:
    """A type as plain data, with the JSON schema of its settings; without ``local``, as a service takes them."""
    sources, targets = bindable(kind)
    return {
        "type": kind.name,
        "name": kind.name.replace("_", " ").title(),
        "description": kind.description,
        "features": list(kind.features),
        "config_schema": _schema(kind.settings, local=local),
        "presets": {name: kind.preset(name) for name in kind.preset_names()},
        "bindable": {"sources": sources, "targets": targets},
    }


def describe_layers(*, local: bool = True) -> list[dict[str, object]]:
    """The kinds of layers as plain data, by name, particles first; as :func:`describe`."""
    particles = _described(PARTICLES, _PARTICLES, ParticleLayer, None, local=local)
    kinds = sorted(particle_types().layers.values(), key=lambda kind: kind.name)
    return [particles, *(describe_layer(kind, local=local) for kind in kinds)]


def describe_layer(kind: LayerKind, *, local: bool = True) -> dict[str, object]:
    """A kind of layers as plain data, with the JSON schema of its settings; as :func:`describe`."""
    return _described(kind.name, kind.description, kind.settings, kind.targets, local=local)


def _described(
    name: str, description: str, settings: type[BaseModel], targets: tuple[str, ...] | None, *, local: bool
) -> dict[str, object]:
    schema = _schema(settings, local=local)
    shown = schema["properties"]["kind"]
    schema["properties"]["kind"] = {key: shown[key] for key in ("title", "description", "group")} | {"const": name}
    # Bindings of particles are those of their type, in their config.
    sources = [] if targets is None else _sources()
    return {
        "kind": name,
        "description": description,
        "config_schema": schema,
        "bindable": {"sources": sources, "targets": sorted(targets or ())},
    }


def _schema(settings: type[BaseModel], *, local: bool) -> dict[str, Any]:
    schema = settings.model_json_schema()
    for part in () if local else (schema, *schema.get("$defs", {}).values()):
        for name, shown in part.get("properties", {}).items():
            if shown.get("local"):
                kept = {word: shown[word] for word in ("title", "default", "group", "local", "asset") if word in shown}
                required = name in part.get("required", ())
                part["properties"][name] = kept | _as_a_service_takes_it(shown, required=required)
    return schema


def _as_a_service_takes_it(shown: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    """The schema of a local setting in the API: a reference to an asset, or nothing at all."""
    if "asset" not in shown:
        return {"type": "null", "description": f"no use here ({shown['description']})"}
    reference = {"type": "string", "pattern": f"^{REFERENCE.pattern}$"}
    taken = reference if required else {"anyOf": [reference, {"type": "null"}]}
    return taken | {"description": f"asset:ID of an uploaded {shown['asset']} ({shown['description']})"}


def local_settings(settings: type[BaseModel]) -> dict[str, str | None]:
    """The settings of a model that name something on the machine that renders, such as a file, and as what kind of
    asset clients of a service can upload it; None where they cannot.
    """
    extras = ((name, field.json_schema_extra) for name, field in settings.model_fields.items())
    local = {name: extra.get("asset") for name, extra in extras if isinstance(extra, dict) and extra.get("local")}
    return {name: asset if isinstance(asset, str) else None for name, asset in local.items()}


def local_values(settings: type[BaseModel], given: Mapping[str, Any]) -> Iterator[tuple[Place, str | None, object]]:
    """Where values that were given for a model's settings name something on the machine that renders, also within
    settings that are models or lists of them: the place, the kind of asset as :func:`local_settings`, the value.

    Nothing is checked: what is given may be anything.
    """
    local = local_settings(settings)
    for name, field in settings.model_fields.items():
        value = given.get(name)
        if value is None:
            continue
        if name in local:
            yield (name,), local[name], value
        else:
            for place, asset, each in _within(field.annotation, value):
                yield (name, *place), asset, each


def _within(annotation: Any, value: object) -> Iterator[tuple[Place, str | None, object]]:
    origin, parts = get_origin(annotation), get_args(annotation)
    if isclass(annotation) and issubclass(annotation, BaseModel):
        if isinstance(value, Mapping) and _can_be(annotation, value):
            yield from local_values(annotation, value)
    elif isclass(origin) and issubclass(origin, Mapping):
        for key, each in value.items() if isinstance(value, Mapping) else ():
            for place, asset, found in _within(parts[1], each):
                yield (key, *place), asset, found
    elif origin in (tuple, list):
        for number, each in enumerate(value if isinstance(value, list) else ()):
            for element in dict.fromkeys(parts):
                for place, asset, found in _within(element, each):
                    yield (number, *place), asset, found
    elif origin is not Literal:
        for part in parts:  # of a union, or of what is annotated
            yield from _within(part, value)


def _can_be(model: type[BaseModel], value: Mapping[str, Any]) -> bool:
    """Whether what is given can be this one of several models, which their ``kind`` tells apart."""
    field = model.model_fields.get("kind")
    if field is None or get_origin(field.annotation) is not Literal:
        return True
    return value.get("kind", field.default) in get_args(field.annotation)
