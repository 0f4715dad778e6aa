"""What the API takes and gives, as pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Priority = Literal["low", "normal", "high"]
JobStatus = Literal["queued", "rendering", "completed", "failed", "cancelled"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CreateSystem(_Strict):
    """A new particle system."""

    particle_type: str = Field(examples=["enhanced"])
    config: dict[str, Any] = Field(default_factory=dict, examples=[{"particle_count": 200, "duration": 10.0}])


class SystemStatus(BaseModel):
    """A system as it stands."""

    particle_type: str
    particle_count: int
    max_particles: int
    config: dict[str, Any]
    audio_loaded: bool


class System(BaseModel):
    """A particle system."""

    system_id: str
    particle_type: str
    status: SystemStatus
    created_at: datetime


class Changed(BaseModel):
    """What was done to a system."""

    message: str
    status: SystemStatus


class NewConfig(_Strict):
    """Settings that shall change."""

    config: dict[str, Any]


class ParticleTypeInfo(BaseModel):
    """A particle type and everything that can be told to it."""

    type: str
    name: str
    description: str
    features: list[str]
    config_schema: dict[str, Any]
    presets: dict[str, dict[str, Any]]
    bindable: dict[str, list[str]]


class RenderRequest(_Strict):
    """A render; everything is optional. Output settings count over the system's own."""

    system_id: str | None = Field(None, description="accepted, as in the guide; must be the one in the path")
    output_path: str | None = Field(None, description="a file name ending in .mp4", examples=["my_visualization.mp4"])
    audio_path: str | None = Field(None, description="an uploaded song's path, or one under the media root")
    width: int | None = None
    height: int | None = None
    fps: float | str | None = None
    duration: float | str | None = None
    seed: int | None = None
    quality: Literal["draft", "standard", "high"] = "standard"
    priority: Priority = "normal"


class RenderAccepted(BaseModel):
    """A render that will be done."""

    job_id: str
    message: str
    output_path: str


class Job(BaseModel):
    """A render and how far it is."""

    job_id: str
    system_id: str
    status: JobStatus
    stage: str
    stage_progress: int = Field(ge=0, le=100, description="per cent of this stage")
    progress: int = Field(ge=0, le=100, description="per cent; goes back where a process died and its frames were lost")
    frames: int = Field(description="to render; 0 until that is known")
    frames_done: int
    seconds_left: float | None = Field(None, description="if it goes on as fast as so far; null where that is unknown")
    priority: Priority
    created_at: datetime
    output_path: str
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    error: str | None = Field(None, description="why it failed, or why it has to wait")


class Cancelled(BaseModel):
    """A job that was cancelled."""

    job_id: str
    status: JobStatus


class Message(BaseModel):
    """What was done."""

    message: str


class UploadedAudio(BaseModel):
    """A song in storage; ``audio_path`` can be used wherever the API takes one."""

    audio_id: str
    audio_path: str
    duration: float
    sample_rate: int
    channels: int
    sha256: str


class Counts(BaseModel):
    """What there is, as in the guide."""

    active_systems: int
    queued_jobs: int
    rendering_jobs: int
    completed_jobs: int
    failed_jobs: int


class Health(BaseModel):
    """Whether the service works."""

    status: Literal["healthy", "degraded"]
    active_systems: int
    active_jobs: int
    available_types: list[str]
    plugin_failures: list[str]
