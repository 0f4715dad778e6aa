"""The tables: systems, songs, assets, API keys, jobs, tasks, artefacts, events, webhooks."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    exists,
    literal_column,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, synonym

from services.database.clock import UtcDateTime, db_now

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def new_id() -> str:
    """A random, unguessable id."""
    return str(uuid.uuid4())


def uuid7(at: datetime, number: int = 0) -> str:
    """A UUID version 7 of a moment, the database's: sorts after those of earlier ones, and of the same with lower
    numbers, which are below 2^20.
    """
    milliseconds, rest = divmod((at - _EPOCH) // _MICROSECOND, 1000)
    moment = milliseconds << 80 | 7 << 76 | (rest * 4096 // 1000) << 64
    return str(uuid.UUID(int=moment | 2 << 62 | number << 42 | secrets.randbits(42)))


def id_timestamp(id_: str) -> datetime:
    """The moment of a ``uuid7``, to a millisecond."""
    return datetime.fromtimestamp((uuid.UUID(id_).int >> 80) / 1000, UTC)


class Base(DeclarativeBase):
    """Base class of all tables."""


def _where(condition: str) -> dict[str, Any]:
    """Options of an index of those rows only, which a query uses if it says the same in the same words."""
    return {f"{dialect}_where": text(condition) for dialect in ("postgresql", "sqlite")}


# Jobs that may be pruned: part of one whose outputs are jobs goes with that.
# (SQLite would rather look up all jobs whose whole_id is null.)
WITHOUT_RESULT = "coalesce(whole_id, '') = '' AND (status IN ('failed', 'cancelled') OR expired_at IS NOT NULL)"


class SystemRow(Base):
    """A particle system: its type, config and song."""

    __tablename__ = "systems"
    __table_args__ = (
        Index("systems_by_age", "created_at", "id"),
        Index("systems_by_owner", "owner", "created_at", "id"),
        Index("systems_by_size", "owner", "size"),  # so that no row, with its config, is read for a sum
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), default="")  # empty without API keys
    particle_type: Mapped[str] = mapped_column(String(64))
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    audio: Mapped[str | None] = mapped_column(String(64))  # sha256 of the song
    revision: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    shown: Mapped[str | None] = mapped_column(Text, deferred=True)  # see services.api.system_statuses
    shown_as: Mapped[str | None] = mapped_column(String(64))  # of what it was made
    size: Mapped[int | None] = mapped_column(Integer)  # bytes of what is shown; null until that is known


class AudioRow(Base):
    """A song in storage, once per content. Its analyses: see ``services.storage.song_analyses``."""

    __tablename__ = "audio"
    __table_args__ = (Index("audio_not_counted", "sha256", **_where("analyses_size IS NULL")),)

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    suffix: Mapped[str] = mapped_column(String(16))
    size: Mapped[int] = mapped_column(BigInteger)
    duration: Mapped[float] = mapped_column(Float)
    sample_rate: Mapped[int] = mapped_column(Integer)
    channels: Mapped[int] = mapped_column(Integer)
    warnings: Mapped[list[str]] = mapped_column(JSON, default=list)  # what is cut, damaged or changed
    analyses: Mapped[int | None] = mapped_column(Integer, default=0)  # that renders made; null until counted
    analyses_size: Mapped[int | None] = mapped_column(BigInteger, default=0)  # bytes of these
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class UploadRow(Base):
    """An owner's claim to a song that they uploaded or named; every owner of a song has a row."""

    __tablename__ = "uploads"
    __table_args__ = (Index("uploads_by_use", "used_at"),)

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("audio.sha256", ondelete="CASCADE"), primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class AssetRow(Base):
    """A picture, video, font or lyrics in storage, once per content of the file that was uploaded."""

    __tablename__ = "assets"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)  # of the file as uploaded
    kind: Mapped[str] = mapped_column(String(8))  # image, video, font or lyrics
    digest: Mapped[str] = mapped_column(String(64))  # of what is stored: a picture's pixels, or the bytes
    size: Mapped[int] = mapped_column(BigInteger)  # bytes as stored
    file_digest: Mapped[str | None] = mapped_column(String(64))  # sha256 of the file as stored; null if not known
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)  # see services.media.assets.facts
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class AssetClaimRow(Base):
    """An owner's claim to an asset that they uploaded; every owner of an asset has a row."""

    __tablename__ = "asset_claims"
    __table_args__ = (
        Index("asset_claims_by_age", "owner", "created_at", "sha256"),
        Index("asset_claims_by_use", "used_at"),
    )

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("assets.sha256", ondelete="CASCADE"), primary_key=True, index=True)
    id = synonym("sha256")  # as pages call it
    name: Mapped[str] = mapped_column(String(200))  # of the owner's file
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class ResumableUploadRow(Base):
    """A file that arrives in parts; see ``services.media.resumable``."""

    __tablename__ = "resumable_uploads"
    __table_args__ = (
        Index("resumable_uploads_by_owner", "owner"),
        Index("resumable_uploads_by_expiry", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(8))  # song or asset
    name: Mapped[str] = mapped_column(String(200))  # of the client's file
    length: Mapped[int] = mapped_column(BigInteger)  # bytes of the whole file
    received: Mapped[int] = mapped_column(BigInteger, default=0)  # bytes that its parts have
    reserved: Mapped[int] = mapped_column(BigInteger)  # bytes that count as stored
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # the client is told in the end
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ResumablePartRow(Base):
    """A part of such a file that is in storage; together they are all that was received."""

    __tablename__ = "resumable_parts"

    upload_id: Mapped[str] = mapped_column(ForeignKey("resumable_uploads.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # its first byte
    size: Mapped[int] = mapped_column(BigInteger)
    object: Mapped[str] = mapped_column(String(255))  # storage key


class SystemAssetRow(Base):
    """An asset that a system's config refers to."""

    __tablename__ = "system_assets"

    system_id: Mapped[str] = mapped_column(ForeignKey("systems.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("assets.sha256", ondelete="CASCADE"), primary_key=True, index=True)


class JobAssetRow(Base):
    """An asset that an open job needs."""

    __tablename__ = "job_assets"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class CorrectionRow(Base):
    """Which correction of a song's analysis counts for an owner; see ``services.media.corrections``."""

    __tablename__ = "corrections"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("audio.sha256", ondelete="CASCADE"), primary_key=True, index=True)
    digest: Mapped[str | None] = mapped_column(String(64))  # of the document; null: a file tells, from before
    size: Mapped[int] = mapped_column(BigInteger, default=0)  # bytes of the document
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class KeyRow(Base):
    """An API key: its owner, scopes and limits. Only the digest of the key is stored."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    limits: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)  # where they differ from the defaults
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UsageRow(Base):
    """Seconds rendered for an owner in a day; deleting jobs does not reduce it. See ``services.auth.account``."""

    __tablename__ = "usage"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)  # in UTC, such as 2026-01-31
    seconds: Mapped[float] = mapped_column(Float)  # including those that open jobs hold


# states of jobs that are in progress, and of jobs that can be retried
OPEN, RETRYABLE = ("queued", "rendering"), ("failed", "cancelled")
_IS_OPEN = "status IN ('queued', 'rendering')"  # as ``is_open`` says it


class JobRow(Base):
    """A render: its spec as of submission, and its progress.

    ``kind`` is video, output, preview, frame, analysis or curves; lists show videos only. ``outputs`` and ``whole_id``:
    see ``services.jobs.outputs``. ``virtual_time``, ``cost``, ``plan_cost`` and
    ``fairness_key``: see ``services.jobs.fair_scheduler``.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_age", "kind", "created_at", "id"),
        Index("jobs_by_owner", "owner", "kind", "created_at", "id"),
        Index("jobs_by_status_and_age", "status", "kind", "created_at", "id"),
        Index("jobs_by_flow_and_turn", "flow", "priority", "status", "turn"),
        Index("jobs_by_owner_and_status", "owner", "kind", "status", "created_at", "id"),
        Index("jobs_by_system_and_status", "system_id", "status", "kind", "created_at", "id"),
        Index("jobs_by_system_and_end", "system_id", "ended_at"),
        Index("open_jobs_by_song", "audio", **_where(_IS_OPEN)),
        Index("open_parts", "status", "whole_id", **_where(f"{_IS_OPEN} AND whole_id IS NOT NULL")),
        Index("jobs_with_history", "ended_at", **_where("has_history")),
        Index("jobs_without_result", "ended_at", "kind", **_where(WITHOUT_RESULT)),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), default="")  # empty without API keys
    fairness_key: Mapped[str] = mapped_column("flow", String(64))  # the owner, or without API keys the system
    kind: Mapped[str] = mapped_column(String(8), default="video")
    system_id: Mapped[str] = mapped_column(String(36))
    batch_id: Mapped[str | None] = mapped_column(String(36), index=True)  # of jobs that were submitted together
    whole_id: Mapped[str | None] = mapped_column(String(36), index=True)  # of an output: the job that it is part of
    outputs: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # of a video, the main first
    scene: Mapped[dict[str, Any]] = mapped_column(JSON)  # see services.jobs.render_spec
    scene_key: Mapped[str] = mapped_column(String(64), index=True)
    audio: Mapped[str | None] = mapped_column(String(64))  # sha256 of its song
    promised: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")  # bytes that it may write
    has_history: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())  # until it is pruned
    output_path: Mapped[str] = mapped_column(String(255))
    webhook_url: Mapped[str | None] = mapped_column(Text)
    traceparent: Mapped[str | None] = mapped_column(String(55))  # parent span of its tasks
    priority: Mapped[str] = mapped_column(String(8), default="normal")
    virtual_time: Mapped[float] = mapped_column("turn", Float, default=0.0)
    cost: Mapped[float] = mapped_column(Float, default=1.0)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    stage: Mapped[str] = mapped_column(String(16), default="queued")
    stage_progress: Mapped[int] = mapped_column(Integer, default=0)  # 0–100 of this stage
    progress: Mapped[int] = mapped_column(Integer, default=0)  # 0–100 of the whole job
    frames: Mapped[int] = mapped_column(Integer, default=0)  # to render; 0 until planned
    frames_done: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str | None] = mapped_column(Text)  # why it failed, or why it is blocked
    warnings: Mapped[list[str]] = mapped_column(JSON, default=list)  # as of submission; then of what was rendered
    flashes: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # as of its artefact
    size: Mapped[int | None] = mapped_column(BigInteger)  # bytes of the result
    seconds: Mapped[float] = mapped_column(Float, default=0.0)  # duration of the video
    # What its owner is charged, in rendered seconds: see services.auth.account. None: of jobs of older versions.
    price: Mapped[float | None] = mapped_column(Float)
    charged: Mapped[float | None] = mapped_column(Float)
    charged_on: Mapped[str | None] = mapped_column(String(10))
    spent: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    plan_cost: Mapped[float | None] = mapped_column(Float)  # of its cost, that of its plan; None: that of any task
    slots: Mapped[int | None] = mapped_column(Integer)  # that its owner may hold at once; None: all
    start: Mapped[float | None] = mapped_column(Float)  # second of the song at which the video begins, if known
    expired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when its video was deleted
    remade: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # times that files of it were lost
    reopened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when its result was lost, see jobs.lost_files
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    rendering_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when it was planned
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def is_open(job: Any = JobRow) -> ColumnElement[bool]:
    """Condition: a job is open; as text, so that indexes of open jobs are found."""
    return job.status.in_([literal_column(f"'{status}'") for status in OPEN])  # type: ignore[no-any-return]  # of Any


