"""VideoFormat: the format that all segments of a video share. Imports no FFmpeg, as planning needs none."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

Quality = Literal["draft", "standard", "high"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
_LARGE = 720  # pixels
SEGMENT_SECONDS = 2.0  # of a video are encoded by one process, unless asked otherwise


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """The format of a video: size in pixels (even), frame rate, quality, and longest GOP in frames."""

    width: int
    height: int
    fps: Fraction
    quality: Quality
    gop: int

    @property
    def is_painted_at_half_size(self) -> bool:
        """Whether pictures are painted at half size and interpolated: drafts that are large enough for that."""
        size = self.width, self.height
        return self.quality == "draft" and min(size) >= _LARGE and not any(side % 4 for side in size)

    @property
    def reordered(self) -> int:
        """Delay in frames between decoding and presentation: two for x264's pyramid of B-frames."""
        return 0 if self.quality == "draft" else 2
