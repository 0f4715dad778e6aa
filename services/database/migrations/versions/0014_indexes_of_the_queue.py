"""Indexes of the queue: what is ready by version, turn and age, what has been offered to workers, what is running."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_READY, _RUNNING = sa.text("status = 'ready'"), sa.text("status = 'running'")
_OFFERED = sa.text("status = 'ready' AND queued_at IS NOT NULL")


def upgrade() -> None:
    for name, columns, which in (
        ("tasks_ready_by_turn", ["version", "turn", "id"], _READY),
        # The status, which is always the same, lets SQLite prefer these to tasks_by_turn.
        ("tasks_ready_by_age", ["status", "version", "id"], _READY),
        ("tasks_offered", ["status", "turn", "id"], _OFFERED),
        ("tasks_running", ["lease_until"], _RUNNING),
    ):
        op.create_index(name, "tasks", columns, sqlite_where=which, postgresql_where=which)
