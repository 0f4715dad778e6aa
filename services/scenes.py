"""From a system to a scene: what a job renders, frozen, and the key under which equal scenes share their work."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import Any

from ecs_core import Scene
from ecs_core.rendering.plan import SEGMENT_SECONDS

SONG = "song"  # stands for the song where only its presence matters


def frozen(particle_type: str, config: dict[str, Any], audio: str | None, quality: str) -> dict[str, Any]:
    """A scene as plain data; ``audio`` is the song's sha256. Every default is written out.

    Raises:
        SceneError: the type or the config is wrong.
    """
    _, settings = Scene(particle_type, audio=SONG if audio else None, config=config).resolve()
    whole = settings.model_dump(mode="json")
    return {"type": particle_type, "config": whole, "audio": audio, "quality": quality}


def key_of(scene: dict[str, Any]) -> str:
    """The sha256 of a frozen scene and of what renders it."""
    made_by = {name: version(name) for name in ("motes", "numpy", "numba", "av")}
    text = json.dumps([scene, made_by, SEGMENT_SECONDS], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
