"""Coverage is exact: the areas of shapes of which one knows them, whatever their place; blur keeps the light."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import kernels

F32 = np.float32


def polygon(*points: tuple[float, float]) -> np.ndarray:
    """A closed polygon as cubic curves, (n, 8); y upwards."""
    curves = []
    for (a, b), (c, d) in zip(points, (*points[1:], points[0]), strict=True):
        thirds = [(a + (c - a) * t, b + (d - b) * t) for t in (0, 1 / 3, 2 / 3, 1)]
        curves.append([each for point in thirds for each in point])
    return np.array(curves, F32)


def circle(x: float, y: float, radius: float) -> np.ndarray:
    """Four cubic curves, 0.02 % from a circle."""
    k = 0.5522847498 * radius
    ends = [(radius, 0), (0, radius), (-radius, 0), (0, -radius), (radius, 0)]
    ways = [(0, k), (-k, 0), (0, -k), (k, 0), (0, k)]
    curves = []
    for (a, b), (u, v), (c, d), (p, q) in zip(ends, ways, ends[1:], ways[1:], strict=False):
        curves.append([x + a, y + b, x + a + u, y + b + v, x + c - p, y + d - q, x + c, y + d])
    return np.array(curves, F32)


def covered(*shapes: np.ndarray, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    areas, coverage = np.zeros((size[0], size[1] + 2), F32), np.empty(size, F32)
    for curves in shapes:
        kernels.coverage.add_outline(areas, curves, 1.0, 0.0, float(size[0]))
    kernels.coverage.cover(areas, coverage)
    return coverage


def area(points: list[tuple[float, float]]) -> float:
    turns = zip(points, (*points[1:], points[0]), strict=True)
    return abs(sum(a * d - c * b for (a, b), (c, d) in turns)) / 2


def test_rectangle_covers_parts_of_pixels_at_its_edges() -> None:
    found = covered(polygon((10.25, 5.5), (20.75, 5.5), (20.75, 30.0), (10.25, 30.0)))
    assert found[20, 10:22].tolist() == [0.75] + [1.0] * 9 + [0.75, 0.0]
    assert found[34, 15] == 0.5
    assert found[35].max() == 0.0


@settings(max_examples=100, deadline=None)
@given(points=st.lists(st.tuples(st.floats(0, 50), st.floats(0, 40)), min_size=3, max_size=3))
def test_triangle_covers_its_area(points: list[tuple[float, float]]) -> None:
    assert covered(polygon(*points)).sum() == pytest.approx(area(points), abs=0.02)


@settings(max_examples=50, deadline=None)
@given(x=st.floats(15, 35), y=st.floats(13, 27), radius=st.floats(0.5, 12))
def test_circle_covers_its_area_wherever_it_is(x: float, y: float, radius: float) -> None:
    missed = 0.02 * 2 * math.pi * radius  # lines run inside of curves
    assert math.pi * radius**2 - missed <= covered(circle(x, y, radius)).sum() <= math.pi * radius**2 * 1.001 + 0.01


@settings(max_examples=50, deadline=None)
@given(points=st.lists(st.tuples(st.floats(-90, 140), st.floats(-80, 120)), min_size=3, max_size=6))
def test_what_lies_outside_writes_nothing_elsewhere(points: list[tuple[float, float]]) -> None:
    around = np.zeros((60, 52), F32)  # of which 40 rows are given
    kernels.coverage.add_outline(around[10:50], polygon(*points), 1.0, 0.0, 40.0)
    assert not around[:10].any()
    assert not around[50:].any()


def test_overlapping_shapes_are_one() -> None:
    found = covered(circle(20, 20, 9), circle(26, 20, 9))
    assert found[20, 18:28].tolist() == [1.0] * 10


def test_hole_that_turns_the_other_way_is_empty() -> None:
    hole = circle(25, 20, 6)[::-1, [6, 7, 4, 5, 2, 3, 0, 1]]
    found = covered(circle(25, 20, 12), np.ascontiguousarray(hole))
    assert found[20, 25] == 0.0
    assert found.sum() == pytest.approx(math.pi * (12**2 - 6**2), rel=0.01)


def test_widened_circle_is_a_larger_circle() -> None:
    curves, coverage = circle(25, 20, 8), covered(circle(25, 20, 8))
    squares, wide = np.full_like(coverage, 1e12), np.empty_like(coverage)
    kernels.coverage.approach(squares, curves, 1.0, 0.0, 40.0, 4.5)
    kernels.coverage.widen(coverage, squares, F32(4.0), wide)
    assert wide.sum() == pytest.approx(math.pi * 12**2, rel=0.01)
    assert (wide >= coverage).all()


def blurred(plane: np.ndarray, radius: int, share: float) -> np.ndarray:
    out = np.empty_like(plane)
    kernels.coverage.blur(plane, out, np.empty(plane.shape[1]), radius, share)
    return out


@pytest.mark.parametrize(("radius", "share"), [(0, 0.4), (1, 0.0), (3, 0.7), (60, 0.5)])
@pytest.mark.parametrize("at", [0, 70, 149])
def test_blur_is_the_mean_over_a_box_with_parts_at_its_ends(radius: int, share: float, at: int) -> None:
    plane = np.zeros((150, 3), F32)
    plane[at] = (1.0, 0.0, 0.5)
    box = np.zeros(150)
    box[max(0, at - radius - 1) : at + radius + 2] = share
    box[max(0, at - radius) : at + radius + 1] = 1.0
    wanted = box[:, None] * plane[at] / (2 * radius + 1 + 2 * share)
    np.testing.assert_allclose(blurred(plane, radius, share), wanted, atol=2e-6)


def test_blur_of_a_plane_smaller_than_its_box_is_finite() -> None:
    found = blurred(np.ones((3, 4), F32), 9, 0.5)
    np.testing.assert_allclose(found, 3 / 20, rtol=1e-6)
