"""ServiceSettings: everything an operator can set through ``MOTES_…`` environment variables."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")  # as browsers send it
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.IGNORECASE)
_HOST = r"(?P<user>.*?@)?(\[[^]]+\]|[^]/:?@[]*)(:\d{1,4}|:[1-6]\d{4})?([/?].*)?"  # a password may hold any character
_DATABASE = re.compile(rf"postgresql\+asyncpg://{_HOST}|sqlite\+aiosqlite:///.+")
_DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
_DAY = 24 * 3600  # seconds
_EVER = "0: for ever"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": _DAY}  # seconds
_SPAN = re.compile(r"(\d{1,9})([smhd]?)", re.ASCII)
_STORES = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "http", "https")  # supported by obstore
_SHARE = re.compile(r"\d{1,18}|\d{1,2}(\.\d+)?%", re.ASCII)
_SHORTEST_KEY = 24  # bytes, as Standard Webhooks requires


class ServiceSettings(BaseSettings):
    """The settings of the API and of workers. All processes of an installation need the same URLs."""

    model_config = SettingsConfigDict(env_prefix="MOTES_", extra="ignore", frozen=True, hide_input_in_errors=True)

    data: Path = Field(default=Path("motes-data"), description="folder for everything that is not stored elsewhere")
    database_url: str = Field(default="", description="postgresql+asyncpg://…; empty: SQLite in the data folder")
    database_pool: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="connections to PostgreSQL that a process opens at most; 0: 10, or 3 if it is a worker",
    )
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="the queue")
    storage_url: str = Field(default="", description="file://…, s3://…; empty: a folder in the data folder")
    media_root: Path | None = Field(
        default=None, description="folder whose songs clients may name; empty: uploads only"
    )
    host: str = Field(default="127.0.0.1", description="address the API listens on")
    port: int = Field(default=8000, ge=0, le=65535, description="port the API listens on; 0: any free port")
    auth: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="required, off, or auto: API keys are required unless the API listens on this machine only",
    )
    sandbox: Literal["auto", "required", "best-effort"] = Field(
        default="auto",
        description="required, best-effort, or auto: files are refused where the kernel cannot sandbox their decoders, "
        "unless the API needs no keys and listens on this machine only",
    )
    cors_origins: str = Field(
        default="", description="origins whose pages may use the API, such as https://example.org, separated by commas"
    )
    allowed_hosts: str = Field(
        default="",
        description="host names, besides addresses and localhost, that requests without a key may use",
    )
    trusted_proxies: str = Field(
        default="127.0.0.1,::1",
        description="addresses or networks of proxies whose X-Forwarded-For, -Proto and -Prefix are trusted",
    )
    wrong_keys_per_minute: int = Field(
        default=60, ge=1, description="wrong API keys per minute and client address, above which the answer is 429"
    )
    limit_requests_per_minute: int = Field(default=600, ge=0, description="requests per minute and key")
    limit_open_jobs: int = Field(default=200, ge=0, description="jobs of an owner that are not over")
    limit_open_uploads: int = Field(default=20, ge=0, description="resumable uploads of an owner that are not complete")
    limit_queued_jobs: int = Field(default=100, ge=0, description="jobs of an owner that no worker has started")
    limit_rendered_seconds_per_day: int = Field(
        default=36_000, ge=0, description="seconds of usual video, or as much other work, for an owner per day (UTC)"
    )
    limit_running_tasks: int = Field(
        default=0, ge=0, description="tasks of an owner that workers do at a time; 0: no limit"
    )
    limit_stored_bytes: int = Field(
        default=50_000_000_000,
        ge=0,
        description="bytes of everything that is stored of an owner: songs, assets, results, systems …",
    )
    limit_systems: int = Field(default=10_000, ge=0, description="systems of an owner")
    max_pixels: int = Field(default=7680 * 4320, ge=256, le=7680 * 4320, description="width × height of any video")
    max_fps: float = Field(default=120, ge=1, le=240, description="frames per second of any video")
    max_seconds: float = Field(default=10_800, gt=0, le=86_400, description="duration of any video")
    max_particles: int = Field(
        default=250_000,
        ge=1000,
        le=1_000_000,
        description="particle_count, and max_particles, of any system with its layers",
    )
    max_letters: int = Field(default=20_000, ge=100, description="letters of all texts in the layers of any system")
    max_variants: int = Field(default=8, ge=0, le=8, description="variants of any video")
    max_song_seconds: float = Field(default=10_800, gt=0, le=10_800, description="duration of any song")
    max_song_samples: int = Field(
        default=5_000_000_000, ge=1, description="samples of any song: duration × sample rate × channels"
    )
    upload_limit: int = Field(default=500_000_000, ge=1, description="bytes of an upload")
    downloads: Literal["stream", "redirect"] = Field(
        default="stream",
        description="stream, or redirect: clients are sent to an address of the object store, valid for 15 minutes",
    )
    lease_seconds: float = Field(
        default=15.0,
        ge=1,
        le=3600,
        description="seconds without a heartbeat after which a task is given to another worker",
    )
    worker_memory: int = Field(
        default=0,
        ge=0,
        description="bytes of memory that a worker's tasks may take together; 0: that of the cgroup or the machine, "
        "shared by the workers of motes serve",
    )
    max_task_memory: int = Field(
        default=0,
        ge=0,
        description="bytes of memory that any task may take, as of the largest worker; 0: worker_memory, or no limit",
    )
    stall_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="seconds without progress, or of processor time without, after which a task's process is killed",
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="whsec_…, signs webhooks; motes serve creates one; empty: webhooks are refused"
    )
    webhook_private_targets: bool = Field(
        default=False, description="allow webhooks to private addresses, in a trusted network"
    )

    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="port of the first worker's metrics; other workers of motes serve use the next ones",
    )
    metrics_open: bool = Field(
        default=False,
        description="let anybody read /metrics; otherwise, if API keys are required, only admins and this machine",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto, json or text; auto: text in a terminal, else json"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="debug, info, warning or error; info logs requests that change something or are refused by "
        "key or rate, debug all requests",
    )

    keep_videos: int = Field(default=30 * _DAY, ge=0, description=f"seconds since a video was last used; {_EVER}")
    keep_previews: int = Field(
        default=_DAY, ge=0, description=f"seconds since previews and frames were last viewed; {_EVER}"
    )
    keep_segments: int = Field(
        default=_DAY, ge=0, description=f"seconds since segments were last used, if no job needs them; {_EVER}"
    )
    keep_analyses: int = Field(
        default=30 * _DAY,
        ge=0,
        description=f"seconds since an analysis was last asked for, or made for a render; {_EVER}",
    )
    keep_uploads: int = Field(
        default=30 * _DAY,
        ge=0,
        description=f"seconds since a song or an asset was last used, if no system refers to the asset; {_EVER}",
    )
    keep_bytes: int = Field(
        default=0,
        ge=0,
        description="bytes of an owner's songs, assets and results above which the oldest are deleted; 0: no limit",
    )
    keep_free: str = Field(
        default="2000000000",
        description="bytes or per cent of the disk to keep free by deleting what was least recently used; 0: never",
    )
    keep_at_least: int = Field(
        default=3600, ge=0, description="seconds that everything is kept, even over quota or on a full disk"
    )
    keep_jobs: int = Field(
        default=365 * _DAY, ge=0, description=f"seconds since the end of a job whose video has expired; {_EVER}"
    )
    keep_history: int = Field(
        default=7 * _DAY, ge=0, description=f"seconds that events, tasks and webhooks are kept after their job; {_EVER}"
    )
    keep_requests: int = Field(
        default=_DAY, ge=0, description=f"seconds that answers to an Idempotency-Key are kept; {_EVER}"
    )
    keep_orphans: int = Field(
        default=3600,
        ge=60,
        description="seconds until a file that nothing refers to counts as orphaned",
    )
    keep_every: int = Field(
        default=60,
        ge=1,
        le=3600,
        description="seconds between checks for expired data; must divide a minute or an hour",
    )
    reserve: str = Field(
        default="1000000000",
        description="bytes or per cent of the disk that new jobs and uploads must leave free; 0: no check",
    )

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, url: str) -> str:
        scheme, separator, rest = url.partition("://")
        # Accept the schemes and parameters that hosting providers and other clients use.
        url = _DRIVERS.get(scheme, scheme) + separator + re.sub(r"([?&])sslmode=", r"\1ssl=", rest)
        if not url:
            return url
        if (found := _DATABASE.fullmatch(url)) is None:
            known = (
                "postgresql+asyncpg://host:port/name, with user:password@ before the host, or sqlite+aiosqlite:///path"
            )
            raise ValueError(f"must be {known}")
        if (user := found["user"]) and "@" in user[:-1]:  # where drivers would take the host to begin
            return url.replace(user, f"{user[:-1].replace('@', '%40')}@", 1)
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: str) -> str:
        with suppress(ValueError):  # an invalid port
            parts = urlsplit(url)  # parsed as the client does
            host = parts.hostname, parts.port
            if parts.scheme == "local" and parts.path and not parts.netloc:  # as motes serve has it, without a Redis
                return url
            if parts.scheme in ("redis", "rediss") or (parts.scheme == "unix" and parts.path and host == (None, None)):
                return url
        raise ValueError("must be redis://host:port/number, rediss://… or unix:///path")

    @field_validator("media_root", mode="before")
    @classmethod
    def _empty_is_none(cls, root: object) -> object:
        return None if root == "" else root  # rather than the current folder

    @field_validator("media_root")
    @classmethod
    def _is_folder(cls, root: Path | None) -> Path | None:
        if root is not None and not root.is_dir():
            raise ValueError("must be an existing folder")
        return root

    @field_validator(
        *("keep_videos", "keep_previews", "keep_segments", "keep_analyses", "keep_uploads", "keep_at_least"),
        *("keep_jobs", "keep_history", "keep_requests", "keep_orphans", "keep_every"),
        mode="before",
    )
    @classmethod
    def _in_seconds(cls, value: object) -> object:
        """A number with a unit, such as 30d, in seconds."""
        if not isinstance(value, str):
            return value
        if not (found := _SPAN.fullmatch(value)):
            raise ValueError("must be seconds, or a number with a unit, such as 30d, 12h, 30m or 45s")
        return int(found[1]) * _UNITS[found[2]]

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

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, text: str) -> str:
        for each in split_list(text):
            if not _ORIGIN.fullmatch(each):
                raise ValueError(f"must be origins such as https://example.org, not {each[:200]!r}")
        return text

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, text: str) -> str:
        for each in split_list(text):
            if not _NAME.fullmatch(each):
                raise ValueError(f"must be names such as motes.example.org, not {each[:200]!r}")
        return text

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        for each in split_list(text):
            try:
                ip_network(each)
            except ValueError:
                raise ValueError(f"must be addresses or networks such as 10.0.0.0/8, not {each[:200]!r}") from None
        return text

    @field_validator("storage_url")
    @classmethod
    def _is_storage(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_folder = (parts.scheme, parts.netloc) == ("file", "") and parts.path.startswith("/")
            right = is_folder or (parts.scheme in _STORES and bool(parts.netloc))
        except ValueError:
            right = False
        if url and not right:
            raise ValueError("must be file:///folder or s3://bucket/prefix, or gs:// or az:// likewise")
        return url

    @field_validator("keep_free", "reserve")
    @classmethod
    def _is_share(cls, text: str) -> str:
        if not _SHARE.fullmatch(text):
            raise ValueError("must be bytes, such as 2000000000, or a percentage below 100, such as 7.5%")
        return text

    @property
    def keys_required(self) -> bool:
        """Whether the settings alone require API keys."""
        return self.auth == "required" or (self.auth == "auto" and not is_loopback(self.host))

    def sandbox_required(self, owner: str) -> bool:
        """Whether files must not be decoded unless the sandbox is complete; without an API key, the owner is empty."""
        if self.sandbox != "auto":
            return self.sandbox == "required"
        return bool(owner) or self.keys_required or not is_loopback(self.host)

    def reserve_of(self, disk: int) -> int:
        """Bytes of a disk that new jobs and uploads leave free."""
        return _of(self.reserve, disk)

    def free_of(self, disk: int) -> int:
        """Bytes of a disk that retention keeps free."""
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


# Limits that a key may override.
LIMITS = tuple(name.removeprefix("limit_") for name in ServiceSettings.model_fields if name.startswith("limit_"))


def split_list(text: str) -> list[str]:
    """The values of a comma-separated setting."""
    return [each.strip() for each in text.split(",") if each.strip()]


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to the host; of names only localhost is known to be."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