VIDEOS = ("video", "output")  # kinds of jobs whose results are kept as videos


def renders_itself() -> ColumnElement[bool]:
    """Condition: a job with tasks of its own, and not one that its outputs render."""
    part = aliased(JobRow)
    return ~exists().where(part.whole_id == JobRow.id)


class TaskRow(Base):
    """A piece of a job: its plan, a segment, the join, or a frame.

    ``attempt`` is a fencing token: a worker with an older attempt can no longer change anything. Of tasks with equal
    virtual time, the lower (older) id comes first.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_by_turn", "status", "turn"),
        Index("tasks_by_job", "job_id", "kind", "number", unique=True),
        Index("tasks_ready_by_turn", "version", "turn", "id", **_where("status = 'ready'")),
        Index("tasks_ready_by_age", "status", "version", "id", **_where("status = 'ready'")),
        Index("tasks_offered", "status", "turn", "id", **_where("status = 'ready' AND queued_at IS NOT NULL")),
        Index("tasks_running", "lease_until", **_where("status = 'running'")),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)  # a uuid7
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    number: Mapped[int] = mapped_column(Integer, default=0)
    status: Mapped[str] = mapped_column(String(8), default="ready")
    virtual_time: Mapped[float] = mapped_column("turn", Float, default=0.0)
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    deaths: Mapped[int] = mapped_column(Integer, default=0)  # of its processes
    losses: Mapped[int] = mapped_column(Integer, default=0)  # of its workers
    frames: Mapped[int] = mapped_column(Integer, default=0)
    done: Mapped[int] = mapped_column(Integer, default=0)  # frames of the current attempt
    worker: Mapped[str | None] = mapped_column(String(128))
    version: Mapped[str] = mapped_column(String(16), default="", server_default="")  # that renders it, see its job
    memory: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")  # bytes that it is expected to take
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    queued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the dispatcher last offered it to workers
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)  # such as after a full disk


# Of an artefact's key, scenes/<64 characters>/<file>: which scene, and the beginning of the file's name.
SCENE_OF_ARTEFACT = "substr(key, 8, 64)"
FILE_OF_ARTEFACT = "substr(key, 73, 8)"


def task_status_is(status: str, task: Any = TaskRow) -> ColumnElement[bool]:
    """Condition: tasks in this status; written out, as neither database uses a partial index for a parameter."""
    return cast("ColumnElement[bool]", task.status == literal_column(f"'{status}'"))


class ArtefactRow(Base):
    """A finished segment or result. Several attempts may have written files; only this one counts."""

    __tablename__ = "artefacts"
    __table_args__ = (
        Index("artefacts_by_scene", text(SCENE_OF_ARTEFACT)),
        Index("artefacts_by_use", text(FILE_OF_ARTEFACT), "used_at"),
    )

    key: Mapped[str] = mapped_column(String(160), primary_key=True)  # by content, see services.storage.object_keys
    object: Mapped[str] = mapped_column(String(255))  # storage key of the file
    size: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str | None] = mapped_column(String(64))  # sha256 of the file; null if not known
    overdrawn: Mapped[int] = mapped_column(Integer, default=0)  # frames in which particles were drawn smaller
    flashes: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # see ecs_core.flashes
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class EventRow(Base):
    """The state of a job after a change; followers read events in order and miss none."""

    __tablename__ = "events"
    __table_args__ = (Index("events_by_job", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class DeliveryRow(Base):
    """A webhook message that a job is over, for its ``webhook_url``.

    Messages of older versions have no ``owner`` and ``host`` until somebody looks for due ones; see
    ``services.webhooks.fair_claims``.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("deliveries_by_status", "status", "next_at"),
        Index("deliveries_by_owner", "status", "owner", "next_at"),
        Index("deliveries_by_host", "status", "owner", "host", "next_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    url: Mapped[str] = mapped_column(Text)
    event: Mapped[str] = mapped_column(String(32))  # job.completed, job.failed or job.cancelled
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(16), default="pending")  # then delivered or failed
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)  # {at, status, error, seconds} each
    owner: Mapped[str | None] = mapped_column(String(64))  # of the job
    host: Mapped[str | None] = mapped_column(String(300))  # of the URL, with its port; empty if it has none
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)  # while a worker sends it
    next_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class BreakerRow(Base):
    """A receiver that did not answer an owner's last messages; see ``services.webhooks.circuit_breaker``."""

    __tablename__ = "webhook_breakers"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(String(300), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)  # in a row
    open_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class WebhookSecretRow(Base):
    """Which webhook secrets an owner has who has rotated them; the secrets themselves are not stored."""

    __tablename__ = "webhook_secrets"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    previous_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # how long the version before is valid, too


