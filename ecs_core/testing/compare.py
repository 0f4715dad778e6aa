"""Compare runs bit for bit, and find values that are not finite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ecs_core.testing.simulate import Population, State

_LIGHT = "Look.light"


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
    return None


def _difference(one: Population, other: Population) -> str | None:
    if len(one) != len(other):
        return f"how many particles there are ({len(one)} and {len(other)})"
    if not np.array_equal(one.rows.birth, other.rows.birth) or one.rows.next_birth != other.rows.next_birth:
        return "which particles are alive"
    # As bits: so that NaN is like NaN, and 0 is not -0.
    same = one.rows.values.view(np.uint32) == other.rows.values.view(np.uint32)
    return _listed(np.array(one.fields)[~same.all(axis=1)].tolist()) or None


def not_finite(states: Iterable[State]) -> str | None:
    """The first NaN or infinite value in words, or None. Fields that are infinite at birth may stay so."""
    for state in states:
        for population in state.populations:
            values = population.rows.values
            # A population may have no fields at all, as that of a camera.
            may_be_endless = np.array([name in population.endless for name in population.fields], np.bool_)[:, None]
            wrong = ~(np.isfinite(values) | (np.isposinf(values) & may_be_endless))
            if wrong.any():
                fields = _listed(np.array(population.fields)[wrong.any(axis=1)].tolist())
                many = int(np.count_nonzero(wrong.any(axis=0)))
                return f"{fields} of {many} of {len(population)} particles is NaN or infinite in frame {state.frame}"
    return None


def negative_light(states: Iterable[State]) -> str | None:
    """The first negative value of Look.light in words, or None."""
    for state in states:
        for population in state.populations:
            if _LIGHT in population.fields:
                many = int(np.count_nonzero(population.rows.values[population.fields.index(_LIGHT)] < 0))
                if many:
                    return f"{_LIGHT} of {many} of {len(population)} particles is negative in frame {state.frame}"
    return None


def _listed(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
