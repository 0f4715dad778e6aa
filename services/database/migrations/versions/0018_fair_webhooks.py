"""Whose messages webhooks are and where they go, receivers that do not answer, and versions of owners' secrets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Workers fill in owner and host: there may be none of this version yet.
    op.add_column("deliveries", sa.Column("owner", sa.String(64), nullable=True))
    op.add_column("deliveries", sa.Column("host", sa.String(300), nullable=True))
    op.add_column("deliveries", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index("deliveries_by_owner", "deliveries", ["status", "owner", "next_at"])
    op.create_index("deliveries_by_host", "deliveries", ["status", "owner", "host", "next_at"])
    op.create_index("ix_deliveries_lease_until", "deliveries", ["lease_until"])
    op.create_table(
        "webhook_breakers",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("host", sa.String(300), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_webhook_breakers_failed_at", "webhook_breakers", ["failed_at"])
    op.create_table(
        "webhook_secrets",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
    )
