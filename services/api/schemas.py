"""Requests and responses of the API, as pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, field_validator, model_validator
from typing_extensions import TypeAliasType

from ecs_core.errors import SceneError
from ecs_core.formats import Form
from ecs_core.scene.variants import picture_size
from ecs_core.video.quality import ALLOWED, wanted

# Such aliases become components of the OpenAPI document, so generated clients have one name for each.
Priority = TypeAliasType("Priority", Literal["low", "normal", "high"])
Quality = TypeAliasType("Quality", Literal["draft", "standard", "high"])
BitRate = TypeAliasType("BitRate", Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,6})?[kM]$")])
Format = TypeAliasType("Format", Form)
JobStatus = TypeAliasType("JobStatus", Literal["queued", "rendering", "completed", "failed", "cancelled"])
AssetKind = TypeAliasType("AssetKind", Literal["image", "video", "font", "lyrics"])
BeatOctave = TypeAliasType("BeatOctave", Literal["half", "double"])

_SYSTEM = "3f2b8c1e-5d0a-4b6f-9a51-0c7e2d4f8b13"
_JOB = "b1946ac9-2492-4d23-8f4e-6c8e4c3a1d52"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_MOMENT = "2026-01-31T12:00:00.000000Z"
_CONFIG = {"width": 1280, "height": 720, "fps": 30, "duration": 10.0, "particle_count": 100, "bass_threshold": 0.3}
_STATUS = {
    "particle_type": "snow",
    "particle_count": 100,
    "max_particles": 1000,
    "config": _CONFIG,
    "audio_loaded": False,
}


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [values]})


class _Body(BaseModel):
    """A request body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        unknown = [name for name in values if name not in cls.model_fields] if isinstance(values, dict) else []
        if unknown:
            raise ValueError(f"unknown field {unknown[0][:100]!r}; there are: {', '.join(cls.model_fields)}")
        return values


_TEMPLATE: Any = Field(None, description="one of `GET /templates`, instead of a type", examples=["cover-ring"])
_SLOTS: Any = Field(
    default_factory=dict,
    description="what the template's slots hold: texts, colours, asset:ID of images and lyrics",
    examples=[{"title": "Nocturne", "cover": f"asset:{_SHA256}"}],
)


def _check_look(body: Any) -> Any:
    """A body has a type or a template, and slots only with the latter."""
    if (body.template is None) == (body.particle_type is None):
        if body.template is None:
            raise ValueError("particle_type is missing; give one, or a template")
        raise ValueError("give a particle_type or a template, not both")
    if body.template is None and body.slots:
        raise ValueError("slots: are for a template; give one")
    return body


class CreateSystem(_Body):
    """A new particle system."""

    model_config = _example(particle_type="snow", config=_CONFIG)

    particle_type: str | None = Field(None, description="one of `GET /types`; needed without a template")
    config: dict[str, Any] = Field(
        default_factory=dict, description="settings of the type; the others have defaults, or are the template's"
    )
    template: str | None = _TEMPLATE
    slots: dict[str, Any] = _SLOTS
    audio_path: str | None = Field(
        None, description="the song, as of `load-audio`; with a template, its tags fill slots that are not given"
    )

    _one_look = model_validator(mode="after")(_check_look)


class SystemStatus(BaseModel):
    """A system as it stands."""

    model_config = _example(**_STATUS)

    particle_type: str
    particle_count: int
    max_particles: int
    config: dict[str, Any] = Field(description="all settings, defaults too")
    audio_loaded: bool


class System(BaseModel):
    """A particle system."""

    model_config = _example(system_id=_SYSTEM, owner="alice", particle_type="snow", status=_STATUS, created_at=_MOMENT)

    system_id: str
    owner: str = Field(description="whose it is, by the key that made it; empty where no keys are asked for")
    particle_type: str
    status: SystemStatus
    created_at: datetime


class Changed(BaseModel):
    """What was done to a system."""

    model_config = _example(message="Configuration updated", status=_STATUS)

    message: str
    status: SystemStatus


class NewConfig(_Body):
    """Settings that shall change."""

    model_config = _example(config={"particle_count": 400, "bounce": True})

    config: dict[str, Any]


class ParticleTypeInfo(BaseModel):
    """A particle type and everything that can be told to it."""

    type: str = Field(examples=["snow"])
    name: str = Field(examples=["Snow"])
    description: str
    features: list[str]
    config_schema: dict[str, Any] = Field(description="the JSON schema of `config`")
    presets: dict[str, dict[str, Any]] = Field(description="configs to start from, by name")
    bindable: dict[str, list[str]] = Field(description="the sources and targets that `bindings` can have")


