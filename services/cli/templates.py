"""``motes templates``: the templates, and their slots."""

from __future__ import annotations

import argparse

HELP = "List the templates: whole looks with slots for a cover, a title, lyrics …"
EXAMPLES = """\
examples:
  motes templates
  motes templates cover-ring
  motes templates cover-ring --json > mine.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="only this one, or a file")
    parser.add_argument("--json", action="store_true", help="print JSON, to copy and edit for --template FILE.json")


def run(arguments: argparse.Namespace) -> None:
    """Print the templates."""
    import json

    from ecs_core.templates.template import find_template, template_names

    templates = [find_template(name) for name in ([arguments.name] if arguments.name is not None else template_names())]
    if arguments.json:
        plain = [each.model_dump(mode="json", exclude_defaults=True) | {"version": each.version} for each in templates]
        print(json.dumps(plain if arguments.name is None else plain[0], indent=2, ensure_ascii=False))
        return
    for each in templates:
        print(f"{each.name}: {each.description}")
        for name, slot in each.slots.items():
            print(f"  {name:<12} {slot.kind:<7} {'needed: ' if slot.required else ''}{slot.description}".rstrip())
        print()
