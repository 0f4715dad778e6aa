"""Ranges, curves and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ecs_core.ecs.rng import generator
from ecs_core.ecs.values import Curve, Gradient, Range


@pytest.fixture
def rng() -> np.random.Generator:
    return generator(1, 2, 3)


def test_range_draws_evenly_between_its_ends(rng: np.random.Generator) -> None:
    drawn = Range(10.0, 20.0).draw(rng, 20_000)
    assert drawn.dtype == np.float32
    assert drawn.min() >= 10
    assert drawn.max() <= 20
    assert drawn.mean() == pytest.approx(15, abs=0.1)


def test_range_with_a_tail_makes_large_numbers_rare(rng: np.random.Generator) -> None:
    drawn = Range(0.0, 1.0, tail=3.0).draw(rng, 20_000)
    assert drawn.mean() == pytest.approx(1 / 4, abs=0.01)  # the mean of u³
    assert drawn.max() > 0.99


def test_range_of_one_number_is_that_number(rng: np.random.Generator) -> None:
    assert Range(float("inf"), float("inf")).draw(rng, 2).tolist() == [float("inf")] * 2


def test_curve_is_straight_between_its_points_and_flat_outside() -> None:
    curve = Curve(((0.2, 1.0), (0.4, 3.0)))
    assert curve([0.0, 0.2, 0.3, 0.4, 1.0]).tolist() == [1, 1, 2, 3, 3]


@pytest.mark.parametrize("points", [(0.0, 1.0, 0.0), (), ((0, 0), (1,)), ((1, 0), (0, 1)), "smooth"])
def test_curve_of_anything_but_ascending_pairs_is_refused(points: Any) -> None:
    with pytest.raises(ValueError, match=r"must be \(position, value\) pairs with ascending positions, such as"):
        Curve(points)


def test_curve_keeps_the_shape_and_gives_float32() -> None:
    values = Curve()(np.zeros((2, 3), np.float32))
    assert values.shape == (2, 3)
    assert values.dtype == np.float32


def test_gradient_passes_through_its_colours_evenly_spaced() -> None:
    gradient = Gradient(((0.0, 0.0, 0.0), (1.0, 0.0, 0.5), (1.0, 1.0, 1.0)))
    colours = gradient(np.array([0.0, 0.25, 0.5, 1.0]))
    assert colours.tolist() == [[0, 0, 0], [0.5, 0, 0.25], [1, 0, 0.5], [1, 1, 1]]
    assert colours.dtype == np.float32


def test_gradient_of_one_colour_is_that_colour_everywhere() -> None:
    assert Gradient(((0.5, 0.25, 1.0),))(np.array([0.0, 0.7])).tolist() == [[0.5, 0.25, 1.0]] * 2


def test_gradient_picks_its_own_colours_each_about_as_often(rng: np.random.Generator) -> None:
    colours = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    picked = Gradient(colours).pick(rng, 9_000)
    found, counts = np.unique(picked, axis=0, return_counts=True)
    assert sorted(map(tuple, found.tolist())) == sorted(colours)
    assert counts.min() > 2_700
