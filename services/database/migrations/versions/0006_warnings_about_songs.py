"""Songs and jobs keep what is cut, damaged or changed in a song."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("audio", "jobs"):
        op.add_column(table, sa.Column("warnings", sa.JSON(), nullable=False, server_default="[]"))
