"""Sound and picture of a finished video agree, whatever delay the song's format has; bench/sync.py, in short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.sync import FORMATS, click_times, measure


@pytest.mark.parametrize("name", FORMATS)
def test_flashes_come_with_their_clicks(tmp_path: Path, name: str) -> None:
    sync = measure(name, tmp_path, seconds=8.0)
    print(sync)
    assert sync.clicks == len(click_times(8.0))
    assert sync.missed == 0
    assert abs(sync.mean) <= 0.5
    assert -1.0 <= sync.earliest <= sync.latest <= 1.2


def test_clicks_favour_no_place_within_a_frame() -> None:
    within = np.modf(click_times(600.0) * 30_000 / 1001)[0]
    assert abs(within.mean() - 0.5) < 0.05
