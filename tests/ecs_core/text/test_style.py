"""Styles refuse lengths that nobody means, in a line."""

from __future__ import annotations

import math

import pytest

from ecs_core.errors import SceneError
from ecs_core.text.style import Shadow, Style


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("letter_spacing", 3.0, "-0.2 to 2"),
        ("line_height", 0.1, "0.5 to 4"),
        ("outline", -0.1, "0 to 0.5"),
        ("glow", math.nan, "0 to 2"),
    ],
)
def test_lengths_out_of_range_are_named(name: str, value: float, allowed: str) -> None:
    with pytest.raises(SceneError, match=rf"^{name}: {value:g}; must be from {allowed} \(in sizes of the font\)$"):
        Style(**{name: value})


def test_shadows_out_of_range_are_named() -> None:
    with pytest.raises(SceneError, match=r"^shadow.blur: 9; must be from 0 to 2"):
        Shadow(blur=9)
