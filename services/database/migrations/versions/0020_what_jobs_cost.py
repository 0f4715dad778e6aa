"""What jobs cost and were charged, how many slots their owners may hold, and keys that may ask for high priority."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("price", sa.Float(), nullable=True))
    op.add_column("jobs", sa.Column("charged", sa.Float(), nullable=True))
    op.add_column("jobs", sa.Column("charged_on", sa.String(10), nullable=True))
    op.add_column("jobs", sa.Column("spent", sa.Float(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("plan_cost", sa.Float(), nullable=True))
    op.add_column("jobs", sa.Column("slots", sa.Integer(), nullable=True))
    # Keys from before may ask for high priority as they did; new ones only if they are made so.
    keys = sa.table("keys", sa.column("id", sa.String), sa.column("scopes", sa.JSON))
    connection = op.get_bind()
    for key_id, scopes in connection.execute(sa.select(keys.c.id, keys.c.scopes)).all():
        if "render" in scopes:
            more = keys.update().where(keys.c.id == key_id).values(scopes=[*scopes, "priority"])
            connection.execute(more)
