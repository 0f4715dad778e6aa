"""What the analyses of a song take. The next thorough run of retention counts those that there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.database.migrations.online import add_index

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("audio")}
    for column in (
        sa.Column("analyses", sa.Integer(), nullable=True),
        sa.Column("analyses_size", sa.BigInteger(), nullable=True),
    ):
        if column.name not in there:  # this migration may have been interrupted
            op.add_column("audio", column)
    unknown = sa.text("analyses_size IS NULL")
    add_index("audio_not_counted", "audio", ["sha256"], postgresql_where=unknown, sqlite_where=unknown)
