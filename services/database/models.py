"""The database: what is true of systems, songs, jobs and their tasks. SQLite or PostgreSQL, through the same models."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, aware of it on SQLite too, which keeps no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """To UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """As UTC."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """An id that nobody can guess."""
    return str(uuid.uuid4())


def uuid7() -> str:
    """An id that sorts behind those made before it (UUID version 7, to a quarter of a microsecond)."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    moment = milliseconds << 80 | 7 << 76 | (rest * 4096 // 1_000_000) << 64
    return str(uuid.UUID(int=moment | 2 << 62 | secrets.randbits(62)))


def id_timestamp(id_: str) -> datetime:
    """When an ``uuid7`` was made."""
    return datetime.fromtimestamp((uuid.UUID(id_).int >> 80) / 1000, UTC)


class Base(DeclarativeBase):
    """All tables."""


class SystemRow(Base):
    """A particle system: a type, its config, and the song it has been given."""

    __tablename__ = "systems"
    __table_args__ = (
        Index("systems_by_age", "created_at", "id"),
        Index("systems_by_owner", "owner", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), default="")  # empty where there are no keys
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
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class UploadRow(Base):
    """That an owner uploaded a song, or named one; whoever else uploads the same one has a row of its own."""

    __tablename__ = "uploads"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("audio.sha256", ondelete="CASCADE"), primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class KeyRow(Base):
    """An API key: whose it is, and what it may do. The key itself is not kept, only its digest."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    limits: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)  # where they differ from everybody's
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UsageRow(Base):
    """How much was rendered for an owner in a day, which counts when its jobs are deleted, too."""

    __tablename__ = "usage"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)  # in UTC, such as 2026-01-31
    seconds: Mapped[float] = mapped_column(Float)  # of video, those of open jobs included


OPEN, RETRYABLE = ("queued", "rendering"), ("failed", "cancelled")  # jobs that go on, and that can be tried again


class JobRow(Base):
    """A render: the scene as it was when it was asked for, and how far it is.

    ``kind`` is video, preview or frame; lists show videos alone. ``turn`` and ``cost``:
    see ``services.jobs.fair_scheduler``.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_age", "kind", "created_at", "id"),
        Index("jobs_by_owner", "owner", "kind", "created_at", "id"),
        Index("jobs_by_status", "status", "kind", "created_at"),
        Index("jobs_by_flow", "flow", "priority", "status"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), default="")  # empty where there are no keys
    fairness_key: Mapped[str] = mapped_column(
        "flow", String(64)
    )  # whom the queue is fair to: the owner, or else the system
    kind: Mapped[str] = mapped_column(String(8), default="video")
    system_id: Mapped[str] = mapped_column(String(36), index=True)
    scene: Mapped[dict[str, Any]] = mapped_column(JSON)  # {type, config, audio: sha256 or null, quality, at?}
    scene_key: Mapped[str] = mapped_column(String(64), index=True)
    output_path: Mapped[str] = mapped_column(String(255))
    webhook_url: Mapped[str | None] = mapped_column(Text)
    traceparent: Mapped[str | None] = mapped_column(String(55))  # the span that its tasks are part of
    priority: Mapped[str] = mapped_column(String(8), default="normal")
    virtual_time: Mapped[float] = mapped_column("turn", Float, default=0.0)
    cost: Mapped[float] = mapped_column(Float, default=1.0)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    stage: Mapped[str] = mapped_column(String(16), default="queued")
    stage_progress: Mapped[int] = mapped_column(Integer, default=0)  # 0–100 of this stage
    progress: Mapped[int] = mapped_column(Integer, default=0)  # 0–100 of the whole
    frames: Mapped[int] = mapped_column(Integer, default=0)  # to render; 0 until it is planned
    frames_done: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str | None] = mapped_column(Text)  # why it failed, or why it has to wait
    size: Mapped[int | None] = mapped_column(BigInteger)  # bytes of the result
    seconds: Mapped[float] = mapped_column(Float, default=0.0)  # how long the video will be
    expired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when its video was removed
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    rendering_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when it was planned
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TaskRow(Base):
    """A piece of a job's work: its plan, one of its segments, joining them, or a frame.

    ``attempt`` is the fence: whoever holds an older one may not change anything any more. Of two with the same turn the
    one with the lower id comes first, which is the older one.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_by_turn", "status", "turn"),
        Index("tasks_by_job", "job_id", "kind", "number", unique=True),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=uuid7)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    number: Mapped[int] = mapped_column(Integer, default=0)
    status: Mapped[str] = mapped_column(String(8), default="ready")
    virtual_time: Mapped[float] = mapped_column("turn", Float, default=0.0)
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    deaths: Mapped[int] = mapped_column(Integer, default=0)  # of processes that did it
    losses: Mapped[int] = mapped_column(Integer, default=0)  # of workers that had it
    frames: Mapped[int] = mapped_column(Integer, default=0)
    done: Mapped[int] = mapped_column(Integer, default=0)  # frames of the present attempt
    worker: Mapped[str | None] = mapped_column(String(128))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    queued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)  # as after a full disk


class ArtefactRow(Base):
    """Something finished: a segment or a result. Its file was written by one attempt, and only that file counts."""

    __tablename__ = "artefacts"

    key: Mapped[str] = mapped_column(String(160), primary_key=True)  # by content, see services.storage.object_keys
    object: Mapped[str] = mapped_column(String(255))  # where it lies in storage
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class EventRow(Base):
    """A job as it was after a change; followers read them in order and miss none."""

    __tablename__ = "events"
    __table_args__ = (Index("events_by_job", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class DeliveryRow(Base):
    """A webhook message: that a job is over, for its ``webhook_url``."""

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
    """A request that may be repeated: what was asked, and what was answered, once it was."""

    __tablename__ = "idempotency"

    key: Mapped[str] = mapped_column(String(330), primary_key=True)  # the owner's
    request: Mapped[str] = mapped_column(String(64))  # sha256 of route and body
    made_id: Mapped[str] = mapped_column(String(36), default=new_id)  # of what the request makes
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
