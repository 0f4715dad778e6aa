"""Seconds of a video as the number of a frame."""

from __future__ import annotations

from fractions import Fraction
from math import inf

_TOLERANCE = Fraction(1, 10**6)  # of a frame


def first_frame_at(seconds: float, *, rate: Fraction) -> int:
    """The frame that shows at ``seconds`` >= 0, at ``rate`` frames a second.

    ``seconds`` counts as its decimal value, not its binary one: 4.1 s at 30 fps is frame 123.
    """
    return int(Fraction(str(seconds)) * rate + _TOLERANCE)


def frame_at(name: str, seconds: float, *, rate: Fraction, frames: int) -> int:
    """The frame that shows at ``seconds``, for a video of ``frames`` frames at ``rate`` a second.

    Raises:
        ValueError: the video has no such frame; the message calls the value ``name``.
    """
    frame = first_frame_at(seconds, rate=rate) if 0 <= seconds < inf else -1
    if not 0 <= frame < frames:
        raise ValueError(f"{name} = {seconds:g}: must be from 0 to {float((frames - 1) / rate):g} seconds")
    return frame
