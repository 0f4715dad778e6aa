"""The format of a video, from its scene and the name of its file."""

from __future__ import annotations

from pathlib import Path

from ecs_core.errors import OutputError
from ecs_core.formats import FACTS, FORMS, form_named
from ecs_core.scene.scene import Scene


def with_format_of(scene: Scene, output: Path) -> Scene:
    """The scene with the format that the name of ``output`` ends in, if it names none itself.

    Raises:
        OutputError: it names another one.
    """
    named = form_named(output)
    asked = scene.config.get("format")
    if asked is None:
        return (
            scene
            if named is None
            else Scene(scene.type, scene.audio, {**scene.config, "format": named}, scene.analysis)
        )
    if named not in (None, asked) and asked in FORMS:
        raise OutputError(
            f"{output}: its name is that of {named}, and format = {asked}; give a name ending in {FACTS[asked].suffix}"
        )
    return scene
