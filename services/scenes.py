"""From a system to a scene: what a job renders, frozen, and the key under which equal scenes share their work."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import Any

from ecs_core import Scene
from ecs_core.plugin_api import particle_types
from ecs_core.rendering.plan import SEGMENT_SECONDS

SONG = "song"  # stands for the song where only its presence matters


def frozen(
    particle_type: str, config: dict[str, Any], audio: str | None, quality: str, *, at: float | None = None
) -> dict[str, Any]:
    """A scene as plain data; ``audio`` is the song's sha256, ``at`` the moment of a frame. Defaults are written out.

    Raises:
        SceneError: the type or the config is wrong.
    """
    _, settings = Scene(particle_type, audio=SONG if audio else None, config=config).resolve()
    scene = {"type": particle_type, "config": settings.model_dump(mode="json"), "audio": audio, "quality": quality}
    return scene if at is None else scene | {"at": at}


def key_of(scene: dict[str, Any]) -> str:
    """The sha256 of a frozen scene and of what renders it."""
    return _digest([scene, made_by(scene["type"]), SEGMENT_SECONDS])


def segments_of(scene: dict[str, Any], seconds: float) -> int:
    """About how many segments a frozen scene has, if its song is so many ``seconds`` long."""
    duration = scene["config"]["duration"]
    length = seconds if duration in (None, "audio") else float(duration)
    return max(1, round(length / SEGMENT_SECONDS))


def made_by(particle_type: str | None = None) -> str:
    """The sha256 of the versions of what analyses songs and renders a type: another version, another result."""
    versions = {name: version(name) for name in ("motes", "numpy", "numba", "librosa", "av")}
    for plugin in particle_types().plugins:
        if plugin.failure is None and (plugin.features or particle_type in plugin.types):
            versions[plugin.distribution] = plugin.version
    return _digest(versions)


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
