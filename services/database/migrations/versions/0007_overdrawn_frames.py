"""Artefacts keep how many of their frames were overdrawn; unknown, and 0, for those from before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("artefacts", sa.Column("overdrawn", sa.Integer(), nullable=False, server_default="0"))
