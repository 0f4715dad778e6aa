"""``motes plugin``: list plugins, create a package for a new one, preview one under development."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from services.cli import plugin_dev, plugin_new

HELP = "List plugins, begin a new one, or preview one while you write it."
EXAMPLES = """\
examples:
  motes plugin list
  motes plugin new glitter
  motes plugin dev glitter --song song.mp3
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the three commands and their arguments."""
    commands = parser.add_subparsers(dest="plugin_command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="every plugin that was found, what it brings, and why some are left out")
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(do=_list)
    new = commands.add_parser("new", help="write a package that works, to change into yours")
    new.add_argument("name", metavar="NAME", type=Path, help="the folder to write; its name is the type's")
    new.set_defaults(do=_new)
    dev = commands.add_parser("dev", help="render a short preview, and again whenever a file is saved")
    plugin_dev.add_arguments(dev)
    dev.set_defaults(do=plugin_dev.run)


def run(arguments: argparse.Namespace) -> None:
    """Run the subcommand."""
    arguments.do(arguments)


def _list(arguments: argparse.Namespace) -> None:
    from ecs_core.plugin_api import particle_types

    plugins = sorted(particle_types().plugins, key=lambda plugin: (plugin.distribution, plugin.name))
    if arguments.json:
        print(json.dumps([asdict(plugin) for plugin in plugins]))
        return
    rows: list[tuple[str, ...]] = [("PLUGIN", "DISTRIBUTION", "TYPES", "LAYERS", "AUDIO FEATURES")]
    for plugin in plugins:
        owner = f"{plugin.distribution} {plugin.version}".strip()
        brought = (plugin.types, plugin.layers, plugin.features)
        rows.append((plugin.name, owner, *(", ".join(each) or "-" for each in brought)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row, plugin_ in zip(rows, (None, *plugins), strict=True):
        print("  ".join((*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[4])))
        if plugin_ is not None and plugin_.failure is not None:
            print(f"  left out: {plugin_.failure}")


def _new(arguments: argparse.Namespace) -> None:
    written = plugin_new.write(arguments.name)
    print(f"{written.folder}: a package that works. Next:")
    print(f"  motes plugin dev {written.folder} --song SONG   # see it, and see it change")
    print(f"  pip install --editable {written.folder}         # use it: motes render SONG --type {written.type}")
    print(f"  pytest {written.folder}                         # does it keep the contract?")
