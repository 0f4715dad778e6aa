"""The database: what is true of systems, songs, jobs and their tasks. SQLite or PostgreSQL, through the same models."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Float, ForeignKey, Index, Integer, String, Text, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

Sessions = async_sessionmaker[AsyncSession]


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


class Base(DeclarativeBase):
    """All tables."""


class SystemRow(Base):
    """A particle system: a type, its config, and the song it has been given."""

    __tablename__ = "systems"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    particle_type: Mapped[str] = mapped_column(String(64))
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    audio: Mapped[str | None] = mapped_column(String(80))  # sha256 of the song
    revision: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)


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


class JobRow(Base):
    """A render: the scene as it was when it was asked for, and how far it is."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    system_id: Mapped[str] = mapped_column(String(36), index=True)
    scene: Mapped[dict[str, Any]] = mapped_column(JSON)  # {type, config, audio: sha256 or null, quality}
    scene_key: Mapped[str] = mapped_column(String(64))
    output_path: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16), default="queued", index=True)
    stage: Mapped[str] = mapped_column(String(16), default="queued")
    frames: Mapped[int] = mapped_column(Integer, default=0)
    cancel: Mapped[bool] = mapped_column(Boolean, default=False)
    error: Mapped[str | None] = mapped_column(Text)
    size: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TaskRow(Base):
    """A piece of a job's work: its plan, one of its segments, or joining them.

    ``attempt`` is the fence: whoever holds an older one may not change anything any more.
    """

    __tablename__ = "tasks"
    __table_args__ = (Index("tasks_by_status", "status", "lease_until"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    number: Mapped[int] = mapped_column(Integer, default=0)
    status: Mapped[str] = mapped_column(String(8), default="ready")
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    deaths: Mapped[int] = mapped_column(Integer, default=0)
    frames: Mapped[int] = mapped_column(Integer, default=0)
    done: Mapped[int] = mapped_column(Integer, default=0)
    worker: Mapped[str | None] = mapped_column(String(128))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    queued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def open_database(url: str) -> tuple[AsyncEngine, Sessions]:
    """An engine and its sessions; SQLite in WAL mode, so that readers never wait for a writer."""
    engine = create_async_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if url.startswith("sqlite"):

        @event.listens_for(engine.sync_engine, "connect")
        def _pragmas(connection: Any, record: Any) -> None:
            cursor = connection.cursor()
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

    return engine, async_sessionmaker(engine, expire_on_commit=False)