class LayerKindInfo(BaseModel):
    """A kind of layers: what a config can show besides its own particles."""

    kind: str = Field(examples=["image"])
    description: str
    config_schema: dict[str, Any] = Field(description="the JSON schema of a layer of this kind")
    bindable: dict[str, list[str]] = Field(description="as of types; none of particles, whose config has its own")


class TemplateSlot(BaseModel):
    """What a template lets its users give."""

    kind: Literal["image", "text", "lyrics", "colors"] = Field(
        description="asset:ID of an image or of lyrics, a text, or colours: a list, the name of a palette, or cover"
    )
    description: str
    required: bool
    default: str | list[list[int]] | None


class TemplateInfo(BaseModel):
    """A whole look with slots."""

    name: str = Field(examples=["cover-ring"])
    version: int
    description: str
    particle_type: str
    slots: dict[str, TemplateSlot]
    picture: str | None = Field(description="address of a moving picture of it; null if there is none")


class TemplateFile(BaseModel):
    """A template as it is in its file, to copy and change."""

    version: int
    name: str
    description: str
    type: str
    slots: dict[str, TemplateSlot]
    config: dict[str, Any] = Field(description="settings and layers, with references to slots")


class Variant(_Body):
    """A further output of a render; what it does not say is as in the main one."""

    model_config = _example(size="1080x1920")

    name: str | None = Field(None, description="small letters, digits and hyphens; null: from its size and format")
    platform: str | None = Field(None, description="as the setting of that name; stands for size, length, loop …")
    size: str | None = None
    format: Format | None = None
    fps: float | str | None = None
    duration: float | Literal["audio"] | None = None


class MaxBytes(_Body):
    """The largest size that a file may have."""

    max_bytes: int = Field(ge=1, description="bytes")


class RenderOptions(_Body):
    """Output settings; all are optional, and count over a config's own."""

    size: str | None = Field(None, description="instead of width and height, such as 1280x720", examples=["1280x720"])
    # Validated with all settings, so that the messages are the same.
    width: Annotated[int | None, SkipValidation] = None
    height: Annotated[int | None, SkipValidation] = None
    fps: Annotated[float | str | None, SkipValidation] = None
    duration: Annotated[float | Literal["audio"] | None, SkipValidation] = Field(
        None, description='seconds; null or "audio": as long as the song'
    )
    start: Annotated[float | Literal["drop"] | None, SkipValidation] = Field(
        None, description='second of the song at which the video begins; "drop": a bar before its strongest drop'
    )
    fade_in: Annotated[float | None, SkipValidation] = Field(None, description="seconds from black and silence")
    fade_out: Annotated[float | None, SkipValidation] = Field(None, description="seconds to black and silence")
    seed: Annotated[int | None, SkipValidation] = None
    track: Annotated[int | None, SkipValidation] = Field(
        None, description="sound track of a file that has several, from 0; null: the default one that can be read"
    )
    quality: Quality | MaxBytes | BitRate = Field(
        "standard",
        description="or bits per second of the picture, or the largest size of the file",
        examples=["high", "8M", {"max_bytes": 8000000}],
    )
    format: Format | None = Field(
        None,
        description="png: numbered frames in a zip file; null: the system's own, or what output_path ends in",
    )
    variants: Annotated[list[Variant] | None, SkipValidation] = Field(
        None,
        description="further sizes and formats; the song is analysed once",
        examples=[[{"size": "1080x1920"}, {"size": "1080x1080", "format": "webm"}]],
    )
    priority: Priority = Field(
        "normal", description="shares of the workers: 1, 4 and 16; for high a key needs the scope priority"
    )
    webhook_url: str | None = Field(
        None, description="a public address that is told when the job is over", examples=["https://example.com/x"]
    )

    @field_validator("quality", mode="before")
    @classmethod
    def _is_quality(cls, value: Any) -> Any:
        try:
            return wanted(value).to_json()
        except SceneError as error:
            unknown = str(error).startswith("unknown")
            raise ValueError(f"must be {ALLOWED}" if unknown else str(error)) from None

    @field_validator("size")
    @classmethod
    def _is_size(cls, value: str | None) -> str | None:
        if value is not None:
            picture_size(value)
        return value

    @property
    def asked_quality(self) -> str | dict[str, int]:
        """The quality as plain data."""
        return self.quality.model_dump() if isinstance(self.quality, MaxBytes) else self.quality

    @property
    def over(self) -> dict[str, Any]:
        """The settings that override the system's."""
        names = ("width", "height", "fps", "start", "fade_in", "fade_out", "seed", "track", "format", "variants")
        named = {name: getattr(self, name) for name in names}
        over = {name: value for name, value in named.items() if value is not None}
        if self.size is not None:
            if "width" in over or "height" in over:
                raise SceneError(f"size {self.size!r}: give that, or width and height, not both")
            over["width"], over["height"] = picture_size(self.size)
        return over | ({"duration": self.duration} if "duration" in self.model_fields_set else {})


