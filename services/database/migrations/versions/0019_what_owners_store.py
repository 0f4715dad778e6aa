"""What is shown of a system, and its size; whose an answer to an Idempotency-Key is, and its size.

Systems of earlier versions get theirs when they are next shown or changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("systems", sa.Column("shown", sa.Text(), nullable=True))
    op.add_column("systems", sa.Column("shown_as", sa.String(64), nullable=True))
    op.add_column("systems", sa.Column("size", sa.Integer(), nullable=True))
    op.create_index("systems_by_size", "systems", ["owner", "size"])
    op.add_column("idempotency", sa.Column("owner", sa.String(64), nullable=False, server_default=""))
    op.add_column("idempotency", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("idempotency_by_owner", "idempotency", ["owner", "created_at", "key"])
