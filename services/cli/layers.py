"""``motes layers``: the kinds of layers that a config can have, and their settings."""

from __future__ import annotations

import argparse
import json
import sys

HELP = "List the kinds of layers: particles, pictures and what else a scene can show, and their settings."
EXAMPLES = """\
examples:
  motes layers
  motes layers image
  motes layers --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("kind", nargs="?", metavar="KIND", help="only this one, with the settings that all have")
    parser.add_argument("--json", action="store_true", help="print descriptions and JSON schemas as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the kinds."""
    from ecs_core.plugin_api import particle_types
    from ecs_core.plugin_api.registry import layer_kind
    from ecs_core.scene.layer_settings import PARTICLES, ParticleLayer, PlacedLayer
    from services.cli.particle_types import print_bindable, print_settings
    from services.type_catalogue import describe_layers

    for failure in particle_types().failures:
        print(f"motes: warning: {failure}", file=sys.stderr)
    asked = arguments.kind
    if asked not in (None, PARTICLES):
        layer_kind(asked)  # refuses what there is not
    kinds = [each for each in describe_layers() if asked in (None, each["kind"])]
    if arguments.json:
        print(json.dumps(kinds))
        return
    for each in kinds:
        print(f"{each['kind']}: {each['description']}")
        settings = ParticleLayer if each["kind"] == PARTICLES else layer_kind(str(each["kind"])).settings
        shared = PlacedLayer.model_fields if asked is None and settings is not ParticleLayer else ()
        print_settings(settings, without={"kind", *shared})
        if asked is not None and settings is not ParticleLayer:
            bindable = each["bindable"]
            assert isinstance(bindable, dict)
            print_bindable(bindable["sources"], bindable["targets"])
        print()
    if asked is None:
        print("all kinds but particles:")
        print_settings(PlacedLayer, without={"kind"})
