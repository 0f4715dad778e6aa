"""The names of a scene's outputs and of their files. Imports nothing that is slow."""

from __future__ import annotations

from pathlib import PurePath
from typing import TypeVar

from ecs_core.formats import FACTS, Form

MAIN = "main"  # the output that the scene itself describes, without its variants
AnyPath = TypeVar("AnyPath", bound=PurePath)


def name_in_file(name: str, form: Form) -> str:
    """An output's name as that of its file has it, whose ending says the format already."""
    return name.removesuffix(f"-{form}")


def path_of_output(main: AnyPath, name: str, form: Form) -> AnyPath:
    """The file of the output of this name and format, beside that of the main one.

    >>> path_of_output(PurePath("v.mp4"), "1080x1080-webm", "webm").name
    'v-1080x1080.webm'
    """
    if name == MAIN:
        return main
    return main.with_name(f"{main.stem}-{name_in_file(name, form)}{FACTS[form].suffix}")
