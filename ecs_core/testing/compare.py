"""Compare runs bit for bit, and find values that are not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32
from ecs_core.raster.sprites import Sprites
from ecs_core.testing.simulate import Population, State

_LIGHT = "Look.light"
_OF_LIGHT = ("red", "green", "blue", "skirt", "cover", "taper", "fade")  # of Sprites
_NUMBERS = tuple(each.name for each in fields(Sprites) if each.name not in ("disc", "texture"))


def first_difference(runs: tuple[Sequence[State], Sequence[State]]) -> str | None:
    """The first difference between two runs in words, such as "from frame 12 on, in Velocity.x"; or None."""
    for one, other in zip(*runs, strict=True):
        if len(one.populations) != len(other.populations):
            numbers = f"{len(one.populations)} and {len(other.populations)}"
            return f"from frame {one.frame} on, in how many populations there are ({numbers})"
        for number, pair in enumerate(zip(one.populations, other.populations, strict=True), 1):
            what = _difference(*pair)
            if what is not None:
                which = f" (population {number} of {len(one.populations)})" if len(one.populations) > 1 else ""
                return f"from frame {one.frame} on, in {what}{which}"
        what = _difference_of_drawings(one.drawn, other.drawn)
        if what is not None:
            return f"from frame {one.frame} on, in what systems draw ({what})"
    return None


def _difference(one: Population, other: Population) -> str | None:
    if len(one) != len(other):
        return f"how many particles there are ({len(one)} and {len(other)})"
    if not np.array_equal(one.rows.birth, other.rows.birth) or one.rows.next_birth != other.rows.next_birth:
        return "which particles are alive"
    # As bits: so that NaN is like NaN, and 0 is not -0.
    same = one.rows.values.view(np.uint32) == other.rows.values.view(np.uint32)
    return _listed(np.array(one.fields)[~same.all(axis=1)].tolist()) or None


def _difference_of_drawings(one: Sprites, other: Sprites) -> str | None:
    if len(one) != len(other):
        return f"{len(one)} and {len(other)} sprites"
    columns = {each.name: (getattr(one, each.name), getattr(other, each.name)) for each in fields(Sprites)}
    return _listed([name for name, pair in columns.items() if _content(pair[0]) != _content(pair[1])]) or None


def _content(column: NDArray[Any] | None) -> bytes | None:
    return None if column is None else column.tobytes()


def not_finite(states: Iterable[State]) -> str | None:
    """The first NaN or infinite value in words, or None. Fields that are infinite at birth may stay so."""
    for state in states:
        for population in state.populations:
            values = population.rows.values
            # A population may have no fields at all, as that of a camera.
            may_be_endless = np.array([name in population.endless for name in population.fields], np.bool_)[:, None]
            wrong = ~(np.isfinite(values) | (np.isposinf(values) & may_be_endless))
            if wrong.any():
                names = _listed(np.array(population.fields)[wrong.any(axis=1)].tolist())
                many = int(np.count_nonzero(wrong.any(axis=0)))
                return f"{names} of {many} of {len(population)} particles is NaN or infinite in frame {state.frame}"
        found = _sprites_where(state.drawn, lambda values: ~np.isfinite(values), _NUMBERS)
        if found is not None:
            return f"{found} that systems draw is NaN or infinite in frame {state.frame}"
    return None


def negative_light(states: Iterable[State]) -> str | None:
    """The first negative value of Look.light, or of light that systems draw, in words; or None."""
    for state in states:
        for population in state.populations:
            if _LIGHT in population.fields:
                many = int(np.count_nonzero(population.rows.values[population.fields.index(_LIGHT)] < 0))
                if many:
                    return f"{_LIGHT} of {many} of {len(population)} particles is negative in frame {state.frame}"
        found = _sprites_where(state.drawn, lambda values: values < 0, _OF_LIGHT)
        if found is not None:
            return f"{found} that systems draw is negative in frame {state.frame}"
    return None


def _sprites_where(drawn: Sprites, is_wrong: Callable[[F32], NDArray[np.bool_]], names: Sequence[str]) -> str | None:
    """Which columns are wrong, of how many sprites."""
    wrong = {name: is_wrong(column) for name in names if (column := getattr(drawn, name)) is not None}
    listed = _listed([name for name, rows in wrong.items() if rows.any()])
    if not listed:
        return None
    many = int(np.count_nonzero(np.any([*wrong.values()], axis=0)))
    return f"{listed} of {many} of {len(drawn)} sprites"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
