"""``motes db``: the schema of the service's database. Every command that needs it upgrades it."""

from __future__ import annotations

import argparse
import asyncio

from services.cli.service_database import migrate, one_line_errors, prepare, schema_revisions
from services.cli.service_settings import add_data_argument, settings_from
from services.observability.masking import masked_value

HELP = "Bring the structure of the database up to date, or tell how it stands."
EXAMPLES = """\
examples:
  motes db current
  motes db upgrade
  motes db repair --deep
  MOTES_DATABASE_URL=postgresql+asyncpg://db/motes motes db upgrade
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands."""
    commands = parser.add_subparsers(dest="db_command", required=True, metavar="COMMAND")
    upgrade = commands.add_parser("upgrade", help="bring it up to date; harmless where it is, and while others use it")
    upgrade.set_defaults(do=_upgrade)
    current = commands.add_parser("current", help="which structure it has, and which this Motes needs")
    current.set_defaults(do=_current)
    repair = commands.add_parser(
        "repair",
        help="with the service stopped: forget what storage has lost, so that it is made again; plan unfinished jobs "
        "anew",
    )
    repair.add_argument("--deep", action="store_true", help="read every file, to find what has changed")
    repair.set_defaults(do=_repair)
    for command in (upgrade, current, repair):
        add_data_argument(command)


def run(arguments: argparse.Namespace) -> None:
    """Run the subcommand."""
    arguments.do(arguments)


def _upgrade(arguments: argparse.Namespace) -> None:
    settings = settings_from(arguments, "data")
    before, needed = schema_revisions(settings)
    migrate(settings)
    change = "up to date" if before == needed else f"{before or 'none'} → {needed}"
    print(f"{masked_value(settings.database)}: {change}")


def _current(arguments: argparse.Namespace) -> None:
    settings = settings_from(arguments, "data")
    here, needed = schema_revisions(settings)
    advice = "up to date" if here == needed else f"this Motes needs {needed}: run motes db upgrade"
    print(f"{masked_value(settings.database)}: {here or 'none'}, {advice}")


def _repair(arguments: argparse.Namespace) -> None:
    settings = settings_from(arguments, "data")
    prepare(settings)
    from services.retention.repair import repair
    from services.storage.object_store import Storage

    with one_line_errors(settings):
        done = asyncio.run(repair(settings.database, Storage(settings.storage), deep=arguments.deep))
    for key in done.damaged:
        print(f"damaged: {key}")
    gone = f"{done.songs} songs, {done.assets} assets, {done.artefacts} segments and results, "
    gone += f"{done.corrections} corrections, {done.analyses} analyses"
    again = f"{done.videos} videos are made again when they are downloaded; replanned {done.jobs} jobs"
    print(f"{masked_value(settings.database)}: forgot {gone}; {again}")
