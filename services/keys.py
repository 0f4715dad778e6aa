"""Where things lie in storage."""

from __future__ import annotations


def audio_key(sha256: str) -> str:
    """A song."""
    return f"audio/{sha256}"


def result_key(scene_key: str) -> str:
    """The finished video of a scene."""
    return f"scenes/{scene_key}/video.mp4"


def segment_key(scene_key: str, number: int) -> str:
    """A rendered segment."""
    return f"scenes/{scene_key}/segments/{number}.mp4"


def plan_key(scene_key: str) -> str:
    """What the segments of a scene share."""
    return f"scenes/{scene_key}/plan.npz"


def snapshot_key(scene_key: str, number: int) -> str:
    """The state before a segment."""
    return f"scenes/{scene_key}/snapshots/{number}.npz"
