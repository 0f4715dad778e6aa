"""Tempo and beats are those of the song."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from ecs_core.audio.analysis import Analysis
from ecs_core.audio.beats import beat_phase, beats_of, tempo_of
from ecs_core.audio.onsets import Rise
from services.cli.demo_song import RATE, beat_times, compose
from tests.ecs_core.audio.samples import f_measure, heard, hits


@pytest.fixture(scope="module")
def demo() -> Analysis:
    return heard(compose(), rate=RATE)


def test_tempo_of_the_demo_song_is_found(demo: Analysis) -> None:
    assert demo.tempo == pytest.approx(120, rel=0.001)


def test_tempo_is_that_of_the_beat_grid() -> None:
    rng = np.random.Generator(np.random.Philox(4))
    beats = np.arange(90) * 0.5 + rng.choice([-0.005, 0.005, 0.007], 90)
    paused = np.delete(beats, np.arange(30, 40))
    for each in (beats, paused):
        assert tempo_of(each) == pytest.approx(120, abs=0.05)
    assert tempo_of(beats[:2]) == 0


def test_tempo_of_changing_beats_is_the_median() -> None:
    beats = np.cumsum([0.5] * 40 + [0.4] * 50)
    assert tempo_of(beats) == pytest.approx(150)


def test_beats_of_the_demo_song_are_found_while_drums_play(demo: Analysis) -> None:
    beats, true = demo.events["beats"], beat_times()
    beats, true = (times[(times >= 3.95) & (times < 17.95)] for times in (beats, true))
    score = f_measure(beats, true, 0.05)
    print(f"F {score:.3f}")
    assert score >= 0.9


def test_beats_are_unbiased(demo: Analysis) -> None:
    beats = demo.events["beats"]
    off = beats - np.round(beats / 0.5) * 0.5
    assert abs(np.median(off)) < 0.005


@pytest.mark.parametrize("tempo", [70, 90, 105, 120, 135, 150, 165])
@pytest.mark.parametrize("kind", ["click", "kick"])
def test_metronome_is_followed_at_its_octave(kind: str, tempo: float) -> None:
    true = np.arange(0.25, 16.0, 60 / tempo)
    analysis = heard(hits(16.5, true.tolist(), kind=kind))
    assert analysis.tempo == pytest.approx(tempo, rel=0.02)
    assert f_measure(analysis.events["beats"], true, 0.05) >= 0.9


def test_beats_ascend_within_the_song(demo: Analysis) -> None:
    beats = demo.events["beats"]
    assert (np.diff(beats) > 0.2).all()
    assert 0 <= beats[0] <= beats[-1] <= demo.exact_duration


def test_beat_phase_rises_from_zero_to_one_between_beats(demo: Analysis) -> None:
    beats = demo.events["beats"]
    for here, following in itertools.pairwise(beats):
        phase = beat_phase(beats, np.linspace(here, following, 9)[:-1])
        np.testing.assert_allclose(phase, np.arange(8) / 8, atol=1e-5)


def test_beat_phase_is_extrapolated_at_both_ends() -> None:
    phase = beat_phase(np.array([1.0, 1.5, 2.0]), np.array([0.0, 0.25, 0.75, 2.25, 3.125]))
    np.testing.assert_allclose(phase, [0, 0.5, 0.5, 0.5, 0.25], atol=1e-6)


def test_beat_phase_in_the_timeline_wraps_once_per_beat(demo: Analysis) -> None:
    phase = demo.timeline(Fraction(60), 1200).features["beat_phase"]
    beats = demo.events["beats"]
    inside = phase[int(beats[0] * 60) + 1 : int(beats[-1] * 60) + 1]
    assert (np.diff(inside) < 0).sum() == pytest.approx(len(beats) - 1, abs=1)
    assert ((phase >= 0) & (phase < 1)).all()


def test_constant_signal_has_no_beats() -> None:
    for curve in (np.zeros(1000, np.float32), np.ones(1000, np.float32), np.zeros(0, np.float32)):
        found = beats_of(Rise(curve, curve, curve))
        assert found.times.size == 0
        assert (found.tempo, found.confidence) == (0.0, 0.0)


def test_single_hit_is_not_a_beat() -> None:
    analysis = heard(hits(6.0, [2.0], kind="kick"))
    assert analysis.events["beats"].size == 0
    assert analysis.tempo == 0.0


def test_silence_around_a_song_has_no_beats() -> None:
    beats = heard(hits(20.0, np.arange(5.0, 15.0, 0.5).tolist(), kind="kick")).events["beats"]
    assert len(beats) >= 18
    assert beats[0] > 4.8
    assert beats[-1] < 15.1
