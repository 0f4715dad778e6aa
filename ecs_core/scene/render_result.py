"""RenderResult: what a render hands back, and what hooks are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class RenderResult:
    """A finished video: where it is, how long, and what its making cost.

    ``seconds`` holds wall-clock seconds of the stages of the render (``total``, ``compile``, ``analyse``, ``plan``,
    ``join``; only a machine's first render compiles) and, summed over the worker processes, of the work on frames
    (``simulate``, ``rasterise``, ``encode``, …).
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
