"""What a million jobs need: tallies instead of counts, and indexes for everything that loops and requests look for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.database.migrations.online import add_index, drop_index, in_batches, is_postgresql
from services.database.tallies import recount_statements, trigger_statements

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_OPEN = "status IN ('queued', 'rendering')"


def upgrade() -> None:
    _tables()
    _songs_and_assets_of_open_jobs()
    _tallies()
    _indexes()


def _tables() -> None:
    op.create_table(
        "job_assets",
        sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        if_not_exists=True,
    )
    op.create_index("ix_job_assets_sha256", "job_assets", ["sha256"], if_not_exists=True)
    for table in ("tallies", "tally_changes"):
        own = table == "tallies"
        first = [] if own else [sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)]
        op.create_table(
            table,
            *first,
            sa.Column("owner", sa.String(64), primary_key=own, nullable=False),
            sa.Column("what", sa.String(16), primary_key=own, nullable=False),
            sa.Column("kind", sa.String(64), primary_key=own, nullable=False),
            sa.Column("state", sa.String(16), primary_key=own, nullable=False),
            sa.Column("number", sa.BigInteger(), nullable=False),
            sa.Column("bytes", sa.BigInteger(), nullable=False),
            if_not_exists=True,
        )
    op.create_index("tally_changes_by_owner", "tally_changes", ["what", "owner"], if_not_exists=True)
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("jobs")}
    for column in (
        sa.Column("audio", sa.String(64), nullable=True),
        sa.Column("promised", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("has_history", sa.Boolean(), nullable=False, server_default=sa.true()),
    ):
        if column.name not in there:  # this migration may have been interrupted
            op.add_column("jobs", column)
    if not sa.inspect(op.get_bind()).has_table("compatibility"):
        compatibility = op.create_table("compatibility", sa.Column("oldest", sa.String(32), primary_key=True))
        op.bulk_insert(compatibility, [{"oldest": "0012"}])


def _songs_and_assets_of_open_jobs() -> None:
    song = "scene ->> 'audio'" if is_postgresql() else "json_extract(scene, '$.audio')"
    some = f"SELECT id FROM jobs WHERE {_OPEN} AND audio IS NULL AND {song} IS NOT NULL LIMIT 1000"
    in_batches(f"UPDATE jobs SET audio = {song} WHERE id IN ({some})")
    named = (
        "json_object_keys(scene -> 'assets') AS sha256 FROM jobs"
        if is_postgresql()
        else "each.key AS sha256 FROM jobs, json_each(jobs.scene, '$.assets') AS each"
    )
    op.execute(
        "INSERT INTO job_assets (job_id, sha256)"
        f" SELECT id, sha256 FROM (SELECT jobs.id AS id, {named} WHERE jobs.{_OPEN}) used"
        " WHERE NOT EXISTS (SELECT 1 FROM job_assets known WHERE known.job_id = used.id)"
    )


def _tallies() -> None:
    for statement in trigger_statements("postgresql" if is_postgresql() else "sqlite"):
        op.execute(statement)
    if is_postgresql():  # the count must see one state of all tables, in which every writer has the triggers
        with op.get_context().autocommit_block():
            op.execute("SELECT 1")
        op.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    for statement in recount_statements():
        op.execute(statement)


def _indexes() -> None:
    def where(condition: str) -> dict[str, sa.TextClause]:
        return {f"{dialect}_where": sa.text(condition) for dialect in ("postgresql", "sqlite")}

    gone = "coalesce(whole_id, '') = '' AND (status IN ('failed', 'cancelled') OR expired_at IS NOT NULL)"
    add_index("jobs_by_flow_and_turn", "jobs", ["flow", "priority", "status", "turn"])
    add_index("jobs_by_status_and_age", "jobs", ["status", "kind", "created_at", "id"])
    add_index("jobs_by_owner_and_status", "jobs", ["owner", "kind", "status", "created_at", "id"])
    add_index("jobs_by_system_and_status", "jobs", ["system_id", "status", "kind", "created_at", "id"])
    add_index("jobs_by_system_and_end", "jobs", ["system_id", "ended_at"])
    add_index("open_jobs_by_song", "jobs", ["audio"], **where(_OPEN))
    add_index("open_parts", "jobs", ["status", "whole_id"], **where(f"{_OPEN} AND whole_id IS NOT NULL"))
    add_index("jobs_with_history", "jobs", ["ended_at"], **where("has_history"))
    add_index("jobs_without_result", "jobs", ["ended_at", "kind"], **where(gone))
    add_index("artefacts_by_scene", "artefacts", [sa.text("substr(key, 8, 64)")])
    add_index("artefacts_by_use", "artefacts", [sa.text("substr(key, 73, 8)"), "used_at"])
    add_index("uploads_by_use", "uploads", ["used_at"])
    add_index("asset_claims_by_use", "asset_claims", ["used_at"])
    add_index("idempotency_by_age", "idempotency", ["created_at"])
    drop_index("jobs_by_flow", "jobs")
    drop_index("jobs_by_status", "jobs")
    drop_index("ix_jobs_system_id", "jobs")
