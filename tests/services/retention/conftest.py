"""What retention is tried on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.database.engine import open_database
from services.storage.object_store import Storage
from tests.services.board import Board
from tests.services.shelf import Shelf, settings_for


@pytest.fixture
async def shelf(database: str, tmp_path: Path) -> AsyncIterator[Shelf]:
    """Jobs and a storage: both databases, a folder."""
    engine, sessions = open_database(database)
    url = f"file://{tmp_path / 'storage'}"
    yield Shelf(Board(sessions), Storage(url), settings_for(tmp_path, database, url))
    await engine.dispose()
