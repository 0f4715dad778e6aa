"""What a render and its processes (:mod:`ecs_core.rendering.child`) tell each other. Imports nothing that is slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ecs_core.arrays import F32, U16
    from ecs_core.rendering.plan import Segment
    from ecs_core.rendering.simulation import SceneSnapshot
    from ecs_core.rendering.timeline_file import TimelineFile
    from ecs_core.scene.settings import Settings
    from ecs_core.video.format import VideoFormat


@dataclass(frozen=True, slots=True)
class Begin:
    """Message to a child: what the following segments share. The particle type is sent by name."""

    type: str
    settings: Settings
    timeline: TimelineFile
    video: VideoFormat
    digests: bool
    gains: F32 | None = None
    loop: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """Message to a child: render this segment, from a snapshot at or before its start."""

    segment: Segment
    snapshot: SceneSnapshot
    path: Path


@dataclass(frozen=True, slots=True)
class Ready:
    """Message from a child: it is loaded and ready; its process id."""

    pid: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """Message from a child: number of frames of the segment that are done."""

    number: int
    frames: int


@dataclass(slots=True)
class SegmentReport:
    """A finished segment: its number, the state at its end, seconds by stage, and frame hashes if requested.

    ``overdrawn`` is the number of frames in which particles were drawn smaller, as they would have covered the picture
    too often (``raster.rasteriser.MOST_OVERDRAW``). ``light`` is that of all frames, as ``FlashCounter.add`` takes it;
    None where nobody asks for it.
    """

    number: int
    frames: int
    end: SceneSnapshot
    overdrawn: int
    seconds: dict[str, float] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    light: U16 | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Message from a child: rendering raised an exception. ``kind`` is "full" if the disk is full."""

    kind: Literal["full", "error"]
    reason: str
    trace: str
