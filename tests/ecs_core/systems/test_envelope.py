"""Events as bindings see them: at exact times, the same at any frame rate; ahead of the song, or moved to the beat."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ecs_core.audio.timeline import EVENTS, FEATURES, FeatureTimeline
from ecs_core.ecs.components import Drag
from ecs_core.errors import SceneError
from ecs_core.systems.audio_reaction import Binding
from ecs_core.systems.envelope import LEAD, RELEASE, envelope, grid_of, held, quantised

SECONDS = 4
KICKS = [0.5, 0.73, 1.0, 2.518, 2.6, 3.3331]
KICK = Binding("kicks", Drag, "rate", release=0.2)


def song(
    fps: Fraction | int, strengths: dict[str, list[float]] | None = None, **events: list[float]
) -> FeatureTimeline:
    frames = int(SECONDS * Fraction(fps))
    times: dict[str, Any] = {name: np.asarray(events.get(name, ()), np.float64) for name in EVENTS}
    features = {name: np.zeros(frames, np.float32) for name in FEATURES}
    strong = {name: np.asarray(values, np.float32) for name, values in (strengths or {}).items()}
    return FeatureTimeline(Fraction(fps), frames, float(SECONDS), 120.0, features, times, strong)


@pytest.mark.parametrize(
    "binding",
    [
        KICK,
        replace(KICK, attack=0.1),
        replace(KICK, attack=0.3, release=1.0, gain=-3.0),
        replace(KICK, look_ahead=0.07),
        replace(KICK, quantise="beat"),
        replace(KICK, quantise="quarter", look_ahead=-0.2),
    ],
)
def test_event_envelope_does_not_depend_on_the_frame_rate(binding: Binding) -> None:
    beats = np.arange(0.1, SECONDS, 0.5).tolist()
    at = {fps: binding.course(song(fps, kicks=KICKS, beats=beats)) for fps in (24, 30, 60)}
    assert np.abs(at[60]).max() > 0.5
    np.testing.assert_array_equal(at[30], at[60][::2])
    np.testing.assert_allclose(at[24][::4], at[30][::5], rtol=1e-6)  # six times a second
    np.testing.assert_allclose(at[24][::2], at[60][::5], rtol=1e-6)


def test_event_is_one_at_its_time_and_decays_with_release() -> None:
    course = KICK.course(song(30, kicks=[1.0]))
    assert (course[:30] == 0).all()
    assert course[30] == 1
    assert course[36] == pytest.approx(np.exp(-1), rel=1e-5)


def test_event_rises_within_attack() -> None:
    course = replace(KICK, attack=0.1, release=10.0).course(song(120, kicks=[1.0]))
    assert course[119:132].tolist() == pytest.approx([min(1, step / 12) for step in range(13)], abs=0.01)


@pytest.mark.parametrize("fps", [24, 30, 60, Fraction(30_000, 1001)])
def test_events_are_seen_within_half_a_frame_on_average(fps: Fraction | int) -> None:
    times = np.arange(0.1, SECONDS - 0.2, 0.3717).tolist()
    course = KICK.course(song(fps, kicks=times))
    late = [float(np.flatnonzero(course[int(time * fps) :] > 0.5)[0] + int(time * fps) - time * fps) for time in times]
    assert abs(np.mean(late)) < 0.5
    assert max(late) < 1.0


def test_peak_of_every_event_is_seen_at_thirty_frames_a_second() -> None:
    times = np.arange(0.1, SECONDS - 0.2, 0.3717)
    course = replace(KICK, release=0.15).course(song(30, kicks=times.tolist()))
    for time in times:
        assert course[int(time * 30) : int(time * 30) + 3].max() > 0.8


def test_event_without_release_is_visible() -> None:
    course = replace(KICK, release=0.0).course(song(24, kicks=[1.02]))
    assert course.max() == pytest.approx(np.exp(-(25 / 24 - 1.02) / RELEASE), rel=1e-4)


def test_overlapping_events_take_the_maximum() -> None:
    values = envelope(np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2]), np.array([1.0, 0.1]), attack=0.0, release=0.2)
    np.testing.assert_allclose(values, [1, np.exp(-0.5), np.exp(-1)])


def test_event_height_is_its_strength_above_the_threshold() -> None:
    line = song(10, {"kicks": [1.0, 0.5, 0.2]}, kicks=[1.0, 2.0, 3.0])
    assert KICK.course(line)[[10, 20, 30]] == pytest.approx([1, 0.5, 0.2], rel=1e-5)
    assert replace(KICK, threshold=0.4).course(line)[[10, 20, 30]] == pytest.approx([1, 0.5, 0.0], abs=0.01)


@pytest.mark.parametrize("source", ["kick", "kicks"])
def test_singular_event_names_are_accepted(source: str) -> None:
    assert replace(KICK, source=source).course(song(30, kicks=[1.0]))[30] == 1


def test_unknown_source_error_lists_features_and_events() -> None:
    with pytest.raises(SceneError, match=r"'cowbell': no such feature; there are: .*bass.*; and events: .*kicks"):
        replace(KICK, source="cowbell").course(song(30))


def test_look_ahead_of_a_feature_is_by_whole_frames() -> None:
    line = song(30)
    line.features["bass"][60] = 1
    ahead = Binding("bass", Drag, "rate", look_ahead=0.2).course(line)
    assert np.flatnonzero(ahead).tolist() == [54]


def test_quantised_events_snap_to_the_nearest_beat() -> None:
    beats = np.array([0.0, 0.5, 1.0])
    times, heights = quantised(np.array([0.1, 0.4, 0.55, 9.0]), np.array([1.0, 0.2, 0.8, 0.6]), beats)
    assert times.tolist() == [0.0, 0.5, 1.0]
    assert heights.tolist() == [1.0, 0.8, 0.6]


def test_grid_has_bars_beats_or_parts_of_beats() -> None:
    beats, downbeats = np.array([0.0, 0.5, 1.1]), np.array([0.5])
    assert grid_of(beats, downbeats, "bar").tolist() == [0.5]
    assert grid_of(beats, downbeats, "beat").tolist() == beats.tolist()
    assert grid_of(beats, downbeats, "half").tolist() == pytest.approx([0, 0.25, 0.5, 0.8, 1.1])
    assert len(grid_of(beats, downbeats, "quarter")) == 9


def test_without_beats_nothing_is_quantised() -> None:
    assert quantised(np.array([1.0]), np.array([1.0]), np.zeros(0))[0].tolist() == [1.0]
    assert replace(KICK, quantise="bar").course(song(30, kicks=[1.0]))[30] == 1


def test_quantised_feature_is_held_from_beat_to_beat() -> None:
    values, times = np.array([5.0, 1, 3, 2, 4, 6], np.float32), np.arange(6) / 10
    assert held(values, times, np.array([0.1, 0.3])).tolist() == [5, 2, 2, 4, 4, 4]


def test_lead_is_at_most_half_a_frame_at_60_fps() -> None:
    assert LEAD * 60 <= 0.5 + 1e-9
