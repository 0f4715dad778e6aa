"""What users are told of frames with too many particles. Imports no FFmpeg, as the service's API tells it, too."""

from __future__ import annotations

from ecs_core.raster.rasteriser import MOST_LINES, MOST_OVERDRAW


def overdraw_warning(frames: int) -> str:
    """What users are told of so many overdrawn frames."""
    return (
        f"in {frames} frame{'s' if frames > 1 else ''} particles would have covered the picture more than "
        f"{MOST_OVERDRAW} times, or lines of theirs {MOST_LINES}, and were drawn smaller"
    )
