"""Refusals: the words for what a model refuses, with its schema and without."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecs_core.validation_messages import error_message, field_message, what_is_allowed


class Trail(BaseModel):
    model_config = ConfigDict(extra="forbid")

    length: int = Field(1, ge=0)
    points: tuple[tuple[float, float], ...] = Field((), max_length=5)


class Glow(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: float = Field(1.0, gt=0, lt=5)
    over: float = Field(1.0, gt=0)
    few: float = Field(1.0, le=9)
    name: str = Field("", max_length=3)
    names: tuple[str, ...] = ()
    trail: Trail | None = None
    either: Annotated[float, Field(ge=0, le=1)] | Trail = 0.5


def error(values: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Glow.model_validate(values)
    return caught.value


@pytest.mark.parametrize(
    ("values", "with_schema", "without"),
    [
        ({"size": 0}, "size = 0: must be over 0 and under 5", "size = 0: must be over 0"),
        ({"size": 5}, "size = 5: must be over 0 and under 5", "size = 5: must be under 5"),
        ({"size": "x"}, "size = 'x': must be a number over 0 and under 5", "size = 'x': must be a number"),
        ({"over": -1}, "over = -1: must be over 0", None),
        ({"few": 10}, "few = 10: must be at most 9", None),
        ({"name": 5}, "name = 5: must be a text", None),
        ({"name": "abcd"}, "name = 'abcd': must have at most 3 characters", None),
        ({"names": 5}, 'names = 5: must be a list, such as ["text"]', "names = 5: must be a list"),
        ({"trail": 5}, 'trail = 5: must be an object, such as {"length": 1}', "trail = 5: must be an object"),
        ({"trail": {"length": 1.5}}, "trail.length = 1.5: must be a whole number at least 0", None),
        ({"trail": {"points": [[1]]}}, "trail.points.0.1 is missing", None),
        ({"name": "a" * 200}, f"name = '{'a' * 99}…: must have at most 3 characters", None),
    ],
)
def test_schema_improves_the_message(values: Any, with_schema: str, without: str | None) -> None:
    refused = error(values)
    assert error_message(refused, Glow, "it") == with_schema
    detail = refused.errors()[0]
    if without is not None:
        assert field_message(".".join(map(str, detail["loc"])), detail) == without


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"trail": {"lenth": 1}}, "unknown setting 'trail.lenth' for it; it has: length, points"),
        ({"float": 1}, "unknown setting 'float' for it; it has: size, over, few, name, names, trail, either"),
        ({"a[0]": 1}, "unknown setting 'a[0]' for it; it has: size, over, few, name, names, trail, either"),
    ],
)
def test_unknown_fields_are_named(values: Any, said: str) -> None:
    assert error_message(error(values), Glow, "it") == said


def test_branches_of_a_union_are_one_sentence() -> None:
    said = error_message(error({"either": 2}), Glow, "it")
    assert said == 'either = 2: must be between 0 and 1, or an object, such as {"length": 1}'


def test_huge_numbers_of_errors_are_counted_not_sorted() -> None:
    said = error_message(error({"names": [0] * 100_000}), Glow, "it")
    assert said.startswith("names.0 = 0: must be a text; names.1 = 0: ")
    assert said.endswith("; and 99980 more")


def test_allowed_values_are_stated_without_the_input() -> None:
    assert "hush" not in what_is_allowed(error({"size": "hush"}).errors()[0], Glow.model_json_schema())
