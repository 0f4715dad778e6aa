"""Digests of files, jobs whose files were lost, and corrections of analyses, which pointed at each other in storage.

An owner's current correction of a song was named by a file. Whoever had the song then gets a row without a digest,
which says that the file is to be looked for (``services.media.corrections``).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("artefacts", sa.Column("digest", sa.String(64), nullable=True))
    op.add_column("assets", sa.Column("file_digest", sa.String(64), nullable=True))
    op.add_column("jobs", sa.Column("remade", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "corrections",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("audio.sha256", ondelete="CASCADE"), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_corrections_sha256", "corrections", ["sha256"])
    op.execute(
        "INSERT INTO corrections (owner, sha256, size, created_at) SELECT owner, sha256, 0, created_at FROM uploads"
    )
