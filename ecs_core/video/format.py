"""VideoFormat: what all segments of a video have in common. Imports no FFmpeg, so that whoever plans needs none."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

Quality = Literal["draft", "standard", "high"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What every segment of a video has in common: size in pixels (even), rate, quality, longest GOP in frames."""

    width: int
    height: int
    fps: Fraction
    quality: Quality
    gop: int

    @property
    def reordered(self) -> int:
        """How many frames are decoded ahead of those shown before them: two for x264's pyramid of B-frames."""
        return 0 if self.quality == "draft" else 2
