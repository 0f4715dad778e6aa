"""The links kernel: it joins whom brute force joins, and no link comes or goes at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import kernels
from ecs_core.ecs.rng import generator

F32 = np.float32
SIZE = 300.0


def linked(places: np.ndarray, reach: float, most: int) -> dict[tuple[int, int], float]:
    """The light of each pair that is joined, for places (3, n)."""
    x, y, z = (np.ascontiguousarray(each, F32) for each in places)
    columns = rows = max(3, int(SIZE / reach) + 1)
    starts, order = np.empty(columns * rows + 1, np.int32), np.empty(x.size, np.int32)
    kernels.collision.sort_into_cells(x, y, F32(reach), columns, rows, starts, order, np.empty_like(order))
    pairs, light = np.empty((2, x.size * most), np.int32), np.empty(x.size * most, F32)
    near, squares = np.empty((x.size, most + 1), np.int32), np.empty((x.size, most + 1), F32)
    n = kernels.links.link(x, y, z, F32(reach), most, columns, rows, starts, order, pairs, light, near, squares)
    return {(int(a), int(b)): float(share) for a, b, share in zip(*pairs[:, :n], light[:n], strict=True)}


def by_brute_force(places: np.ndarray, reach: float, most: int) -> set[tuple[int, int]]:
    """Those who are among each other's nearest within reach."""
    n = places.shape[1]
    away = np.sqrt(((places[:, :, None] - places[:, None]) ** 2).sum(axis=0))
    nearest = {
        i: set([j for j in np.argsort(away[i], kind="stable") if j != i and away[i, j] < reach][:most])
        for i in range(n)
    }
    return {(i, j) for i in range(n) for j in nearest[i] if i < j and i in nearest[j]}


def cloud(seed: int, n: int, low: float = -50.0, high: float = SIZE + 50.0) -> np.ndarray:
    return generator(seed, 7, 0).uniform(low, high, (3, n))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 80), reach=st.floats(20.0, 400.0), most=st.integers(1, 8))
def test_links_are_those_of_brute_force(seed: int, n: int, reach: float, most: int) -> None:
    places = cloud(seed, n)
    assert set(linked(places, reach, most)) == by_brute_force(places.astype(F32).astype(float), reach, most)


def test_nobody_has_more_links_than_allowed() -> None:
    ends = np.array([*linked(cloud(3, 200), 150.0, 3)]).ravel()
    assert np.bincount(ends).max() == 3


def test_light_falls_with_distance_to_nothing() -> None:
    light = [linked(np.array([[0.0, away], [0.0, 0.0], [0.0, 0.0]]), 100.0, 2) for away in (1, 50, 99.9, 100.1)]
    near, middle, edge = (found[0, 1] for found in light[:3])
    assert near == pytest.approx(1.0, abs=0.01)
    assert middle == pytest.approx(0.75**2)
    assert edge < 1e-4
    assert light[3] == {}


def test_distance_is_in_space() -> None:
    assert linked(np.array([[10.0, 20.0], [10.0, 10.0], [0.0, 99.0]]), 50.0, 2) == {}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), most=st.integers(1, 5))
def test_no_link_comes_or_goes_at_once(seed: int, most: int) -> None:
    places, ways = cloud(seed, 40, 0.0, SIZE), generator(seed, 8, 0).normal(0, 1.0, (3, 40))
    before = linked(places, 120.0, most)
    farthest = 2 * 0.1 * np.linalg.norm(ways, axis=0).max()  # that two may move apart in a step
    for step in range(1, 60):  # a tenth of a unit at a time
        there = places + 0.1 * step * ways
        now = linked(there, 120.0, most)
        for one, other in before.keys() | now.keys():
            # Light goes from 0 to 1 over a share of the distance, at most 1.5 times as steeply in its middle.
            away = np.linalg.norm(there[:, one] - there[:, other])
            most_change = 0.02 + 3 * 1.5 * farthest / (float(kernels.links._MARGIN) * away)
            assert abs(before.get((one, other), 0.0) - now.get((one, other), 0.0)) < most_change
        before = now


def test_equally_near_ones_are_chosen_by_age_and_dark() -> None:
    places = np.array([[100.0, 90.0, 110.0], [100.0, 100.0, 100.0], [0.0, 0.0, 0.0]])
    assert linked(places, 50.0, 1) == {}  # both are as near: neither is nearer than whom it would displace
    assert set(linked(places, 50.0, 2)) == {(0, 1), (0, 2), (1, 2)}
