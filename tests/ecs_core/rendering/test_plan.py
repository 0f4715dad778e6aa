"""Where a video is cut: every frame exactly once, the same cut for everybody, shorter towards the end."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import Scene, SceneError
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.rendering.plan import cut, make_plan, with_levels
from tests.media import SMALL


@settings(deadline=None)  # the machine may be busy
@given(frames=st.integers(1, 20_000), longest=st.integers(1, 2_000))
def test_cut_covers_every_frame_exactly_once(frames: int, longest: int) -> None:
    segments = cut(frames, longest)
    assert [segment.number for segment in segments] == list(range(len(segments)))
    assert segments[0].start == 0
    assert segments[-1].stop == frames
    assert all(before.stop == after.start for before, after in pairwise(segments))


@settings(deadline=None)  # the machine may be busy
@given(frames=st.integers(1, 20_000), longest=st.integers(1, 2_000))
def test_segments_taper(frames: int, longest: int) -> None:
    lengths = [segment.stop - segment.start for segment in cut(frames, longest)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] <= longest
    assert all(length >= max(1, longest // 4) for length in lengths[:-1])
    assert lengths[-1] >= 1


def test_last_segments_are_short() -> None:
    # Or one worker would render for two seconds while all others have nothing to do.
    lengths = [segment.stop - segment.start for segment in cut(900, 60)]
    assert lengths[0] == 60
    assert max(lengths[-4:]) <= 17


def test_cut_does_not_depend_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, settings = Scene("snow", config={**SMALL, "duration": 10.0}).resolve()
    here = make_plan(kind, settings, None).segments
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert make_plan(kind, settings, None).segments == here


def test_group_of_pictures_is_as_long_as_a_segment() -> None:
    kind, settings = Scene("snow", config={**SMALL, "duration": 10.0, "fps": "30000/1001"}).resolve()
    plan = make_plan(kind, settings, None, segment_seconds=1.0)
    assert plan.video.gop == 30
    assert plan.frames == 300
    assert plan.segments[0].stop == 30


def test_bass_is_high_above_its_threshold_not_at_it() -> None:
    _, settings = Scene(
        "enhanced", config={**SMALL, "bass_threshold": 0.5, "enhanced_mode": {"active": False}}
    ).resolve()
    bass = np.array([0.25, 0.5, 0.75], np.float32)
    timeline = FeatureTimeline.silence(settings.rate, 3).with_features({"bass": bass})
    heard = with_levels(timeline, settings).features
    assert heard["level"].tolist() == bass.tolist()
    assert heard["bass_high"].tolist() == [0, 0, 1]


def test_silence_needs_a_duration() -> None:
    kind, settings = Scene("snow", "song.wav", {**SMALL, "duration": "audio"}).resolve()
    assert settings.frames(Fraction(0)) == 0
    with pytest.raises(SceneError, match="shorter than one frame"):
        make_plan(kind, settings, None)
