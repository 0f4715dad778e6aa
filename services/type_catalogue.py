"""Particle types as plain data, for the command line and the API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ecs_core.audio.timeline import EVENTS, FEATURES, LEVELS
from ecs_core.plugin_api import ParticleType, particle_types
from ecs_core.scene.bindings import ALIASES, check_bindings

REFERENCE = re.compile(r"asset:[0-9a-f]{64}")
_USABLE = ("image", "lyrics")  # assets that settings can refer to; the others have no setting yet that takes them


def can_be_asset(kind: str | None) -> bool:
    """Whether a setting can refer to assets of this kind."""
    return kind in _USABLE


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
            kept = {word: shown[word] for word in ("title", "default", "group", "local", "asset") if word in shown}
            schema["properties"][name] = kept | _as_a_service_takes_it(shown)
    return {
        "type": kind.name,
        "name": kind.name.replace("_", " ").title(),
        "description": kind.description,
        "features": list(kind.features),
        "config_schema": schema,
        "presets": {name: kind.preset(name) for name in kind.preset_names()},
        "bindable": {"sources": sources, "targets": targets},
    }


def _as_a_service_takes_it(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a local setting in the API: a reference to an asset, or nothing at all."""
    if not can_be_asset(shown.get("asset")):
        return {"type": "null", "description": f"no use here ({shown['description']})"}
    return {
        "anyOf": [{"type": "string", "pattern": f"^{REFERENCE.pattern}$"}, {"type": "null"}],
        "description": f"asset:ID of an uploaded {shown['asset']} ({shown['description']})",
    }


def local_settings(kind: ParticleType) -> dict[str, str | None]:
    """The settings of a type that name something on the machine that renders, such as a file, and as what kind of
    asset clients of a service can upload it; None where they cannot.
    """
    extras = ((name, field.json_schema_extra) for name, field in kind.settings.model_fields.items())
    local = {name: extra.get("asset") for name, extra in extras if isinstance(extra, dict) and extra.get("local")}
    return {name: asset if isinstance(asset, str) and can_be_asset(asset) else None for name, asset in local.items()}
