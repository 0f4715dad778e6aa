"""Who is answering a request with an Idempotency-Key; and retention's lease is no such request any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency", sa.Column("holder", sa.String(36), nullable=True))
    # Processes of an earlier version make it again, and it is then pruned as an old request.
    op.execute("DELETE FROM idempotency WHERE key = ' retention'")
