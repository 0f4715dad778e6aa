"""``motes storage``: what is stored, by kind and owner; and retention on demand."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from ecs_core.errors import MotesError
from services.cli.service_database import open_sessions
from services.cli.service_settings import add_data_argument, settings_from
from services.cli.tables import print_table
from services.observability.masking import masked_value

if TYPE_CHECKING:
    from services.database.engine import Sessions
    from services.settings import ServiceSettings
    from services.storage.object_store import Storage

HELP = "Show how much is stored, by kind and owner; remove what has expired and what nobody knows."
EXAMPLES = """\
examples:
  motes storage show
  motes storage gc --dry-run
  motes storage gc --all --data /srv/motes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two commands."""
    commands = parser.add_subparsers(dest="storage_command", required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="how many bytes of what kind there are, and whose they are")
    show.set_defaults(do=_show)
    gc = commands.add_parser("gc", help="remove what the MOTES_KEEP_… settings say, and files that nothing refers to")
    gc.add_argument("--dry-run", action="store_true", help="only say what is due")
    gc.add_argument(
        "--all", action="store_true", help="all that is due, however much; without it a run removes a tenth"
    )
    gc.set_defaults(do=_gc)
    for command in (show, gc):
        command.add_argument("--json", action="store_true", help="print it as JSON")
        add_data_argument(command)


def run(arguments: argparse.Namespace) -> None:
    """Run the subcommand."""
    settings = settings_from(arguments, "data")

    async def do() -> None:
        async with open_sessions(settings) as sessions:
            await arguments.do(arguments, settings, sessions, _storage(settings))

    asyncio.run(do())


def _storage(settings: ServiceSettings) -> Storage:
    from services.storage.object_store import Storage

    try:
        return Storage(settings.storage)
    except Exception as error:  # object store clients raise errors of many kinds
        raise MotesError(f"the storage {masked_value(settings.storage)}: {error}") from error


async def _show(arguments: argparse.Namespace, settings: ServiceSettings, sessions: Sessions, storage: Storage) -> None:
    from services.storage.usage import plural, usage_by_kind, usage_by_owner

    async with sessions() as session:
        stored, owned = await usage_by_kind(session), sorted(await usage_by_owner(session))
    facts: dict[str, Any] = {"storage": masked_value(settings.storage), "free": storage.free()}
    facts["reserve"] = None if facts["free"] is None else settings.reserve_of(storage.total())
    if arguments.json:
        kinds = {each.kind: {"number": each.number, "bytes": each.bytes} for each in stored}
        print(json.dumps(facts | {"stored": kinds, "owners": [each._asdict() for each in owned]}))
        return
    for name, value in facts.items():
        print(f"{name:<8} {value if value is not None else '–'}")
    print()
    print_table(("STORED", "NUMBER", "BYTES"), ((plural(each.kind), each.number, each.bytes) for each in stored))
    if owned:
        print()
        rows = ((each.owner or None, plural(each.kind), each.number, each.bytes) for each in owned)
        print_table(("OWNER", "HAS", "NUMBER", "BYTES"), rows)


async def _gc(arguments: argparse.Namespace, settings: ServiceSettings, sessions: Sessions, storage: Storage) -> None:
    from services.observability import logs
    from services.retention.janitor import BusyError, Janitor

    logs.set_up(form=settings.log_format, level=settings.log_level)
    janitor = Janitor(settings, sessions, storage)
    try:
        report = await (janitor.dry_run() if arguments.dry_run else janitor.gc(everything=arguments.all))
    except BusyError:
        raise MotesError("a worker is running retention right now; try again in a minute") from None
    freed = [
        {"reason": reason, "kind": kind, "number": number, "bytes": size}
        for (reason, kind), (number, size) in sorted(report.freed.items())
    ]
    if arguments.json:
        print(json.dumps({"dry_run": arguments.dry_run, "freed": freed, "bytes": report.bytes, "rows": report.rows}))
        return
    if freed:
        print_table(("WHY", "WHAT", "NUMBER", "BYTES"), (tuple(each.values()) for each in freed))
    if report.is_capped:
        print("more is due than one run removes: motes storage gc --all removes it at once", file=sys.stderr)
    print(f"{'would have ' if arguments.dry_run else ''}{report}")
