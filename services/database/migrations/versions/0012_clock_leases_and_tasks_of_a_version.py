"""The clock of SQLite, leases of what one process at a time does, and what tells whether a worker can do a task."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_LENGTH = 12  # of a version in a scene's key


def upgrade() -> None:
    op.create_table(
        "clock",
        sa.Column("boot", sa.String(36), primary_key=True),
        sa.Column("wall", sa.Float(), nullable=False),
        sa.Column("uptime", sa.Float(), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.JSON(), nullable=True),
    )
    op.add_column("tasks", sa.Column("version", sa.String(16), nullable=False, server_default=""))
    op.add_column("tasks", sa.Column("memory", sa.BigInteger(), nullable=False, server_default="0"))
    # Only of tasks that are still to be done: nobody asks for the version of others.
    op.execute(
        f"UPDATE tasks SET version = (SELECT substr(scene_key, 1, {_LENGTH}) FROM jobs WHERE jobs.id = tasks.job_id)"
        " WHERE status IN ('waiting', 'ready', 'running')"
    )
