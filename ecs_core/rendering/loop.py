"""Loops: videos whose last frame is followed by their first.

A loop of N frames is simulated for some frames more, and the first ones fade from those to their own: frame 0 is frame
N, and each further one has more of what it would be without. So everything that a scene can hold loops.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from typing import TYPE_CHECKING

from ecs_core.errors import SceneError
from ecs_core.raster.cross_fade import WHOLE
from ecs_core.scene.settings import Settings

if TYPE_CHECKING:
    from ecs_core.audio.analysis import Analysis

_FADE = 1  # seconds, but at most half of the loop
_NEAR = 0.05  # seconds by which a start may be after the bar that it means


def fade_frames(frames: int, rate: Fraction) -> int:
    """How many frames a loop of so many fades for."""
    return max(1, min(round(_FADE * rate), frames // 2))


def share_of_end(frame: int, fade: int) -> int:
    """The share, 0–256, of the frame after the loop's end in a frame of the loop."""
    return 0 if frame >= fade else round(WHOLE * (fade - frame) / fade)


def in_whole_bars(settings: Settings, analysis: Analysis, start: Fraction) -> tuple[Fraction, int]:
    """The start and the number of frames of a loop of whole bars; as they are where the song has none in it.

    Raises:
        SceneError: the loop is longer than the song.
    """
    song = analysis.exact_duration - start
    frames = settings.frames(song)
    if frames > settings.rate * song + 1:
        raise SceneError(
            f"loop = true with duration = {settings.duration}: is longer than the song from its start on, which has "
            f"{float(song):g} s"
        )
    bars = [float(time) for time in analysis.events["downbeats"]]
    first = bisect_right(bars, float(start) - _NEAR)
    if first == len(bars):
        return start, frames
    last = bisect_right(bars, bars[first] + float(frames / settings.rate) + _NEAR) - 1
    whole = round((bars[last] - bars[first]) * settings.rate)
    if last <= first or whole < 2:
        return start, frames
    return Fraction(bars[first]).limit_denominator(48_000), whole
