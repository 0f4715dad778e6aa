"""The present moment, and a database's clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from services.database import clock

_POSTGRES_S = "statement_timestamp()"
_moved: Clock | None = None  # what every database of this process takes for its clock


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


class Clock:
    """The clock of every database that this process uses: it stands still until a test moves it, forward or back.

    But for a microsecond each time that it is read: nothing happens at the same time as something else.
    """

    def __init__(self) -> None:
        self._now = self._latest = now()

    def __call__(self) -> datetime:
        self._now += timedelta(microseconds=1)
        return self._now

    def step(self, **by: float) -> None:
        """Move it by so many seconds, hours …; backwards where they are negative."""
        self._now += timedelta(**by)
        self._latest = max(self._latest, self._now)

    def catch_up(self) -> None:
        """Let it show the latest time that it has shown: what waits for a moment waits while the clock is set back."""
        self._now = max(self._now, self._latest)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Let every database go by it."""
        patch.setattr("tests.services.moments._moved", self)
        patch.setattr(clock, "_seconds", lambda anchor: self().timestamp())
        patch.setattr(clock, "_FRESH", -1.0)  # whoever remembers what time it was asks again


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def _move_postgres(
    connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool
) -> tuple[str, Any]:
    if _moved is not None and _POSTGRES_S in statement:
        statement = statement.replace(_POSTGRES_S, f"TIMESTAMPTZ '{_moved().isoformat()}'")
    return statement, values