class RenderRequest(RenderOptions):
    """A render; everything is optional. Output settings count over the system's own."""

    model_config = _example(output_path="my_visualization.mp4", audio_path=f"uploads/{_SHA256}.wav", quality="high")

    system_id: str | None = Field(None, description="accepted, as in the guide; must be the one in the path")
    output_path: str | None = Field(
        None, description="a file name ending in .mp4, .mov, .webm, .zip, .webp or .gif, which says the format"
    )
    audio_path: str | None = Field(None, description="an uploaded song's path, or one under the media root")


class BatchSong(_Body):
    """A song of a batch, and what is of it alone."""

    model_config = _example(audio_path=f"uploads/{_SHA256}.wav", slots={"cover": f"asset:{_SHA256}"})

    audio_path: str = Field(description="an uploaded song's path or id, or a path under the media root")
    slots: dict[str, Any] = Field(default_factory=dict, description="over those of the batch")
    output_path: str | None = Field(None, description="a file name, as of a render")


class NewBatch(RenderOptions):
    """A render of each song; output settings count over the config's own."""

    model_config = _example(template="cover-ring", songs=[_SHA256], size="1080x1920")

    template: str | None = _TEMPLATE
    slots: dict[str, Any] = _SLOTS
    particle_type: str | None = Field(None, description="one of `GET /types`, instead of a template")
    config: dict[str, Any] = Field(default_factory=dict, description="settings, over those of the template")
    songs: list[str | BatchSong] = Field(min_length=1, max_length=100, description="in the order in which they begin")

    _one_look = model_validator(mode="after")(_check_look)


class RenderAccepted(BaseModel):
    """A render that will be done."""

    model_config = _example(job_id=_JOB, message="Rendering started", output_path="my_visualization.mp4")

    job_id: str
    message: str
    output_path: str


class OutputEstimate(BaseModel):
    """What an output of a render would take."""

    name: str = Field(description="main, or that of the variant")
    seconds: float = Field(description="of video; the most that it may be, where only the analysis can tell")
    frames: int
    bytes: int = Field(description="of the file, about")
    cpu_seconds: float = Field(description="of one core of a common server, about")
    rendered_seconds: float = Field(description="what it counts in the limit rendered_seconds_per_day")
    exists: bool = Field(description="whether it is there already, and free")


class Estimate(BaseModel):
    """What a render would take; `cpu_seconds` and `rendered_seconds` are of outputs that do not exist."""

    model_config = _example(
        seconds=10.0,
        frames=300,
        bytes=1_200_000,
        cpu_seconds=11.2,
        rendered_seconds=10.0,
        seconds_left=6.4,
        outputs=[
            {
                "name": "main",
                "seconds": 10.0,
                "frames": 300,
                "bytes": 1_200_000,
                "cpu_seconds": 11.2,
                "rendered_seconds": 10.0,
                "exists": False,
            }
        ],
    )

    seconds: float = Field(description="of the main output's video")
    frames: int = Field(description="of all outputs")
    bytes: int = Field(description="of all files, about")
    cpu_seconds: float = Field(description="of one core of a common server, about")
    rendered_seconds: float = Field(description="what it counts in the limit rendered_seconds_per_day")
    seconds_left: float | None = Field(
        None, description="until it is done, if all that waits now is done first; null while no worker is known"
    )
    outputs: list[OutputEstimate]


class Flashing(BaseModel):
    """A passage of a video that flashes more than WCAG 2.3.1 allows."""

    kind: Literal["general", "red"] = Field(description="of luminance, or of saturated red")
    start: float = Field(description="seconds of the video")
    stop: float = Field(description="seconds of the video")
    flashes: int = Field(description="the most within one second; three are allowed")
    area: float = Field(
        description="the largest share of a window of a third by a third of the picture that flashes; 0.25 is allowed"
    )


class Output(BaseModel):
    """A file that a render gives."""

    name: str = Field(description="main, or that of the variant")
    status: JobStatus
    progress: int = Field(ge=0, le=100, description="per cent")
    width: int
    height: int
    format: Format
    bytes: int | None = Field(None, description="of the file with its poster, once it is completed")
    url: str | None = Field(None, description="where it can be downloaded, relative to the root of this API")


