"""What is finished, and where things lie in storage: keys by content, made here and never by clients.

But for songs, and for what was heard in them, no two attempts write under the same name, ever: so a file that does not
count any more can be deleted at any moment, whatever others are about to write.
"""

from __future__ import annotations

from hashlib import sha256

SINGLE_TASK_KINDS = ("frame", "analysis", "curves")  # kinds of jobs that are one task, of the same kind
_FILES = {"frame": "frame.png", "analysis": "analysis.json", "curves": "curves.json"}


def audio_key(sha256: str) -> str:
    """A song."""
    return f"audio/{sha256}"


def song_lock(sha256: str) -> str:
    """What whoever keeps, uses or removes a song is alone with (``services.database.engine.advisory_lock``)."""
    return f"song {sha256}"


def analyses_folder(audio: str) -> str:
    """Whatever was heard in a song."""
    return f"analyses/{audio}/"


def analysis_key(audio: str, heard_by: str) -> str:
    """What was heard in a song, by what version, and counted in which way."""
    return f"{analyses_folder(audio)}{heard_by}.npz"


def correction_key(audio: str, digest: str) -> str:
    """What somebody corrected of that, by its content."""
    return f"analyses/{audio}/corrections/{digest}.json"


def current_correction_key(audio: str, owner: str) -> str:
    """Which correction counts for an owner."""
    return f"analyses/{audio}/corrections/of-{sha256(owner.encode()).hexdigest()}.txt"


def scene_folder(scene_key: str) -> str:
    """Whatever belongs to a scene."""
    return f"scenes/{scene_key}/"


def plan_folder(scene_key: str, task: str) -> str:
    """What a plan's task leaves for the segments of its job, and for nobody else."""
    return f"scenes/{scene_key}/plans/{task}/"


def plan_key(scene_key: str, task: str) -> str:
    """What the segments of a job share."""
    return f"{plan_folder(scene_key, task)}plan.npz"


def snapshot_key(scene_key: str, task: str, number: int) -> str:
    """The state before a segment."""
    return f"{plan_folder(scene_key, task)}snapshots/{number}.npz"


def segment_key(scene_key: str, number: int) -> str:
    """A rendered segment."""
    return f"scenes/{scene_key}/segments/{number}.mp4"


def result_key(scene_key: str, kind: str) -> str:
    """What a job makes: a video, a frame of one, or what is heard in its song, with curves or without."""
    return f"scenes/{scene_key}/{_FILES.get(kind, 'video.mp4')}"


def attempt_key(key: str, task: str, attempt: int) -> str:
    """Where one attempt writes what has the key. What another attempt writes lies elsewhere."""
    stem, dot, suffix = key.rpartition(".")
    return f"{stem}.{task}.{attempt}{dot}{suffix}"
