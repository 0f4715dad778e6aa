"""Checks of a population's columns and components, and of the types of the components' fields.

They run when a population is created: a wrong value would otherwise fail in the middle of a render, or draw something
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from numbers import Real
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ecs_core.ecs import components, space
from ecs_core.ecs.components import Sprite
from ecs_core.ecs.table import Column
from ecs_core.ecs.values import Draw
from ecs_core.errors import PluginError
from ecs_core.raster.textures import check_textures

_OURS = (components.__name__, space.__name__)


def check_population(archetype: Sequence[object], components: Sequence[object]) -> None:
    """Check the columns and components of a population before it is created.

    Raises:
        PluginError: a column or component has the wrong type, or a built-in component has an invalid value.
    """
    for column in archetype:
        if not (isinstance(column, type) and issubclass(column, Column)):
            kind = column if isinstance(column, type) else type(column)
            raise PluginError(
                f"{kind.__name__} is not a column: columns are classes such as Position; components come after them"
            )
    for component in components:
        kind = component if isinstance(component, type) else type(component)
        if issubclass(kind, Column):
            raise PluginError(f"{kind.__name__} is a column: give it among the columns, before the components")
        if kind.__module__ in _OURS and kind is not component:
            _check(component)


def with_floats(component: Any) -> Any:
    """The component with floats where it takes floats, as kernels are compiled for those alone."""
    if type(component).__module__ not in _OURS:
        return component
    hints = get_type_hints(type(component))
    changed = {
        each.name: float(value)
        for each in fields(component)
        if hints[each.name] in (float, float | None)
        and isinstance(value := getattr(component, each.name), Real)
        and not isinstance(value, float)
    }
    return replace(component, **changed) if changed else component


def _check(component: Any) -> None:
    hints = get_type_hints(type(component))
    for each in fields(component):
        hint, value = hints[each.name], getattr(component, each.name)
        if not _fits(value, hint):
            name = f"{type(component).__name__}.{each.name}"
            such = f", such as Range({value}, {value})" if hint == Draw and _fits(value, float) else ""
            raise PluginError(f"{name} = {repr(value)[:100]}: must be {_words(hint)}{such}")
    if isinstance(component, Sprite) and component.texture is not None:
        check_textures(component.texture)


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if isinstance(hint, UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if hint in (int, float):
        return isinstance(value, Real)
    return not isinstance(hint, type) or isinstance(value, hint)


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(repr(each) for each in get_args(hint))
    if isinstance(hint, UnionType):
        return " or ".join(_words(each) for each in get_args(hint))
    return {int: "a number", float: "a number", str: "a text", NoneType: "None"}.get(hint) or f"a {hint.__name__}"
