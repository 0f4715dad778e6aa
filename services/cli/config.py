"""``motes config``: every setting of the service, its value and where it comes from."""

from __future__ import annotations

import argparse
import json
from typing import Any

from services.cli.service_settings import add_data_argument, settings_from, shown, variable, warn_of_misspelt
from services.cli.tables import print_table

HELP = "List every setting of the service: its variable, its value, its default, and what it is."
EXAMPLES = """\
examples:
  motes config
  MOTES_PORT=9000 motes config
  motes config --json
"""
_IN_FORCE = {"database_url": "database", "storage_url": "storage"}  # what an empty one defaults to


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_data_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the settings with secrets masked."""
    settings = settings_from(arguments, "data")
    warn_of_misspelt()
    found: list[dict[str, Any]] = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, _IN_FORCE.get(name, name))
        default = field.get_default(call_default_factory=True)
        found.append(
            {
                "name": name,
                "variable": variable(name),
                "value": shown(name, value),
                "default": shown(name, default),
                "given": name in settings.model_fields_set,
                "description": field.description or "",
            }
        )
    if arguments.json:
        print(json.dumps(found))
        return
    headings = ("SETTING", "VARIABLE", "VALUE", "DEFAULT", "WHAT IT IS")
    keys = ("name", "variable", "value", "default", "description")
    print_table(headings, ([each[key] or None for key in keys] for each in found))
