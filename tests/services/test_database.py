"""What SQLAlchemy and the drivers do not settle by themselves."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from services.database import _Connection


def test_connection_that_is_closed_gives_up_its_transaction_and_may_be_closed_again(tmp_path: Path) -> None:
    """aiosqlite closes twice what is interrupted while it closes."""
    connection = sqlite3.connect(tmp_path / "motes.db", factory=_Connection, isolation_level=None)
    connection.execute("CREATE TABLE numbers (number INTEGER)")
    connection.execute("BEGIN IMMEDIATE")
    unfinished = connection.execute("INSERT INTO numbers VALUES (1), (2) RETURNING number")
    connection.close()
    connection.close()
    other = sqlite3.connect(tmp_path / "motes.db", isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")  # nobody holds it
    assert other.execute("SELECT * FROM numbers").fetchall() == []
    other.close()
    del unfinished  # it kept the transaction open for as long as it lived
