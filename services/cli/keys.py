"""``motes keys``: create, list, rotate and revoke API keys, and owners' webhook secrets, straight in the database."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ecs_core.errors import MotesError
from services.cli.service_database import migrate, open_sessions, schema_revisions
from services.cli.service_settings import add_data_argument, settings_from
from services.cli.tables import print_table

if TYPE_CHECKING:
    from services.auth.api_keys import ApiKeys
    from services.database.engine import Sessions
    from services.database.models import KeyRow
    from services.settings import ServiceSettings

HELP = "Make an API key, list them, revoke one or put another in its place."
EXAMPLES = """\
examples:
  motes keys create --owner alice
  motes keys create --owner dashboard --scope read --expires 90d
  motes keys create --owner bob --limit requests_per_minute=100 --limit open_jobs=5
  motes keys create --owner live --scope read --scope render --scope priority --limit running_tasks=4
  motes keys create --owner operator --scope admin --data /srv/motes
  motes keys list
  motes keys rotate k3v9x2ab --overlap 24h
  motes keys revoke k3v9x2ab
  motes keys webhook-secret alice
  motes keys webhook-secret alice --rotate --overlap 7d
"""
_SCOPES = ("read", "render", "priority", "admin")  # as in services.auth.api_keys, which is slow to load
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the five commands."""
    commands = parser.add_subparsers(dest="keys_command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="make a key and print it, this once")
    create.add_argument("--owner", required=True, help="whose it is: keys of one owner see the same systems and jobs")
    create.add_argument("--name", default="", help="what it is for")
    create.add_argument(
        "--scope", action="append", choices=_SCOPES, help="what it may; may be repeated (default: read and render)"
    )
    create.add_argument(
        "--limit", action="append", default=[], metavar="NAME=VALUE", help="a limit that differs, such as open_jobs=5"
    )
    create.set_defaults(do=_create)
    listing = commands.add_parser("list", help="every key but for its secret, the newest first")
    listing.set_defaults(do=_list)
    revoke = commands.add_parser("revoke", help="let a key open nothing any more, in at most five seconds")
    revoke.set_defaults(do=_revoke)
    rotate = commands.add_parser("rotate", help="make a key that may the same, and let the old one end")
    rotate.add_argument(
        "--overlap", type=_span, default="24h", metavar="TIME", help="how long both work (default: %(default)s)"
    )
    rotate.set_defaults(do=_rotate)
    secret = commands.add_parser("webhook-secret", help="print what an owner's webhooks are signed with, or renew it")
    secret.add_argument("owner", metavar="OWNER", help="whose it is")
    secret.add_argument("--rotate", action="store_true", help="make a new one, and print that")
    secret.add_argument(
        "--overlap",
        type=_span,
        default="24h",
        metavar="TIME",
        help="how long messages are signed with the old one as well; 0s: it ends at once (default: %(default)s)",
    )
    secret.set_defaults(do=None)
    for command in (create, rotate):
        command.add_argument("--expires", type=_span, metavar="TIME", help="how long it works, such as 90d, 12h or 30m")
    for command in (revoke, rotate):
        command.add_argument("id", metavar="ID", help="the eight characters after motes_")
    for command in (create, listing, rotate, secret):
        command.add_argument("--json", action="store_true", help="print it as JSON")
    for command in commands.choices.values():
        add_data_argument(command)


def run(arguments: argparse.Namespace) -> None:
    """Run the subcommand."""
    settings = settings_from(arguments, "data")
    if arguments.keys_command == "create" and schema_revisions(settings)[0] is None:
        migrate(settings)  # a key can be created before the service first runs

    async def do() -> None:
        async with open_sessions(settings) as sessions:
            from services.auth.api_keys import ApiKeys

            if arguments.keys_command == "webhook-secret":
                await _webhook_secret(arguments, settings, sessions)
            else:
                await arguments.do(arguments, ApiKeys(sessions))

    asyncio.run(do())


async def _webhook_secret(arguments: argparse.Namespace, settings: ServiceSettings, sessions: Sessions) -> None:
    """Print an owner's secret alone on standard output, for scripts; what else is to know goes to standard error."""
    from services.auth.api_keys import check_owner
    from services.processes.data_folder import existing_webhook_secret
    from services.webhooks.owner_secrets import OwnerSecrets

    check_owner(arguments.owner)
    secrets = OwnerSecrets(sessions, settings.webhook_secret or existing_webhook_secret(settings.data))
    if arguments.rotate:
        found = await secrets.rotate(arguments.owner, overlap=arguments.overlap)
    else:
        found = await secrets.of(arguments.owner)
    until = found.previous_until
    if arguments.json:
        facts = {"owner": arguments.owner, "secret": found.current, "previous_secret": found.previous}
        print(json.dumps(facts | {"previous_until": None if until is None else until.isoformat(timespec="seconds")}))
        return
    print(found.current)
    if until is not None:
        print(f"messages are signed with the one before as well, until {until:%Y-%m-%d %H:%M} UTC", file=sys.stderr)


async def _create(arguments: argparse.Namespace, keys: ApiKeys) -> None:
    row, key = await keys.create(
        owner=arguments.owner,
        name=arguments.name,
        scopes=arguments.scope or ("read", "render"),
        limits=dict(_limit(each) for each in arguments.limit),
        lasts=arguments.expires,
    )
    _tell(arguments, row, key, await keys.now())


async def _rotate(arguments: argparse.Namespace, keys: ApiKeys) -> None:
    made = await keys.rotate(arguments.id, overlap=arguments.overlap, lasts=arguments.expires)
    _tell(arguments, *made, await keys.now())


def _tell(arguments: argparse.Namespace, row: KeyRow, key: str, at: datetime) -> None:
    """Print the key alone on standard output, for scripts; the note that it is shown once goes to standard error."""
    if arguments.json:
        print(json.dumps(_facts(row, at) | {"key": key}))
        return
    print(key)
    print(f"key {row.id} of {row.owner}: store it, it is not shown again", file=sys.stderr)


async def _list(arguments: argparse.Namespace, keys: ApiKeys) -> None:
    rows, at = await keys.all(), await keys.now()
    if arguments.json:
        print(json.dumps([_facts(row, at) for row in rows]))
    elif not rows:
        print("no keys; motes keys create --owner NAME makes one")
    else:
        headings = ("KEY", "OWNER", "NAME", "SCOPES", "LIMITS", "CREATED", "EXPIRES", "STATE")
        print_table(headings, (_line(row, at) for row in rows))


async def _revoke(arguments: argparse.Namespace, keys: ApiKeys) -> None:
    row = await keys.revoke(arguments.id)
    print(f"key {row.id} of {row.owner}: revoked; it stops working within five seconds")


def _line(row: KeyRow, at: datetime) -> tuple[object, ...]:
    facts = _facts(row, at)
    limits = ", ".join(f"{name}={value:g}" for name, value in row.limits.items())
    moments = (
        None if each is None else f"{each.astimezone():%Y-%m-%d %H:%M}" for each in (row.created_at, row.expires_at)
    )
    return (row.id, row.owner, row.name or None, ", ".join(row.scopes), limits or None, *moments, facts["state"])


def _facts(row: KeyRow, at: datetime) -> dict[str, Any]:
    """A key's properties as plain data."""
    from services.auth.api_keys import state_of

    moments = {name: getattr(row, name) for name in ("created_at", "expires_at", "revoked_at")}
    return {
        **{name: getattr(row, name) for name in ("id", "owner", "name", "scopes", "limits")},
        **{name: None if each is None else each.isoformat(timespec="seconds") for name, each in moments.items()},
        "state": state_of(row, at),
    }


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise MotesError(f"--limit {text}: must be NAME=VALUE, the value a number") from None


def _span(text: str) -> timedelta:
    """A duration such as 90d.

    Raises:
        argparse.ArgumentTypeError: it is not a duration.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number and s, m, h or d, such as 90d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
