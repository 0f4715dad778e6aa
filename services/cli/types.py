"""``motes types``: the particle types that are installed and their settings."""

from __future__ import annotations

import argparse
import json
import sys

from ecs_core.plugin_api import ParticleType, particle_types

HELP = "List the particle types, what they do, and their settings."
EXAMPLES = """\
examples:
  motes types
  motes types snow
  motes types --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("name", nargs="?", metavar="TYPE", help="only this one")
    parser.add_argument("--json", action="store_true", help="print names, descriptions and JSON schemas as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the types."""
    from ecs_core.errors import SceneError  # noqa: PLC0415

    registry = particle_types()
    for failure in registry.failures:
        print(f"motes: warning: {failure}", file=sys.stderr)
    if arguments.name is not None and arguments.name not in registry.types:
        raise SceneError(f"Invalid particle type: {arguments.name}. Available types: {sorted(registry.types)}")
    chosen = [kind for name, kind in registry.types.items() if arguments.name in (None, name)]
    if arguments.json:
        print(json.dumps([describe(kind) for kind in chosen]))
        return
    for kind in chosen:
        print(f"{kind.name}: {kind.description}")
        for name, field in kind.settings.model_fields.items():
            default = field.get_default(call_default_factory=True)
            shown = json.dumps(default.model_dump() if hasattr(default, "model_dump") else default)
            print(f"  {name:<24} {shown:<12} {field.description or ''}")
        print()


def describe(kind: ParticleType) -> dict[str, object]:
    """A type as plain data, with the JSON schema of its settings."""
    return {
        "type": kind.name,
        "name": kind.name.replace("_", " ").title(),
        "description": kind.description,
        "features": list(kind.features),
        "config_schema": kind.settings.model_json_schema(),
    }
