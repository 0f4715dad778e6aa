"""Timelines in files are those that were saved, and processes share their memory."""

from __future__ import annotations

import pickle
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ecs_core.audio.features import analyze
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.rendering.timeline_file import save_timeline


@pytest.fixture(params=["mapped", "read"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecs_core.rendering.timeline_file.POSIX", request.param == "mapped")


@pytest.mark.parametrize("start", [Fraction(0), Fraction(3, 2)])
def test_loaded_timeline_is_the_saved_one(demo_song: Path, tmp_path: Path, start: Fraction) -> None:
    timeline = analyze(demo_song).timeline(Fraction(30), 60, start=start)
    assert bool(timeline.lead) == bool(start)
    loaded = pickle.loads(pickle.dumps(save_timeline(timeline, tmp_path / "timeline.npy"))).load()
    for kind in ("features", "lead", "events", "strengths"):
        one, other = getattr(timeline, kind), getattr(loaded, kind)
        assert list(one) == list(other)
        for name in one:
            assert one[name].dtype == other[name].dtype
            np.testing.assert_array_equal(one[name], other[name])
    nothing: dict[str, np.ndarray] = {}
    one, other = (replace(each, features=nothing, lead=nothing, events={}, strengths={}) for each in (timeline, loaded))
    assert str(one) == str(other)


def test_what_is_sent_to_processes_does_not_grow_with_the_video(tmp_path: Path) -> None:
    sizes = [
        len(pickle.dumps(save_timeline(FeatureTimeline.silence(Fraction(60), frames), tmp_path / "timeline.npy")))
        for frames in (60, 60_000)
    ]
    assert sizes[1] < sizes[0] + 100


def test_loaded_features_cannot_be_changed(tmp_path: Path) -> None:
    loaded = save_timeline(FeatureTimeline.silence(Fraction(30), 3), tmp_path / "timeline.npy").load()
    with pytest.raises(ValueError, match="read-only"):
        loaded.features["bass"][0] = 1
