"""Shapes of pictures: what a config says of tall, square or wide ones alone.

Positions are fractions and sizes are shares of the short side, so most looks fit all shapes. Where one does not, its
config, its backdrop or a layer says in ``shapes`` what is different in one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

Shape = Literal["tall", "square", "wide"]
SHAPES: tuple[Shape, ...] = get_args(Shape)
_NEARLY = 1.1  # sides of a square picture differ by less


def shape_of(width: float, height: float) -> Shape:
    """The shape of a picture: 9:16 and 4:5 are tall, 16:9 and 4:3 are wide."""
    return "tall" if height >= _NEARLY * width else "wide" if width >= _NEARLY * height else "square"


def in_shape(config: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """A config with what it, its backdrop and its layers say in ``shapes`` of this one, and without the rest of that.

    Raises:
        ValueError: a name in ``shapes`` is no shape, or it holds something else than objects.
    """
    whole = _merged(config, shape, "")
    for name in ("layers", "backdrop"):
        value = whole.get(name)
        if isinstance(value, Mapping):
            whole[name] = _merged(value, shape, f"{name}.")
        elif isinstance(value, list | tuple):
            whole[name] = [
                _merged(each, shape, f"{name}.{number}.") if isinstance(each, Mapping) else each
                for number, each in enumerate(value)
            ]
    return whole


def _merged(values: Mapping[str, Any], shape: Shape, place: str) -> dict[str, Any]:
    said = values.get("shapes") or {}
    if not isinstance(said, Mapping):
        raise ValueError(f'{place}shapes = {said!r}: must be an object, such as {{"tall": {{"y": 0.4}}}}')
    for name, each in said.items():
        if name not in SHAPES:
            raise ValueError(f"{place}shapes has {name!r}; there are: {', '.join(SHAPES)}")
        if not isinstance(each, Mapping):
            raise ValueError(f"{place}shapes.{name} = {each!r}: must be an object of settings")
    return _over({name: value for name, value in values.items() if name != "shapes"}, said.get(shape, {}))


def _over(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Values with others over them, and so within objects."""
    merged = dict(values)
    for name, value in more.items():
        old = merged.get(name)
        merged[name] = _over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
