"""From a template and what is given for its slots to a type and a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ecs_core.errors import SceneError
from ecs_core.scene.cover_palette import COVER
from ecs_core.scene.palettes import PALETTES
from ecs_core.templates.references import Filler
from ecs_core.templates.template import Slot, Template

_LONGEST_TEXT, _LONGEST_PATH, _MOST_COLOURS = 500, 4096, 64
_WHITE = [[255, 255, 255]]


def fill_template(
    template: Template, slots: Mapping[str, Any], *, cover_colours: Sequence[Sequence[int]] | None = None
) -> tuple[str, dict[str, Any]]:
    """The particle type and the config that a template makes of what is given for its slots.

    ``slots`` has a text, a path (or a reference to an asset), or colours by the name of the slot; None and "" are
    nothing. ``cover_colours``, (r, g, b) in 0–255 each, are those of the cover's palette, if there is one: they are
    what "cover" means, and what a slot for colours holds if nothing is given.

    Raises:
        SceneError: a slot that there is not, one that is needed and empty, or a value that does not fit its kind.
    """
    owner = f"template {template.name!r}"
    for name in slots:
        if name not in template.slots:
            raise SceneError(f"{owner} has no slot {name!r}; it has: {', '.join(template.slots) or 'none'}")
    values = {
        name: _value(slot, slots.get(name), cover_colours, f"{owner}: {name}") for name, slot in template.slots.items()
    }
    missing = [name for name, slot in template.slots.items() if slot.required and values[name] is None]
    if missing:
        raise SceneError(f"{owner} needs {' and '.join(missing)}; give {'it' if len(missing) == 1 else 'them'}")
    return template.type, Filler(owner, values).config(template.config)


def wants_cover_colours(template: Template, slots: Mapping[str, Any]) -> bool:
    """Whether :func:`fill_template` uses the colours of the cover, if there is one."""
    given = {name: slots.get(name) for name, slot in template.slots.items() if slot.kind == "colors"}
    return any(value in (None, "", COVER) for value in given.values())


def check_references(template: Template, owner: str) -> None:
    """Refuse references to slots that there are not, and defaults that do not fit their kinds.

    Raises:
        SceneError: as above; begins with ``owner``.
    """
    for name, slot in template.slots.items():
        _value(slot, None, None, f"{owner}: slots.{name}.default")
    sample = {"colors": _WHITE, "text": "x", "image": "x", "lyrics": "x"}
    full = {name: sample[slot.kind] for name, slot in template.slots.items()}
    for values in (full, dict.fromkeys(full)):
        Filler(owner, values).config(template.config)


def _value(slot: Slot, given: Any, cover_colours: Sequence[Sequence[int]] | None, place: str) -> Any:
    """What a slot holds, or None."""
    value = slot.default if given in (None, "", []) else given
    if slot.kind == "colors":
        return _colours(value, given, cover_colours, place)
    if value is None:
        return None
    if not isinstance(value, str):
        raise SceneError(f"{place} = {_short(value)}: must be a {'text' if slot.kind == 'text' else 'path'}")
    longest = _LONGEST_TEXT if slot.kind == "text" else _LONGEST_PATH
    if len(value) > longest:
        raise SceneError(f"{place} = {_short(value)}: has {len(value)} characters; allowed: {longest}")
    return value


def _colours(value: Any, given: Any, cover_colours: Sequence[Sequence[int]] | None, place: str) -> Any:
    if given in (None, "", [], COVER):
        if cover_colours:
            return [list(each) for each in cover_colours]
        if given == COVER:
            raise SceneError(f'{place} = "cover": there is no cover to take colours from; give one, or a palette')
    if isinstance(value, str):
        if value not in PALETTES:
            raise SceneError(f"{place} = {_short(value)}: must be a list of colours, cover, or {', '.join(PALETTES)}")
        return [list(each) for each in PALETTES[value]]
    if value is None:
        return None
    listed = isinstance(value, list | tuple) and 1 <= len(value) <= _MOST_COLOURS
    if not listed or not all(_is_colour(each) for each in value):
        raise SceneError(f"{place} = {_short(value)}: must be a list of colours, such as [[255, 180, 90]]")
    return [list(each) for each in value]


def _is_colour(value: Any) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 3:
        return False
    return all(isinstance(each, int) and not isinstance(each, bool) and 0 <= each <= 255 for each in value)


def _short(value: Any) -> str:
    return repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:79]}…"
