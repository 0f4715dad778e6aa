"""Storage keys, derived from content and made by the server only.

Except for songs, their analyses and assets, no two attempts ever write under the same key. So a file that no longer
counts can be deleted at any moment, whatever other attempts are about to write.
"""

from __future__ import annotations

from hashlib import sha256

SINGLE_TASK_KINDS = ("frame", "analysis", "curves")  # kinds of jobs that consist of a single task of the same kind
VIDEO_KINDS = ("video", "output", "preview")  # and of those whose result is a video
_FILES = {"frame": "frame.png", "analysis": "analysis.json", "curves": "curves.json"}


def audio_key(sha256: str) -> str:
    """A song."""
    return f"audio/{sha256}"


def song_lock(sha256: str) -> str:
    """Name of the lock to hold while storing, using or deleting a song (``services.database.engine.advisory_lock``)."""
    return f"song {sha256}"


def assets_folder(sha256: str) -> str:
    """What is stored of an asset."""
    return f"assets/{sha256}/"


def asset_key(sha256: str, digest: str) -> str:
    """An asset as it is stored, by the sha256 of the uploaded file and the digest of what was made of it."""
    return f"{assets_folder(sha256)}{digest}"


def asset_lock(sha256: str) -> str:
    """Name of the lock to hold while storing, using or deleting an asset; taken after a song's."""
    return f"asset {sha256}"


def upload_folder(upload: str) -> str:
    """What has arrived of a resumable upload."""
    return f"uploads/{upload}/"


def upload_part_key(upload: str, start: int, token: str) -> str:
    """A part of a resumable upload, from this byte on; the token is of one attempt to store it."""
    return f"{upload_folder(upload)}{start}.{token}"


def analyses_folder(audio: str) -> str:
    """Everything analysed in a song."""
    return f"analyses/{audio}/"


def analysis_key(audio: str, heard_by: str) -> str:
    """An analysis of a song, by version and guidance."""
    return f"{analyses_folder(audio)}{heard_by}.npz"


def is_analysis(key: str) -> bool:
    """Whether this is the key of an analysis that a render made, and not of a correction."""
    return key.startswith("analyses/") and key.endswith(".npz")


def correction_key(audio: str, digest: str) -> str:
    """A corrected analysis, by its content."""
    return f"analyses/{audio}/corrections/{digest}.json"


def former_correction_key(audio: str, owner: str) -> str:
    """The pointer to the correction that counted for an owner, which the database knows now."""
    return f"analyses/{audio}/corrections/of-{sha256(owner.encode()).hexdigest()}.txt"


def is_correction_pointer(key: str) -> bool:
    """Whether this is the key of such a pointer."""
    return "/corrections/of-" in key


def is_correction(key: str) -> bool:
    """Whether this is the key of a corrected analysis."""
    return key.startswith("analyses/") and "/corrections/" in key and not is_correction_pointer(key)


def scene_folder(scene_key: str) -> str:
    """Everything that belongs to a scene."""
    return f"scenes/{scene_key}/"


def plans_folder(scene_key: str) -> str:
    """What plan tasks leave of a scene."""
    return f"scenes/{scene_key}/plans/"


def plan_folder(scene_key: str, task: str) -> str:
    """What a plan task leaves for the segments of its own job."""
    return f"{plans_folder(scene_key)}{task}/"


def plan_key(scene_key: str, task: str) -> str:
    """The plan that a job's segments share."""
    return f"{plan_folder(scene_key, task)}plan.npz"


def snapshot_key(scene_key: str, task: str, number: int) -> str:
    """The snapshot at the start of a segment."""
    return f"{plan_folder(scene_key, task)}snapshots/{number}.npz"


def segment_key(scene_key: str, number: int) -> str:
    """A rendered segment."""
    return f"scenes/{scene_key}/segments/{number}.mp4"


def light_key(scene_key: str, number: int) -> str:
    """The light of a segment's frames, in which flashes are counted."""
    return f"scenes/{scene_key}/segments/{number}.npz"


def sound_key(scene_key: str, number: int) -> str:
    """A piece of the sound of a video, as packets; it is kept and deleted like segments."""
    return f"scenes/{scene_key}/segments/sound-{number}.zip"


def result_key(scene_key: str, kind: str) -> str:
    """The result of a job: a video, a frame, or an analysis with or without curves."""
    return f"scenes/{scene_key}/{result_name(kind)}"


def kinds_of_result(key: str) -> tuple[str, ...]:
    """The kinds of jobs whose result has a key that ends like this one."""
    name = key.rpartition("/")[2]
    return tuple(kind for kind in (*VIDEO_KINDS, *SINGLE_TASK_KINDS) if result_name(kind) == name)


def result_name(kind: str) -> str:
    """The last part of the key of a result."""
    return _FILES.get(kind, "video.mp4")


def poster_key(scene_key: str) -> str:
    """The poster of a video; it is made, and deleted, together with the video."""
    return f"scenes/{scene_key}/poster.png"


def attempt_key(key: str, task: str, attempt: int) -> str:
    """Where one attempt writes the artefact with this key."""
    stem, dot, suffix = key.rpartition(".")
    return f"{stem}.{task}.{attempt}{dot}{suffix}"
