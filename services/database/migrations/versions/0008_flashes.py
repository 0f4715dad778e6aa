"""Artefacts and jobs keep where a video flashes too often; null for those from before, as nobody looked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("artefacts", "jobs"):
        op.add_column(table, sa.Column("flashes", sa.JSON(), nullable=True))
