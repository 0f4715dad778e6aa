"""Pictures, videos, fonts and lyrics that owners uploaded, and the systems that refer to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assets",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "asset_claims",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("assets.sha256", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_asset_claims_sha256", "asset_claims", ["sha256"])
    op.create_index("asset_claims_by_age", "asset_claims", ["owner", "created_at", "sha256"])
    op.create_table(
        "system_assets",
        sa.Column("system_id", sa.String(36), sa.ForeignKey("systems.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("assets.sha256", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("ix_system_assets_sha256", "system_assets", ["sha256"])
