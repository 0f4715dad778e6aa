"""What the config of a template holds besides plain JSON: references to slots, choices, and conditions.

``"$title"`` is the value of a slot, ``"$colors.1"`` the second of its colours, and ``"$$"`` begins a text with one $.
``{"slot": "colors.0", "lightness": 0.2, "else": …}`` is the same with more: a colour that is made as light as this, and
what there is where the slot is empty. ``{"join": ["$artist", "$title"], "with": " – "}`` joins those that are not
empty. ``{"when": "cover", "then": …, "else": …}`` chooses; ``"!cover"`` means that the slot is empty, and a list that
all of it must be so. A layer with ``"when"`` and without ``"then"`` is left out where that is not so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ecs_core.errors import SceneError
from ecs_core.scene.oklab import with_lightness

_REFERENCE = re.compile(r"\$([a-z][a-z0-9_]*)(?:\.([0-9]{1,2}))?")
_PLACE = re.compile(r"([a-z][a-z0-9_]*)(?:\.([0-9]{1,2}))?")
_OF_SLOTS, _OF_JOINS, _OF_CHOICES = {"slot", "lightness", "else"}, {"join", "with"}, {"when", "then", "else"}


class EmptyError(Exception):
    """A slot that something needs is empty."""


class Filler:
    """Puts values into a config. ``values`` has those of all slots by name, None for the empty ones.

    Raises:
        SceneError: a reference is broken, or to a slot that there is not; begins with ``owner``.
    """

    def __init__(self, owner: str, values: Mapping[str, Any]) -> None:
        self._owner = owner
        self._values = values

    def config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A whole config: its layers and settings without those that need an empty slot."""
        filled: dict[str, Any] = {}
        for name, value in config.items():
            if name == "layers" and isinstance(value, list):
                layers = (self._kept(each, f"layers.{number}") for number, each in enumerate(value))
                filled[name] = [each for found in layers for each in found]
                continue
            for each in self._kept(value, name):
                filled[name] = each
        return filled

    def _kept(self, value: Any, place: str) -> list[Any]:
        """The value in a list, or an empty list where it is to be left out."""
        if isinstance(value, Mapping) and "when" in value and "then" not in value:
            if not self._holds(value["when"], f"{place}.when"):
                return []
            value = {name: each for name, each in value.items() if name != "when"}
        try:
            return [self._filled(value, place)]
        except EmptyError:
            return []

    def _filled(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            return self._text(value, place)
        if isinstance(value, list):
            return [self._filled(each, f"{place}.{number}") for number, each in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        special: tuple[tuple[str, set[str], Callable[[Mapping[str, Any], str], Any]], ...] = (
            ("slot", _OF_SLOTS, self._slot),
            ("join", _OF_JOINS, self._joined),
            ("when", _OF_CHOICES, self._chosen),
        )
        for name, known, fill in special:
            if name in value:
                for other in value.keys() - known:
                    self._refuse(place, f"has {other!r} beside {name!r}; there may be: {', '.join(sorted(known))}")
                return fill(value, place)
        return {name: self._filled(each, f"{place}.{name}") for name, each in value.items()}

    def _text(self, value: str, place: str) -> Any:
        if value.startswith("$$"):
            return value[1:]
        if not value.startswith("$"):
            return value
        found = _REFERENCE.fullmatch(value)
        if found is None:
            self._refuse(place, f"{value!r} must be $SLOT, $SLOT.NUMBER, or begin with $$ for a $")
        return self._value(found, place)

    def _value(self, found: re.Match[str], place: str) -> Any:
        value = self._of(found[1], place)
        if value is None:
            raise EmptyError
        if found[2] is None:
            return value
        if not isinstance(value, list):
            self._refuse(place, f"{found[0]!r}: only colours have parts with numbers")
        return value[int(found[2]) % len(value)]

    def _slot(self, value: Mapping[str, Any], place: str) -> Any:
        found = _PLACE.fullmatch(value["slot"]) if isinstance(value["slot"], str) else None
        if found is None:
            self._refuse(place, f'slot = {value["slot"]!r}: must be a name, such as "title" or "colors.0"')
        try:
            got = self._value(found, place)
        except EmptyError:
            if "else" not in value:
                raise
            return self._filled(value["else"], f"{place}.else")
        lightness = value.get("lightness")
        if lightness is None:
            return got
        if isinstance(lightness, bool) or not isinstance(lightness, int | float) or not 0 <= lightness <= 1:
            self._refuse(place, f"lightness = {lightness!r}: must be a number between 0 and 1")
        if not isinstance(got, list):
            self._refuse(place, "only colours have a lightness")
        if isinstance(got[0], list):
            return [with_lightness(each, lightness) for each in got]
        return with_lightness(got, lightness)

    def _joined(self, value: Mapping[str, Any], place: str) -> str:
        between = value.get("with", " ")
        if not isinstance(value["join"], list) or not isinstance(between, str):
            self._refuse(place, 'must be as {"join": ["$artist", "$title"], "with": " – "}')
        parts = []
        for number, each in enumerate(value["join"]):
            try:
                parts.append(str(self._filled(each, f"{place}.join.{number}")))
            except EmptyError:
                continue
        if not parts:
            raise EmptyError
        return between.join(parts)

    def _chosen(self, value: Mapping[str, Any], place: str) -> Any:
        if "then" not in value:
            self._refuse(place, '"when" without "then" is for layers and settings as a whole')
        name = "then" if self._holds(value["when"], f"{place}.when") else "else"
        if name not in value:
            raise EmptyError
        return self._filled(value[name], f"{place}.{name}")

    def _holds(self, condition: Any, place: str) -> bool:
        asked = condition if isinstance(condition, list) else [condition]
        if not asked or not all(isinstance(each, str) for each in asked):
            self._refuse(place, f'{condition!r}: must be a slot, such as "cover" or "!cover", or a list of them')
        return all((self._of(each.removeprefix("!"), place) is None) == each.startswith("!") for each in asked)

    def _of(self, name: str, place: str) -> Any:
        if name not in self._values:
            self._refuse(place, f"there is no slot {name!r}; there are: {', '.join(self._values) or 'none'}")
        return self._values[name]

    def _refuse(self, place: str, problem: str) -> NoReturn:
        raise SceneError(f"{self._owner}: config.{place}: {problem}")