class Job(BaseModel):
    """A render and how far it is."""

    model_config = _example(
        job_id=_JOB,
        owner="alice",
        system_id=_SYSTEM,
        batch_id=None,
        status="rendering",
        stage="rendering",
        stage_progress=42,
        progress=41,
        frames=300,
        frames_done=126,
        start=0.0,
        seconds_left=3.4,
        priority="normal",
        created_at=_MOMENT,
        output_path="my_visualization.mp4",
        completed_at=None,
        expired_at=None,
        failed_at=None,
        error=None,
        warnings=[],
        flashes=None,
        outputs=[
            {
                "name": "main",
                "status": "rendering",
                "progress": 41,
                "width": 1280,
                "height": 720,
                "format": "mp4",
                "bytes": None,
                "url": None,
            }
        ],
    )

    job_id: str
    owner: str = Field(description="as of systems")
    system_id: str = Field(description="of a job of a batch: that one's id")
    batch_id: str | None = Field(None, description="the batch that it was submitted with")
    status: JobStatus
    stage: str = Field(description="queued, analysing, rendering, joining, or as `status` when it is over")
    stage_progress: int = Field(ge=0, le=100, description="per cent of this stage")
    progress: int = Field(ge=0, le=100, description="per cent; goes back where a process died and its frames were lost")
    frames: int = Field(description="to render; 0 until that is known")
    frames_done: int
    start: float | None = Field(
        None, description='second of the song at which the video begins; null until "drop" is found'
    )
    seconds_left: float | None = Field(None, description="if it goes on as fast as so far; null where that is unknown")
    priority: Priority
    created_at: datetime
    output_path: str
    completed_at: datetime | None = None
    expired_at: datetime | None = Field(None, description="when its video was removed; render it again")
    failed_at: datetime | None = None
    error: str | None = Field(None, description="why it failed, or why it has to wait")
    warnings: list[str] = Field(
        description="what is cut, damaged or changed in its song; settings without effect; once it is completed, "
        "in how many frames particles were drawn smaller, and where it flashes too often"
    )
    flashes: list[Flashing] | None = Field(
        None,
        description="passages that flash more often than WCAG 2.3.1 allows; null until it is completed, with "
        "`flash_guard` off, and in formats other than mp4; of the main output",
    )
    outputs: list[Output] = Field(
        default_factory=list,
        description="the main one first; each can be downloaded as soon as it is completed, and the job is when all "
        "are; empty for jobs of earlier versions",
    )


class BatchCounts(BaseModel):
    """How many jobs of a batch are where."""

    queued: int
    rendering: int
    completed: int
    failed: int
    cancelled: int


class BatchJob(BaseModel):
    """A job of a batch."""

    job_id: str
    audio_id: str = Field(description="the song")
    status: JobStatus
    progress: int
    output_path: str
    error: str | None = None
    url: str = Field(description="the job")
    download_url: str | None = Field(None, description="its video; null until it is completed")


class Batch(BaseModel):
    """Several renders that were submitted together. Jobs that are deleted are no longer part of it."""

    model_config = _example(
        batch_id=_SYSTEM,
        owner="alice",
        created_at=_MOMENT,
        progress=20,
        counts={"queued": 1, "rendering": 1, "completed": 0, "failed": 0, "cancelled": 0},
        jobs=[
            {
                "job_id": _JOB,
                "audio_id": _SHA256,
                "status": "rendering",
                "progress": 41,
                "output_path": "video.mp4",
                "error": None,
                "url": f"/particles/jobs/{_JOB}",
                "download_url": None,
            }
        ],
    )

    batch_id: str
    owner: str = Field(description="as of systems")
    created_at: datetime
    progress: int = Field(ge=0, le=100, description="per cent, the mean of its jobs")
    counts: BatchCounts
    jobs: list[BatchJob] = Field(description="in the order of the songs")


class LiveSystem(SystemStatus):
    """What a watched system sends."""

    model_config = _example(**_STATUS, jobs=[])

    jobs: list[Job] = Field(description="those that are not over, and those that ended in the last ten seconds")


class Cancelled(BaseModel):
    """A job that was cancelled."""

    model_config = _example(job_id=_JOB, status="cancelled")

    job_id: str
    status: JobStatus


class Attempt(BaseModel):
    """An attempt to deliver a message."""

    at: datetime
    status: int | None = Field(None, description="what the other side answered; null where it did not")
    error: str | None = None
    seconds: float | None = None


