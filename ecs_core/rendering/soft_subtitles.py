"""Soft subtitles: the cues of a plan's video, from the lyrics that its settings name."""

from __future__ import annotations

from pathlib import Path

from ecs_core.rendering.plan import RenderPlan
from ecs_core.text.lyrics import load_lyrics
from ecs_core.video.subtitles import Cue, cues_of


def cues_in(plan: RenderPlan) -> tuple[Cue, ...]:
    """What is sung in the part of the song that the video plays, in milliseconds of the video.

    Raises:
        SceneError: the lyrics cannot be read.
    """
    if plan.settings.subtitles is None:
        return ()
    song, part = plan.timeline.duration, plan.part
    lyrics = load_lyrics(Path(plan.settings.subtitles), duration=song or None)
    start = float(part.start)
    return cues_of(((line.start - start, line.end - start, line.text) for line in lyrics.lines), part.duration)
