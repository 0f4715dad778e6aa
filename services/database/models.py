"""The tables: systems, songs, assets, API keys, jobs, tasks, artefacts, events, webhooks."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
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
)
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, synonym

from services.database.clock import UtcDateTime


def now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A random, unguessable id."""
    return str(uuid.uuid4())


def uuid7() -> str:
    """A UUID version 7: sorts after those made before it, to a quarter of a microsecond."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    moment = milliseconds << 80 | 7 << 76 | (rest * 4096 // 1_000_000) << 64
    return str(uuid.UUID(int=moment | 2 << 62 | secrets.randbits(62)))


def id_timestamp(id_: str) -> datetime:
    """When a ``uuid7`` was made."""
    return datetime.fromtimestamp((uuid.UUID(id_).int >> 80) / 1000, UTC)


class Base(DeclarativeBase):
    """Base class of all tables."""


class SystemRow(Base):
    """A particle system: its type, config and song."""

    __tablename__ = "systems"
    __table_args__ = (
        Index("systems_by_age", "created_at", "id"),
        Index("systems_by_owner", "owner", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), default="")  # empty without API keys
    particle_type: Mapped[str] = mapped_column(String(64))
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    audio: Mapped[str | None] = mapped_column(String(64))  # sha256 of the song
    revision: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class AudioRow(Base):
    """A song in storage, once per content."""

    __tablename__ = "audio"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    suffix: Mapped[str] = mapped_column(String(16))
    size: Mapped[int] = mapped_column(BigInteger)
    duration: Mapped[float] = mapped_column(Float)
    sample_rate: Mapped[int] = mapped_column(Integer)
    channels: Mapped[int] = mapped_column(Integer)
    warnings: Mapped[list[str]] = mapped_column(JSON, default=list)  # what is cut, damaged or changed
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class UploadRow(Base):
    """An owner's claim to a song that they uploaded or named; every owner of a song has a row."""

    __tablename__ = "uploads"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("audio.sha256", ondelete="CASCADE"), primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class AssetRow(Base):
    """A picture, video, font or lyrics in storage, once per content of the file that was uploaded."""

    __tablename__ = "assets"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)  # of the file as uploaded
    kind: Mapped[str] = mapped_column(String(8))  # image, video, font or lyrics
    digest: Mapped[str] = mapped_column(String(64))  # of what is stored: a picture's pixels, or the bytes
    size: Mapped[int] = mapped_column(BigInteger)  # bytes as stored
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)  # see services.media.assets.facts
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class AssetClaimRow(Base):
    """An owner's claim to an asset that they uploaded; every owner of an asset has a row."""

    __tablename__ = "asset_claims"
    __table_args__ = (Index("asset_claims_by_age", "owner", "created_at", "sha256"),)

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("assets.sha256", ondelete="CASCADE"), primary_key=True, index=True)
    id = synonym("sha256")  # as pages call it
    name: Mapped[str] = mapped_column(String(200))  # of the owner's file
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class SystemAssetRow(Base):
    """An asset that a system's config refers to."""

    __tablename__ = "system_assets"

    system_id: Mapped[str] = mapped_column(ForeignKey("systems.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("assets.sha256", ondelete="CASCADE"), primary_key=True, index=True)


class KeyRow(Base):
    """An API key: its owner, scopes and limits. Only the digest of the key is stored."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    limits: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)  # where they differ from the defaults
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UsageRow(Base):
    """Seconds of video rendered for an owner in a day; deleting jobs does not reduce it."""

    __tablename__ = "usage"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)  # in UTC, such as 2026-01-31
    seconds: Mapped[float] = mapped_column(Float)  # of video, including open jobs


# states of jobs that are in progress, and of jobs that can be retried
OPEN, RETRYABLE = ("queued", "rendering"), ("failed", "cancelled")


class JobRow(Base):
    """A render: its spec as of submission, and its progress.

    ``kind`` is video, output, preview, frame, analysis or curves; lists show videos only. ``outputs`` and ``whole_id``:
    see ``services.jobs.outputs``. ``virtual_time``, ``cost`` and ``fairness_key``: see
    ``services.jobs.fair_scheduler``.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_age", "kind", "created_at", "id"),
        Index("jobs_by_owner", "owner", "kind", "created_at", "id"),
        Index("jobs_by_status", "status", "kind", "created_at"),
        Index("jobs_by_flow", "flow", "priority", "status"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), default="")  # empty without API keys
    fairness_key: Mapped[str] = mapped_column("flow", String(64))  # the owner, or without API keys the system
    kind: Mapped[str] = mapped_column(String(8), default="video")
    system_id: Mapped[str] = mapped_column(String(36), index=True)
    batch_id: Mapped[str | None] = mapped_column(String(36), index=True)  # of jobs that were submitted together
    whole_id: Mapped[str | None] = mapped_column(String(36), index=True)  # of an output: the job that it is part of
    outputs: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # of a video, the main first
    scene: Mapped[dict[str, Any]] = mapped_column(JSON)  # see services.jobs.render_spec
    scene_key: Mapped[str] = mapped_column(String(64), index=True)
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
    start: Mapped[float | None] = mapped_column(Float)  # second of the song at which the video begins, if known
    expired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when its video was deleted
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    rendering_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when it was planned
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


VIDEOS = ("video", "output")  # kinds of jobs whose results are kept as videos


def renders_itself() -> ColumnElement[bool]:
    """Condition: a job with tasks of its own, and not one that its outputs render."""
    part = aliased(JobRow)
    return ~exists().where(part.whole_id == JobRow.id)


def _partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of those rows only, which a query uses if it says the same in the same words (``task_status_is``)."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class TaskRow(Base):
    """A piece of a job: its plan, a segment, the join, or a frame.

    ``attempt`` is a fencing token: a worker with an older attempt can no longer change anything. Of tasks with equal
    virtual time, the lower (older) id comes first.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_by_turn", "status", "turn"),
        Index("tasks_by_job", "job_id", "kind", "number", unique=True),
        _partial_index("tasks_ready_by_turn", "version", "turn", "id", where="status = 'ready'"),
        _partial_index("tasks_ready_by_age", "version", "id", where="status = 'ready'"),
        _partial_index("tasks_offered", "status", "turn", "id", where="status = 'ready' AND queued_at IS NOT NULL"),
        _partial_index("tasks_running", "lease_until", where="status = 'running'"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=uuid7)
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


def task_status_is(status: str, task: Any = TaskRow) -> ColumnElement[bool]:
    """Condition: tasks in this status; written out, as neither database uses a partial index for a parameter."""
    return cast("ColumnElement[bool]", task.status == literal_column(f"'{status}'"))


class ArtefactRow(Base):
    """A finished segment or result. Several attempts may have written files; only this one counts."""

    __tablename__ = "artefacts"

    key: Mapped[str] = mapped_column(String(160), primary_key=True)  # by content, see services.storage.object_keys
    object: Mapped[str] = mapped_column(String(255))  # storage key of the file
    size: Mapped[int] = mapped_column(BigInteger)
    overdrawn: Mapped[int] = mapped_column(Integer, default=0)  # frames in which particles were drawn smaller
    flashes: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # see ecs_core.flashes
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class EventRow(Base):
    """The state of a job after a change; followers read events in order and miss none."""

    __tablename__ = "events"
    __table_args__ = (Index("events_by_job", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class DeliveryRow(Base):
    """A webhook message that a job is over, for its ``webhook_url``."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("deliveries_by_status", "status", "next_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    url: Mapped[str] = mapped_column(Text)
    event: Mapped[str] = mapped_column(String(32))  # job.completed, job.failed or job.cancelled
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(16), default="pending")  # then delivered or failed
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)  # {at, status, error, seconds} each
    next_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class IdempotencyRow(Base):
    """A repeatable request: what was asked, and the response once there is one."""

    __tablename__ = "idempotency"

    key: Mapped[str] = mapped_column(String(330), primary_key=True)  # owner and key
    request: Mapped[str] = mapped_column(String(64))  # sha256 of route and body
    made_id: Mapped[str] = mapped_column(String(36), default=new_id)  # id of what the request creates
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


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
