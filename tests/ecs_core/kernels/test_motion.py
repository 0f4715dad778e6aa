"""The motion kernels, against numpy and against what they promise. Small sizes: they also run without the compiler."""

from __future__ import annotations

import numpy as np
import pytest

from ecs_core import kernels
from ecs_core.ecs.rng import generator

F32 = np.float32
N = 37  # not a multiple of a vector's width


def columns(n: int = N, low: float = 0.0, high: float = 100.0, speed: float = 400.0) -> list[np.ndarray]:
    """x, y, vx, vy, age"""
    rng = generator(1, 2, 3)
    places = [rng.uniform(low, high, n).astype(F32) for _ in range(2)]
    return [*places, *(rng.uniform(-speed, speed, n).astype(F32) for _ in range(2)), np.zeros(n, F32)]


def reflect(
    columns: list[np.ndarray], step: float, keep: float = 1.0, bounce: float = 1.0, size: float = 100.0
) -> None:
    kernels.motion.advance_reflecting(*columns, step, keep, step, size, size, bounce)


def test_advance_moves_by_velocity_then_slows() -> None:
    x, y, vx, vy, _ = columns()
    expected = x + vx * F32(0.5), y + vy * F32(0.5), vx * F32(0.9), vy * F32(0.9)
    kernels.motion.advance(x, y, vx, vy, 0.5, 0.9)
    for got, wanted in zip((x, y, vx, vy), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_advance_aging_also_ages() -> None:
    x, y, vx, vy, age = columns()
    expected = x + vx * F32(0.5)
    kernels.motion.advance_aging(x, y, vx, vy, age, 0.5, 0.9, 0.25)
    np.testing.assert_array_equal(x, expected)
    assert (age == 0.25).all()


def test_far_from_the_walls_reflecting_equals_advancing_to_the_bit() -> None:
    free, walled = columns(low=40, high=60, speed=10), columns(low=40, high=60, speed=10)
    kernels.motion.advance_aging(*free, 0.1, 0.9, 0.1)
    reflect(walled, 0.1, 0.9)
    for got, wanted in zip(walled, free, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_reflecting_mirrors_at_all_four_walls() -> None:
    x, y = np.array([1, 99, 50, 50], F32), np.array([50, 50, 1, 99], F32)
    vx, vy = np.array([-3, 3, 0, 0], F32), np.array([0, 0, -3, 3], F32)
    reflect([x, y, vx, vy, np.zeros(4, F32)], 1.0)
    assert x.tolist() == [2, 98, 50, 50]
    assert y.tolist() == [50, 50, 2, 98]
    assert vx.tolist() == [3, -3, 0, 0]
    assert vy.tolist() == [0, 0, 3, -3]


def test_reflecting_keeps_a_share_of_the_speed() -> None:
    x, vx = np.array([1, 50], F32), np.array([-4, 4], F32)
    reflect([x, np.full(2, 50, F32), vx, np.zeros(2, F32), np.zeros(2, F32)], 1.0, bounce=0.5)
    assert vx.tolist() == [2, 4]


@pytest.mark.parametrize("speed", [100.0, 1e4, 1e7])
def test_reflecting_keeps_everything_inside_however_fast(speed: float) -> None:
    moving = columns(speed=speed)
    for _ in range(20):
        reflect(moving, 1 / 30)
        assert all(((place >= 0) & (place <= 100)).all() for place in moving[:2])
    assert all(np.isfinite(column).all() for column in moving)


def test_reflecting_turns_only_outward_bound_outsiders() -> None:
    x, vx = np.array([-50, -50], F32), np.array([-1, 1], F32)
    reflect([x, np.full(2, 50, F32), vx, np.zeros(2, F32), np.zeros(2, F32)], 0.1)
    assert vx.tolist() == [1, 1]
    assert (x >= 0).all()


def test_reflecting_ages_everyone() -> None:
    moving = columns()
    reflect(moving, 0.25)
    assert (moving[4] == 0.25).all()


def test_wrapping_brings_leavers_in_at_the_opposite_edge() -> None:
    x, y = np.array([-1, 101, 50, 50, 350], F32), np.array([50, 50, -1, 101, 50], F32)
    kernels.motion.wrap(x, y, np.zeros(5, F32), 100.0, 100.0)
    assert x.tolist() == [99, 1, 50, 50, 50]
    assert y.tolist() == [50, 50, 99, 1, 50]


def test_wrapping_with_a_margin_happens_out_of_sight() -> None:
    x, y = np.array([-9, -11, 109, 111, 111], F32), np.full(5, 50, F32)
    kernels.motion.wrap(x, y, np.array([10, 10, 10, 10, 20], F32), 100.0, 100.0)
    assert x.tolist() == [-9, 109, 109, -9, 111]


def flow(x: np.ndarray, y: np.ndarray, z: float = 0.3, seed: int = 5, scale: float = 100.0) -> tuple[np.ndarray, ...]:
    """The swirl's velocity at the given places."""
    px, py = np.ascontiguousarray(x, F32).ravel(), np.ascontiguousarray(y, F32).ravel()
    vx, vy = np.zeros_like(px), np.zeros_like(px)
    kernels.motion.swirl(px, py, vx, vy, scale, z, 1.0, seed)
    return vx.astype(np.float64).reshape(np.shape(x)), vy.astype(np.float64).reshape(np.shape(x))


def test_swirl_has_no_divergence() -> None:
    """By Gauss's theorem: the flux out of small boxes is small compared with the flow along their sides."""
    side, h = 24, 2.0
    corners = generator(1, 2, 3).uniform(-300, 300, (12, 2))
    along = (np.arange(side) + 0.5) * h
    for left, top in corners:
        right, bottom = left + side * h, top + side * h
        east, west = flow(np.full(side, right), top + along)[0], flow(np.full(side, left), top + along)[0]
        south, north = flow(left + along, np.full(side, bottom))[1], flow(left + along, np.full(side, top))[1]
        passing = sum(np.abs(edge).sum() for edge in (east, west, south, north))
        assert abs((east - west).sum() + (south - north).sum()) < 5e-3 * passing


def test_swirl_turns_round_on_average() -> None:
    x, y = generator(4, 2, 3).uniform(-2000, 2000, (2, 2000))
    vx, vy = flow(x, y)
    assert np.abs([vx.mean(), vy.mean()]).max() < 0.1 * np.hypot(vx, vy).mean()
    assert np.hypot(vx, vy).std() > 0.2 * np.hypot(vx, vy).mean()


def test_swirl_is_continuous_across_the_lattice_and_in_time() -> None:
    lattice, time = np.array([100.0, -100.0, 0.0, 300.0]), np.full(4, 37.0)
    for shifted, still in ((0.01, 0.0), (0.0, 0.001)):
        before, after = flow(lattice - shifted, time, 1 - still), flow(lattice + shifted, time, 1 + still)
        np.testing.assert_allclose(before, after, atol=0.01)


def test_swirl_differs_by_seed_place_and_time() -> None:
    x, y = np.full(1, 130.0), np.full(1, 260.0)
    flows = {flow(x, y)[0][0], flow(x, y, seed=6)[0][0], flow(x, y, z=1.8)[0][0], flow(x + 500, y)[0][0]}
    assert len(flows) == 4


def test_swirl_is_added_to_the_velocity() -> None:
    x, y = np.full(1, 130, F32), np.full(1, 260, F32)
    vx, vy = np.full(1, 10, F32), np.full(1, 20, F32)
    kernels.motion.swirl(x, y, vx, vy, 100.0, 0.3, 1.0, 5)
    added = flow(x, y)
    np.testing.assert_allclose([vx[0], vy[0]], [10 + added[0][0], 20 + added[1][0]], rtol=1e-6)
