"""RenderResult: what a render returns and what hooks receive."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ecs_core.flashes.flashing import Flashing
from ecs_core.formats import Form

Sound = Literal["none", "copied", "encoded"]


@dataclass(frozen=True)
class RenderResult:
    """A finished video: its path, size and length, and the time that it took.

    ``seconds`` holds wall-clock seconds of the stages of the render (``total``, ``compile``, ``analyse``, ``plan``,
    ``join``; only the first render on a machine compiles) and, summed over the worker processes, of the work on frames
    (``simulate``, ``rasterise``, ``encode``, …). ``start`` is the second of the song at which the video begins.
    ``sound`` is "copied" if the video has the song's own AAC, "encoded" if the song was encoded; "none" without one, or
    in a ``format`` that has no sound. ``picture`` says how the picture is encoded, as "H.264 High, level 4".
    ``flashes`` are the passages that flash more often than WCAG 2.3.1 allows; None where nobody looked: with
    ``flash_guard`` "off", and in formats other than MP4. ``outputs`` are the results of the scene's ``variants`` by
    their names; what analysis took counts for the main one alone.
    """

    output: Path
    frames: int
    duration: float
    fps: str
    width: int
    height: int
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    frame_hashes: tuple[str, ...] = ()
    start: float = 0.0
    sound: Sound = "none"
    flashes: tuple[Flashing, ...] | None = None
    format: Form = "mp4"
    picture: str = ""
    outputs: dict[str, RenderResult] = field(default_factory=dict)
