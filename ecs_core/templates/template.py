"""Template: its file, read and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, field_validator

from ecs_core.errors import SceneError
from ecs_core.scene.model import Model, option
from ecs_core.validation_messages import error_message

VERSION = 1
_FOLDER = Path(__file__).parent
_MOST_BYTES = 1_000_000  # of a file

SlotKind = Literal["image", "text", "lyrics", "colors"]
_SLOT_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Slot(Model):
    """What a template lets its users give. Colours are a list, the name of a palette, or "cover"."""

    kind: SlotKind = option(..., "what is given: a path, a text, or colours", group="template")
    description: str = option("", "what it is for", group="template", max_length=300)
    required: bool = option(False, "whether the template needs it", group="template")
    default: str | list[list[int]] | None = option(
        None, "what there is if nothing is given; of colours, if there is no cover either", group="template"
    )


class Template(Model):
    """A whole look: a particle type and a config with references to slots (see ``references``)."""

    version: Literal[1] = option(..., "of the format of this file", group="template")
    name: str = option(..., "what it is called", group="template", pattern=r"^[a-z][a-z0-9-]{0,63}$")
    description: str = option("", "what it looks like", group="template", max_length=300)
    type: str = option(..., "particle type", group="template", min_length=1, max_length=64)
    slots: dict[str, Slot] = option(
        dict, "what users give, by name", group="template", max_length=32, examples=[{"title": {"kind": "text"}}]
    )
    config: dict[str, Any] = option(dict, "settings and layers, with references to slots", group="template")

    @field_validator("slots")
    @classmethod
    def _have_names(cls, value: dict[str, Slot]) -> dict[str, Slot]:
        for name in value:
            if not _SLOT_NAME.fullmatch(name):
                raise ValueError(f"{name[:40]!r}: names are of small letters, digits and _, and begin with a letter")
        return value


def template_names() -> list[str]:
    """The names of the templates that come with Motes."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def find_template(name_or_path: str) -> Template:
    """A template by its name, or from a file: what ends in .json or has a slash is a path.

    Raises:
        SceneError: there is none of this name (says which there are), or the file is none.
    """
    if name_or_path.lower().endswith(".json") or "/" in name_or_path or "\\" in name_or_path:
        return read_template(Path(name_or_path))
    if name_or_path not in template_names():
        there_are = ", ".join(template_names())
        raise SceneError(f"template {name_or_path!r}: there is none; there are: {there_are}; or give a file NAME.json")
    return read_template(_FOLDER / f"{name_or_path}.json")


def read_template(path: Path) -> Template:
    """The template in a file.

    Raises:
        SceneError: it cannot be read, or is no template.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise SceneError(f"template {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > _MOST_BYTES:
        raise SceneError(f"template {path}: is larger than {_MOST_BYTES} bytes")
    try:
        values = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise SceneError(f"template {path}: is not valid JSON: {error}") from None
    return check_template(values, owner=f"template {path}")


def check_template(values: Any, *, owner: str = "template") -> Template:
    """A template from plain JSON, such as a file holds or a client sends; messages begin with ``owner``.

    Raises:
        SceneError: it is none; names each field that is wrong, and a reference that is broken.
    """
    if not isinstance(values, Mapping):
        raise SceneError(f"{owner}: must be a JSON object with version, name, type, slots and config")
    version = values.get("version")
    if isinstance(version, int) and version > VERSION:
        raise SceneError(f"{owner}: version = {version} is of a newer Motes; this one reads version {VERSION}")
    try:
        template = Template.model_validate(dict(values))
    except ValidationError as error:
        raise SceneError(f"{owner}: {error_message(error, Template, 'a template', kind='field')}") from None
    from ecs_core.templates.filling import check_references  # noqa: PLC0415 - it builds on this module

    check_references(template, owner)
    return template
