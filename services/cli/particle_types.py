"""``motes types``: the installed particle types and their settings."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from ecs_core.errors import SceneError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ecs_core.plugin_api import ParticleType

NAME = "types"
HELP = "List the particle types, what they do, and their settings."
EXAMPLES = """\
examples:
  motes types
  motes types snow
  motes types snow --preset blizzard > mine.json
  motes types --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("name", nargs="?", metavar="TYPE", help="only this one")
    parser.add_argument("--preset", metavar="NAME", help="print a preset of TYPE, to copy and edit for --config")
    parser.add_argument("--json", action="store_true", help="print names, descriptions and JSON schemas as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the types."""
    from ecs_core.plugin_api import particle_type, particle_types
    from services.type_catalogue import describe

    registry = particle_types()
    for failure in registry.failures:
        print(f"motes: warning: {failure}", file=sys.stderr)
    if arguments.preset is not None:
        if arguments.name is None:
            raise SceneError(f"--preset {arguments.preset}: say of which type: motes types TYPE --preset NAME")
        print(json.dumps(particle_type(arguments.name).preset(arguments.preset), indent=2))
        return
    chosen = list(registry.types.values()) if arguments.name is None else [particle_type(arguments.name)]
    if arguments.json:
        print(json.dumps([describe(kind) for kind in chosen]))
        return
    for kind in chosen:
        _show(kind, whole=arguments.name is not None)


def _show(kind: ParticleType, *, whole: bool) -> None:
    from services.type_catalogue import bindable

    print(f"{kind.name}: {kind.description}")
    print_settings(kind.settings)
    if kind.preset_names():
        print(f"  presets: {', '.join(kind.preset_names())}")
    if whole:
        print_bindable(*bindable(kind))
    print()


def print_settings(settings: type[BaseModel], *, without: Collection[str] = ()) -> None:
    """Print a line for each setting: name, default, meaning, limits and unit."""
    from ecs_core.validation_messages import limits

    schema = settings.model_json_schema()
    for name, field in settings.model_fields.items():
        if name in without:
            continue
        shown = schema["properties"][name]
        given = (
            "needed"
            if field.is_required()
            else json.dumps(field.get_default(call_default_factory=True), default=_plain)
        )
        facts = ", ".join(each for each in (limits(shown, schema), shown.get("unit")) if each)
        print(f"  {name:<24} {given:<12} {shown.get('description', '')}{f' ({facts})' if facts else ''}")


def print_bindable(sources: Sequence[str], targets: Sequence[str]) -> None:
    """Print what bindings can have."""
    print(f"  a binding's source: {', '.join(sources)}")
    print(f"  a binding's target: {', '.join(targets)}")


def _plain(value: Any) -> Any:
    return value.model_dump()
