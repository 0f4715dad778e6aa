"""The poster: the frame that stands for a video where the video does not play.

Chosen from the plan alone, without simulating, so that every process that knows the plan knows the frame: the strongest
drop, or else the strongest moment.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F64
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.errors import SceneError
from ecs_core.frame_times import frame_at
from ecs_core.scene.settings import Settings
from ecs_core.video.part import Part

_PASSAGE = 4.0  # seconds before and after a drop that tell how strong it is
_UNFOLDS = 0.5  # seconds after a drop in which the picture shows it best
_LIT = 0.5  # of its light that the picture of a drop keeps at least
_EDGE = 0.04  # share of the video at either end that is left out: beginnings are empty, endings fade
_QUIET = 0.75  # where the poster of a silent video is, as a share of its length: types that fill the picture are full
_EVEN = 0.05  # what silence counts among strengths of 0–1


def poster_frame(settings: Settings, timeline: FeatureTimeline) -> int:
    """The number of the poster's frame: at ``settings.poster`` seconds, or else chosen.

    Raises:
        SceneError: ``poster`` lies outside the video.
    """
    if settings.poster is not None:
        try:
            return frame_at("poster", settings.poster, rate=timeline.fps, frames=timeline.frames)
        except ValueError as error:
            raise SceneError(str(error)) from None
    part = Part(timeline.start, timeline.frames / timeline.fps, *settings.fades)
    lights = part.lights(np.arange(timeline.frames, dtype=np.float64), timeline.fps)
    strength = _strength(timeline) * lights
    drop = _strongest_drop(timeline, lights)
    if drop is not None:
        last = min(timeline.frames, drop + 1 + round(_UNFOLDS * timeline.fps))
        return drop + int(np.argmax(strength[drop:last]))
    if not strength.any():
        lit = np.flatnonzero(lights >= lights.max())  # the last frames may be faded
        return int(lit[np.argmin(np.abs(lit - int(_QUIET * timeline.frames)))])
    # Particles need time to appear and to spread, so of equally strong moments later ones are better.
    shares = np.arange(timeline.frames) / timeline.frames
    worth = (_EVEN + strength) * np.minimum(1, 2 * shares)
    worth[(shares < _EDGE) | (shares > 1 - _EDGE)] *= _EVEN
    return int(np.argmax(worth))


def _strength(timeline: FeatureTimeline) -> F64:
    """How strong the song is at each frame, 0–1: half its bass, half its loudness; ties are broken by the latter."""
    curves = (np.asarray(timeline.features[name], np.float64) for name in ("level", "momentary"))
    strength: F64 = sum(curves, np.zeros(timeline.frames)) / 2
    return strength


def _strongest_drop(timeline: FeatureTimeline, lights: F64) -> int | None:
    """The frame of the drop with the greatest rise of bass, the first of equals; None if the video shows no drop.

    Drops at which the picture is faded to less than half its light do not count.
    """
    bass = np.asarray(timeline.features["bass"], np.float64) ** 2
    passage = max(1, round(_PASSAGE * timeline.fps))
    best, most = None, -np.inf
    for time in timeline.events.get("drops", ()):
        frame = int((float(time) - float(timeline.start)) * timeline.fps)
        if not 0 < frame < timeline.frames or lights[frame] < _LIT:
            continue
        rise = float(bass[frame : frame + passage].mean() - bass[max(0, frame - passage) : frame].mean())
        if rise > most:
            best, most = frame, rise
    return best
