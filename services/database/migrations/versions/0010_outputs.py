"""Jobs have several outputs, each of which is a job; null for jobs from before, which have one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("whole_id", sa.String(36), nullable=True))
    op.add_column("jobs", sa.Column("outputs", sa.JSON(), nullable=True))
    op.create_index("ix_jobs_whole_id", "jobs", ["whole_id"])
