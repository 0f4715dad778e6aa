"""The collision kernels: the grid finds what brute force finds, and bounces obey mechanics."""

from __future__ import annotations

from itertools import pairwise

import numba
import numpy as np
import pytest

from ecs_core import kernels
from ecs_core.ecs.rng import generator

F32 = np.float32
SIZE = 100.0


class Discs:
    def __init__(self, x: list[float], y: list[float], vx: list[float], vy: list[float], radius: float = 5.0) -> None:
        self.x, self.y, self.vx, self.vy = (np.array(each, F32) for each in (x, y, vx, vy))
        self.radius = np.full(len(x), radius, F32)

    @staticmethod
    def many(n: int = 60, radius: float = 5.0, low: float = 0.0, high: float = SIZE) -> Discs:
        places = generator(1, 2, 3).uniform(low, high, (2, n))
        return Discs(*places.tolist(), *generator(2, 2, 3).normal(0, 50, (2, n)).tolist(), radius)

    def cells(self, cell: float = 10.0) -> tuple[int, int, np.ndarray, np.ndarray]:
        columns = rows = int(SIZE / cell) + 1
        starts, order = np.empty(columns * rows + 1, np.int32), np.empty(self.x.size, np.int32)
        kernels.collision.sort_into_cells(self.x, self.y, F32(cell), columns, rows, starts, order, np.empty_like(order))
        return columns, rows, starts, order

    def collide(self, restitution: float = 1.0) -> int:
        grid = self.cells(2 * float(self.radius.max()))
        scratch = np.empty((self.x.size, kernels.collision.DISC), F32)
        return kernels.collision.collide(
            self.x, self.y, self.vx, self.vy, self.radius, *grid, F32(restitution), scratch
        )

    def momentum(self) -> tuple[float, float]:
        return float(self.vx.sum(dtype=np.float64)), float(self.vy.sum(dtype=np.float64))

    def energy(self) -> float:
        return float((self.vx.astype(np.float64) ** 2 + self.vy.astype(np.float64) ** 2).sum())

    def distances(self) -> np.ndarray:
        """Of all pairs, in float64."""
        x, y = self.x.astype(np.float64), self.y.astype(np.float64)
        i, j = np.triu_indices(x.size, 1)
        return np.hypot(x[i] - x[j], y[i] - y[j])

    def overlap(self) -> float:
        return float(np.maximum(2 * float(self.radius[0]) - self.distances(), 0).sum())


def test_sorting_lists_every_disc_once_in_its_own_cell() -> None:
    discs = Discs.many()
    columns, rows, starts, order = discs.cells()
    assert sorted(order.tolist()) == list(range(60))
    for cell in range(columns * rows):
        for i in order[starts[cell] : starts[cell + 1]]:
            assert (int(discs.x[i] / 10), int(discs.y[i] / 10)) == (cell % columns, cell // columns)


def test_sorting_keeps_row_order_within_a_cell() -> None:
    _, _, starts, order = Discs.many(200).cells(25.0)
    for first, last in pairwise(starts):
        assert (np.diff(order[first:last]) > 0).all()


def test_grid_repeats_outside_the_canvas() -> None:
    columns, rows, starts, order = Discs([-5, 500, 50, -1e6], [50, 50, -25, 1e9], [0] * 4, [0] * 4).cells()
    cell_of = {int(order[k]): c for c in range(columns * rows) for k in range(starts[c], starts[c + 1])}
    assert (cell_of[0], cell_of[1], cell_of[2]) == (5 * columns + columns - 1, 5 * columns + 6, 8 * columns + 5)
    assert len(cell_of) == 4


@pytest.mark.parametrize(
    ("low", "high"), [(0, SIZE), (-30, SIZE + 30), (40, 55), (-400, -300)], ids=["inside", "beyond", "crowd", "outside"]
)
def test_grid_finds_the_pairs_that_brute_force_finds(low: float, high: float) -> None:
    discs = Discs.many(80, low=low, high=high)
    pairs = numba.njit(kernels.collision.count_pairs)(discs.x, discs.y, F32(10), *discs.cells())
    assert pairs == int((discs.distances() < 10).sum())


def test_head_on_discs_of_equal_mass_swap_velocities() -> None:
    discs = Discs([45, 54], [50, 50], [10, -20], [0, 0])
    assert discs.collide() == 1
    np.testing.assert_allclose(discs.vx, [-20, 10], rtol=1e-6)


def test_restitution_is_the_share_of_closing_speed_that_comes_back() -> None:
    discs = Discs([45, 54], [50, 50], [10, -20], [0, 0])
    discs.collide(0.5)
    assert discs.vx[1] - discs.vx[0] == pytest.approx(0.5 * 30, rel=1e-6)


def test_glancing_discs_keep_their_speed_along_the_contact() -> None:
    discs = Discs([45, 54], [50, 50], [10, -20], [3, 7])
    discs.collide()
    assert discs.vy.tolist() == [3, 7]


def test_overlapping_discs_are_pushed_apart_until_they_touch() -> None:
    discs = Discs([45, 51], [50, 53], [0, 0], [0, 0])
    discs.collide()
    assert discs.distances()[0] == pytest.approx(10, rel=1e-5)
    assert (float(discs.x.mean()), float(discs.y.mean())) == pytest.approx((48, 51.5))


def test_overlapping_discs_that_part_keep_their_velocities() -> None:
    discs = Discs([45, 54], [50, 50], [-1, 2], [0, 0])
    discs.collide()
    assert discs.vx.tolist() == [-1, 2]


def test_discs_in_the_very_same_place_are_pushed_apart_too() -> None:
    discs = Discs([50, 50], [50, 50], [0, 0], [0, 0])
    discs.collide()
    assert discs.distances()[0] == pytest.approx(10)
    assert np.isfinite(discs.x).all()


def test_discs_that_do_not_touch_are_left_alone() -> None:
    discs = Discs([10, 30, 90], [50, 50, 50], [5, -5, 1], [0, 0, 0])
    assert discs.collide() == 0
    assert discs.x.tolist() == [10, 30, 90]
    assert discs.vx.tolist() == [5, -5, 1]


def test_crowd_keeps_its_momentum_and_elastically_its_energy() -> None:
    discs = Discs.many()
    momentum, energy = discs.momentum(), discs.energy()
    assert discs.collide() > 20
    assert discs.momentum() == pytest.approx(momentum, abs=1e-2)
    assert discs.energy() == pytest.approx(energy, rel=1e-5)


def test_crowd_loses_energy_but_no_momentum_below_full_restitution() -> None:
    discs = Discs.many()
    momentum, energy = discs.momentum(), discs.energy()
    discs.collide(0.2)
    assert discs.momentum() == pytest.approx(momentum, abs=1e-2)
    assert discs.energy() < 0.9 * energy


def test_crowd_spreads_until_hardly_anything_overlaps() -> None:
    discs = Discs.many(40, low=30, high=70)
    before = discs.overlap()
    for _ in range(30):
        discs.collide()
    assert discs.overlap() < 0.02 * before


def test_collisions_are_deterministic() -> None:
    first, second = Discs.many(), Discs.many()
    first.collide(0.7)
    second.collide(0.7)
    for one, other in ((first.x, second.x), (first.y, second.y), (first.vx, second.vx), (first.vy, second.vy)):
        np.testing.assert_array_equal(one, other)
