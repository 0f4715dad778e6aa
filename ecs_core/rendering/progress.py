"""Progress: frames done, total, speed and ETA."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_INTERVAL = 0.1  # seconds between reports of the same stage


@dataclass(frozen=True, slots=True)
class Progress:
    """One report.

    ``stage`` is "compiling" (on a machine's first render), "analysing", "limiting" (where flashes are limited),
    "rendering" or "joining"; ``share`` 0–1 of that stage; ``frames`` done of ``total`` (0 before "rendering"); ``fps``
    frames rendered a second so far; ``seconds_left`` an estimate, None while unknown.
    """

    stage: str
    share: float
    frames: int = 0
    total: int = 0
    fps: float = 0.0
    seconds_left: float | None = None


class Reporter:
    """Passes progress to a callback, at most ten times a second."""

    def __init__(self, callback: Callable[[Progress], None] | None) -> None:
        self._callback = callback
        self._stage, self._last, self._began = "", 0.0, 0.0
        self._before, self._whole = 0, 0

    def part(self, before: int, whole: int) -> None:
        """The frames that are reported from now on come after ``before`` others, and there are ``whole`` in all."""
        self._before, self._whole = before, whole

    def stage(self, stage: str, share: float) -> None:
        """Report the share of a stage that does not count frames."""
        self._report(Progress(stage, share))

    def frames(self, stage: str, frames: int, total: int) -> None:
        """Report frames done of a total, which is that of one part where there are several."""
        frames, total = self._before + frames, self._whole or total
        now = time.monotonic()
        if self._began == 0.0:
            self._began = now
        elapsed = now - self._began
        fps = frames / elapsed if elapsed > 0 else 0.0
        left = (total - frames) / fps if fps > 0 else None
        self._report(Progress(stage, frames / total, frames, total, fps, left))

    def _report(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._callback is None or (progress.stage == self._stage and now - self._last < _INTERVAL):
            return
        self._stage, self._last = progress.stage, now
        self._callback(progress)
