"""Whose systems, songs and jobs are; keys; and what retention needs to know."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("ix_keys_owner", "keys", ["owner"])
    op.create_table(
        "uploads",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["audio.sha256"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner", "sha256"),
    )
    op.create_index("ix_uploads_sha256", "uploads", ["sha256"])
    op.execute(
        "INSERT INTO uploads (owner, sha256, created_at, used_at) SELECT '', sha256, created_at, created_at FROM audio"
    )
    op.drop_index("jobs_by_flow", "jobs")
    # Not as a batch: that would drop the table, and with it what refers to it.
    op.execute("ALTER TABLE jobs RENAME COLUMN owner TO flow")
    op.add_column("jobs", sa.Column("owner", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("seconds", sa.Float(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("jobs_by_flow", "jobs", ["flow", "priority", "status"])
    op.create_index("jobs_by_owner", "jobs", ["owner", "kind", "created_at", "id"])
    op.add_column("systems", sa.Column("owner", sa.String(length=64), nullable=False, server_default=""))
    op.create_index("systems_by_owner", "systems", ["owner", "created_at", "id"])
    with op.batch_alter_table("artefacts") as artefacts:
        artefacts.add_column(sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE artefacts SET used_at = created_at")
    with op.batch_alter_table("artefacts") as artefacts:
        artefacts.alter_column("used_at", existing_type=sa.DateTime(timezone=True), nullable=False)
    with op.batch_alter_table("idempotency") as idempotency:
        idempotency.alter_column("key", existing_type=sa.String(length=255), type_=sa.String(length=330))
