"""``motes restore``: make a data folder from a backup."""

from __future__ import annotations

import argparse
from pathlib import Path

from ecs_core.errors import MotesError
from services.cli.backup import copying
from services.cli.service_settings import add_data_argument, require_service, settings_from

HELP = "Make a data folder from a backup; `motes serve` then goes on where the backup was made."
EXAMPLES = """\
examples:
  motes restore /mnt/backup/motes --data /srv/motes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="what motes backup made")
    add_data_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Restore and print how much was copied."""
    settings = settings_from(arguments, "data")
    with require_service():
        from services.retention.backup import restore
        from services.storage.object_store import Storage
    if settings.database_url:
        raise MotesError("motes restore makes a data folder with SQLite; for PostgreSQL use pg_restore")
    with copying(arguments.folder):
        made = restore(arguments.folder.absolute(), settings.data, Storage(settings.storage))
    print(f"{settings.data}: {made.files} files, {made.size / 1e6:.1f} MB; {made.copied} of them were copied")
