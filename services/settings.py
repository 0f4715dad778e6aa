"""ServiceSettings: everything an operator can set, from ``MOTES_…`` variables of the environment."""

from __future__ import annotations

import base64
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_DAY = 24 * 3600  # seconds
_EVER = "0: for ever"
_SHARE = r"^(\d{1,18}|\d{1,2}(\.\d+)?%)$"
_SHORTEST_KEY = 24  # bytes, as Standard Webhooks has it


class ServiceSettings(BaseSettings):
    """The settings of the API and of workers. All processes of one installation need the same URLs."""

    model_config = SettingsConfigDict(env_prefix="MOTES_", extra="ignore", frozen=True, hide_input_in_errors=True)

    data: Path = Field(default=Path("motes-data"), description="folder of everything that is not kept elsewhere")
    database_url: str = Field(default="", description="postgresql+asyncpg://…; empty: SQLite in the data folder")
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="the queue")
    storage_url: str = Field(default="", description="file://…, s3://…; empty: a folder in the data folder")
    media_root: Path | None = Field(default=None, description="folder whose songs clients may name; none: uploads only")
    host: str = Field(default="127.0.0.1", description="address the API listens on")
    port: int = Field(default=8000, ge=0, le=65535, description="port the API listens on; 0: any that is free")
    auth: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="required, off, or auto: API keys are required unless only this machine is listened to",
    )
    upload_limit: int = Field(default=500_000_000, ge=1, description="bytes of an upload")
    lease_seconds: float = Field(
        default=15.0, ge=1, le=3600, description="after this long without a sign of life work is given again"
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="whsec_…, signs webhooks; motes serve makes one; none: webhooks are refused"
    )
    webhook_private_targets: bool = Field(
        default=False, description="let webhooks go to addresses that are not public, in a network one trusts"
    )

    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="port, at the host, where a worker tells Prometheus; the next ones are for others of motes serve",
    )
    metrics_open: bool = Field(
        default=False,
        description="let anybody read /metrics; else, where API keys are required, only an admin and this machine",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto, json or text; auto: json unless a terminal shows it"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="debug, info, warning or error; info tells of requests that change something, debug of all",
    )

    keep_videos: int = Field(default=30 * _DAY, ge=0, description=f"seconds since a video was last used; {_EVER}")
    keep_previews: int = Field(default=_DAY, ge=0, description=f"seconds of previews and frames; {_EVER}")
    keep_segments: int = Field(
        default=_DAY, ge=0, description=f"seconds since segments were last used, and nobody renders them; {_EVER}"
    )
    keep_uploads: int = Field(default=30 * _DAY, ge=0, description=f"seconds since a song was last used; {_EVER}")
    keep_bytes: int = Field(
        default=0, ge=0, description="bytes of songs and results of an owner, beyond which the oldest go; 0: no limit"
    )
    keep_free: str = Field(
        default="2000000000",
        pattern=_SHARE,
        description="bytes or per cent of the disk to be free, or else what was used least lately goes; 0: never",
    )
    keep_at_least: int = Field(
        default=3600, ge=0, description="seconds that anything is kept, whatever an owner has and however full the disk"
    )
    keep_jobs: int = Field(
        default=365 * _DAY, ge=0, description=f"seconds since a job ended whose video has expired; {_EVER}"
    )
    keep_history: int = Field(
        default=7 * _DAY, ge=0, description=f"seconds of events, tasks and webhooks of jobs that ended; {_EVER}"
    )
    keep_requests: int = Field(default=_DAY, ge=0, description=f"seconds of answers to an Idempotency-Key; {_EVER}")
    keep_orphans: int = Field(
        default=3600,
        ge=60,
        description="seconds until a file that nothing refers to is taken for left by the dead",
    )
    keep_every: int = Field(
        default=60, ge=1, le=3600, description="seconds between looks for what may go; must divide a minute or an hour"
    )
    reserve: str = Field(
        default="1000000000",
        pattern=_SHARE,
        description="bytes or per cent of the disk that new jobs and uploads leave free; 0: none is refused",
    )

    @field_validator("keep_every")
    @classmethod
    def _regular(cls, seconds: int) -> int:
        if 60 % seconds and (seconds % 60 or 3600 % seconds):
            raise ValueError("must divide a minute, or be minutes that divide an hour")
        return seconds

    @field_validator("webhook_secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            try:
                key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
            except ValueError:
                key = b""
            if len(key) < _SHORTEST_KEY:
                raise ValueError(f"must be whsec_ and at least {_SHORTEST_KEY} bytes as base64")
        return secret

    @property
    def keys_required(self) -> bool:
        """Whether requests need a key, as far as the settings say."""
        return self.auth == "required" or (self.auth == "auto" and not is_loopback(self.host))

    def reserve_of(self, disk: int) -> int:
        """Bytes of a disk of so many that new jobs and uploads leave free."""
        return _of(self.reserve, disk)

    def free_of(self, disk: int) -> int:
        """Bytes of a disk of so many that retention keeps free."""
        return _of(self.keep_free, disk)

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data.absolute() / 'motes.db'}"

    @property
    def storage(self) -> str:
        """The storage's URL."""
        return self.storage_url or f"file://{self.data.absolute() / 'storage'}"


def _of(share: str, disk: int) -> int:
    return int(disk * float(share[:-1]) / 100) if share.endswith("%") else int(share)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there; of a name other than localhost that is not known."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
