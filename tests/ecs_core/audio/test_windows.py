"""Medians and maxima of what surrounds each value, compared with scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from ecs_core.audio.windows import Outside, around, medians

FINITE = st.floats(0, 1, width=32)
ROWS = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=FINITE)


@settings(deadline=None)
@given(ROWS, st.sampled_from([1, 3, 5, 9, 17, 19]), st.sampled_from(["constant", "edge"]))
def test_medians_are_those_of_scipy(rows: np.ndarray, width: int, outside: Outside) -> None:
    mode = {"constant": "constant", "edge": "nearest"}[outside]
    expected = ndimage.median_filter(rows, (1, width), mode=mode)
    assert np.array_equal(medians(rows, width, outside=outside), expected)


def test_medians_can_mirror_what_is_outside() -> None:
    rows = np.random.default_rng(1).uniform(0, 1, (5, 64)).astype(np.float32)
    expected = ndimage.median_filter(rows, (1, 17), mode="mirror")
    assert np.array_equal(medians(rows, 17, outside="reflect"), expected)


@pytest.mark.parametrize("length", [1, 2, 5, 30])
def test_around_are_the_values_that_maxima_are_taken_of(length: int) -> None:
    values = np.random.default_rng(length).uniform(0, 1, length)
    found = around(values, 5, outside="constant")
    assert found.shape == (length, 5)
    assert np.array_equal(found.max(axis=1), ndimage.maximum_filter1d(values, 5, mode="constant"))