class Delivery(BaseModel):
    """A message to a job's ``webhook_url``."""

    model_config = _example(
        delivery_id=_JOB,
        event="job.completed",
        url="https://example.com/x",
        status="delivered",
        attempts=[{"at": _MOMENT, "status": 204, "error": None, "seconds": 0.12}],
        created_at=_MOMENT,
        next_at=_MOMENT,
    )

    delivery_id: str
    event: str
    url: str
    status: Literal["pending", "delivered", "failed"]
    attempts: list[Attempt]
    created_at: datetime
    next_at: datetime | None = Field(None, description="when the next attempt is due, while it is pending")


class WebhookSecret(BaseModel):
    """What an owner's webhooks are signed with."""

    model_config = _example(secret="whsec_…", previous_secret=None, previous_until=None)

    secret: str = Field(description="as Standard Webhooks has it: whsec_ and base64")
    previous_secret: str | None = Field(None, description="the one before, while it is valid, too")
    previous_until: datetime | None = Field(None, description="how long that is")


class Message(BaseModel):
    """What was done."""

    message: str = Field(examples=["Job deleted"])


class UploadedAudio(BaseModel):
    """A song in storage; ``audio_path`` can be used wherever the API takes one."""

    model_config = _example(
        audio_id=_SHA256,
        audio_path=f"uploads/{_SHA256}.wav",
        duration=183.5,
        sample_rate=44100,
        channels=2,
        warnings=[],
        sha256=_SHA256,
    )

    audio_id: str
    audio_path: str
    duration: float = Field(description="seconds")
    sample_rate: int
    channels: int
    warnings: list[str] = Field(description="what is cut, damaged or changed in it")
    sha256: str


class Asset(BaseModel):
    """A picture, video, font or lyrics in storage; ``reference`` can be used where a setting takes one."""

    model_config = _example(
        asset_id=_SHA256,
        reference=f"asset:{_SHA256}",
        owner="alice",
        kind="image",
        name="cover.jpg",
        size=2113456,
        facts={"format": "JPEG", "width": 1500, "height": 1500, "warnings": []},
        created_at=_MOMENT,
    )

    asset_id: str = Field(description="the sha256 of the file as it was uploaded")
    reference: str
    owner: str = Field(description="as of systems")
    kind: AssetKind
    name: str = Field(description="of the file that was uploaded")
    size: int = Field(description="bytes as stored, which are not those of the upload")
    facts: dict[str, Any] = Field(
        description="`format`; of images and videos `width` and `height`; of videos `codec`, `fps` and `duration`; of "
        "fonts `family` and `style`; of lyrics `lines`, those with a time; of images `warnings`: what was changed"
    )
    created_at: datetime


class ResumableUpload(BaseModel):
    """A file that arrives in parts; in the end `audio` or `asset` is what became of it."""

    upload_id: str
    kind: Literal["song", "asset"]
    name: str
    length: int = Field(description="bytes")
    received: int = Field(description="bytes")
    expires_at: datetime
    audio: UploadedAudio | None = None
    asset: Asset | None = None


class Counts(BaseModel):
    """What there is, as in the guide."""

    model_config = _example(active_systems=3, queued_jobs=1, rendering_jobs=2, completed_jobs=40, failed_jobs=0)

    active_systems: int
    queued_jobs: int
    rendering_jobs: int
    completed_jobs: int
    failed_jobs: int


class Sandbox(BaseModel):
    """How decoders of clients' files are sandboxed."""

    required: bool = Field(description="whether files are refused where something is missing (MOTES_SANDBOX)")
    missing: list[str] = Field(description="what this machine lacks: landlock, seccomp or libseccomp")


class Clock(BaseModel):
    """The clock of the process that answers. Leases and ages go by the database's, so a wrong one does no harm here."""

    skew: float = Field(description="seconds by which it is ahead of the database's; negative: behind")
    warning: str | None = Field(description="if one of the two is wrong")


class Health(BaseModel):
    """Whether the service works."""

    model_config = _example(
        status="healthy",
        active_systems=3,
        active_jobs=3,
        available_types=["snow", "zen"],
        database=True,
        redis=True,
        plugin_failures=[],
        sandbox={"required": True, "missing": []},
        clock={"skew": 0.012, "warning": None},
    )

    status: Literal["healthy", "degraded", "unhealthy"]
    active_systems: int
    active_jobs: int
    available_types: list[str]
    database: bool = Field(description="whether it answers; nothing works without")
    redis: bool = Field(description="whether it answers; without, jobs begin up to a second later")
    plugin_failures: list[str] = Field(description="what was left out, and why")
    sandbox: Sandbox
    clock: Clock