class IdempotencyRow(Base):
    """A repeatable request: what was asked, and the response once there is one."""

    __tablename__ = "idempotency"
    __table_args__ = (
        Index("idempotency_by_age", "created_at"),
        Index("idempotency_by_owner", "owner", "created_at", "key"),
    )

    key: Mapped[str] = mapped_column(String(330), primary_key=True)  # owner and key
    request: Mapped[str] = mapped_column(String(64))  # sha256 of route and body
    made_id: Mapped[str] = mapped_column(String(36), default=new_id)  # id of what the request creates
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    holder: Mapped[str | None] = mapped_column(String(36))  # the process that is answering; empty: nobody is
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    owner: Mapped[str] = mapped_column(String(64), default="", server_default="")
    size: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # bytes of the answer


class ClockRow(Base):
    """When SQLite's clock was set since the machine was started; see ``services.database.clock``."""

    __tablename__ = "clock"

    boot: Mapped[str] = mapped_column(String(36), primary_key=True)  # the kernel's id of this start of the machine
    wall: Mapped[float] = mapped_column(Float)  # seconds since 1970, by the process that set it
    uptime: Mapped[float] = mapped_column(Float)  # seconds since the start at that moment


class LeaseRow(Base):
    """Who does what one process at a time does; see ``services.database.leases``."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what the next holder should know


class TallyRow(Base):
    """How many rows there are, and their bytes; see ``services.database.tallies``."""

    __tablename__ = "tallies"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    what: Mapped[str] = mapped_column(String(16), primary_key=True)  # jobs, systems or artefacts
    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)


class TallyChangeRow(Base):
    """A change that the tallies do not contain yet; triggers write it."""

    __tablename__ = "tally_changes"
    __table_args__ = (Index("tally_changes_by_owner", "what", "owner"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    owner: Mapped[str] = mapped_column(String(64))
    what: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    number: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)


class CompatibilityRow(Base):
    """The oldest schema revision whose versions of Motes can work with this schema."""

    __tablename__ = "compatibility"

    oldest: Mapped[str] = mapped_column(String(32), primary_key=True)
