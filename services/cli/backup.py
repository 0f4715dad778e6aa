"""``motes backup``: copy the database and every file it refers to into a folder, while the service runs."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecs_core.errors import MotesError
from services.cli.service_settings import add_data_argument, require_service, settings_from

HELP = "Back up the service into a folder while it runs (SQLite; for PostgreSQL see docs/operations.md)."
EXAMPLES = """\
examples:
  motes backup /mnt/backup/motes
  motes backup --data /srv/motes /mnt/backup/motes    # again: copies only what is new
  motes restore /mnt/backup/motes --data /srv/motes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a new folder, or that of an earlier backup")
    add_data_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Back up and print how much was copied."""
    settings = settings_from(arguments, "data")
    with require_service():
        from services.retention.backup import back_up
        from services.storage.object_store import Storage
    if settings.database_url:
        raise MotesError("motes backup copies the SQLite database of a data folder; for PostgreSQL use pg_dump")
    with copying(arguments.folder):
        made = back_up(settings.data, Storage(settings.storage), arguments.folder.absolute())
    print(f"{arguments.folder}: {made.files} files, {made.size / 1e6:.1f} MB; {made.copied} of them are new")


@contextmanager
def copying(folder: Path) -> Iterator[None]:
    """Turn any error of a backup in this folder into one line."""
    from obstore.exceptions import BaseError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except OSError as error:
        raise MotesError(f"{error.filename or folder}: {error.strerror or error}") from None
    except (sqlite3.Error, SQLAlchemyError, BaseError) as error:
        raise MotesError(f"the backup {folder}: {error}") from None
