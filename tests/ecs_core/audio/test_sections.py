"""Sections begin where the song changes, and those that are alike have the same letter; drops and what leads there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bench.music.forms import arrange, score
from ecs_core.audio.analysis import PHASES, Analysis
from ecs_core.audio.sections import find_drops
from services.cli.demo_song import INTRO, compose
from tests.ecs_core.audio.samples import F32, heard, hits
from tests.media import noise

RATE = 44_100


def part(kind: str, seconds: float) -> F32:
    """Kicks and a low chord; clicks and a high one; or noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    beats = np.arange(0, seconds - 0.1, 0.5).tolist()
    if kind == "low":
        chord = sum(0.1 * np.sin(2 * np.pi * pitch * t) for pitch in (110, 138.6, 164.8))
        return (hits(seconds, beats, kind="kick") + chord).astype(np.float32)
    if kind == "high":
        chord = sum(0.1 * np.sin(2 * np.pi * pitch * t) for pitch in (1568, 1976, 2349))
        return (0.5 * hits(seconds, beats) + chord).astype(np.float32)
    return 0.3 * noise(seconds, rate=RATE)


def song(*parts: tuple[str, float]) -> Analysis:
    return heard(np.concatenate([part(*each) for each in parts], axis=1))


def test_sections_are_found_and_labelled_by_similarity() -> None:
    analysis = song(("low", 16), ("high", 12), ("low", 16), ("noise", 10), ("high", 12))
    starts = analysis.events["sections"]
    assert starts == pytest.approx([0, 16, 28, 44, 54], abs=0.6)
    assert analysis.labels == ("A", "B", "A", "C", "B")


def test_uniform_song_is_one_section() -> None:
    analysis = song(("low", 30))
    assert analysis.events["sections"].tolist() == [0.0]
    assert analysis.labels == ("A",)


def test_silence_has_no_sections() -> None:
    analysis = heard(np.zeros((1, 20 * RATE), np.float32))
    assert analysis.events["sections"].size == 0
    assert analysis.labels == ()


def test_demo_song_sections_start_on_beats_and_its_drop_is_found() -> None:
    analysis = heard(compose())
    starts, drops = analysis.events["sections"], analysis.events["drops"]
    assert 3 <= len(starts) <= 6
    assert np.abs(starts - np.round(starts * 2) / 2).max() < 0.05
    assert drops == pytest.approx([INTRO * 2], abs=0.1)
    assert drops[0] in starts


def test_rise_before_a_drop_is_a_build_up() -> None:
    rise = part("high", 8) * np.linspace(0.05, 0.5, 8 * RATE, dtype=np.float32) + noise(8, rate=RATE) * np.linspace(
        0.0, 0.3, 8 * RATE, dtype=np.float32
    )
    analysis = heard(np.concatenate([part("low", 16), rise, part("low", 16)], axis=1))
    assert analysis.events["drops"] == pytest.approx([24], abs=0.2)
    (build,) = analysis.events["builds"]
    assert 8 <= build <= 21


def test_steady_bass_from_the_start_is_not_a_drop() -> None:
    assert song(("low", 30)).events["drops"].size == 0


def test_rise_over_continuous_bass_is_not_a_drop() -> None:
    rise = noise(8, rate=RATE) * np.linspace(0.0, 0.3, 8 * RATE, dtype=np.float32)
    analysis = heard(np.concatenate([part("low", 16), part("low", 8) + rise, part("low", 16)], axis=1))
    assert analysis.events["drops"].size == 0
    assert analysis.events["builds"].size == 0


def test_bass_returning_near_the_end_is_not_a_drop() -> None:
    assert song(("low", 16), ("high", 8), ("low", 3)).events["drops"].size == 0


def test_drop_is_at_the_first_kick_with_bass_and_starts_a_section() -> None:
    analysis = song(("low", 16), ("high", 8.5), ("low", 16))
    (drop,) = analysis.events["drops"]
    elsewhere = {**analysis.events, "downbeats": np.arange(0.1, 40, 2)}
    assert find_drops(analysis.curves, elsewhere)[1].tolist() == [drop]
    assert drop == pytest.approx(24.5, abs=0.02)
    assert drop in analysis.events["kicks"]
    assert drop in analysis.events["sections"]


def test_similar_neighbours_merge_except_at_a_drop() -> None:
    none = np.zeros((2, 3 * RATE), np.float32)
    pauses = heard(np.concatenate([part("low", 16), none, part("low", 16), none, part("low", 16)], axis=1))
    assert all(one != other for one, other in pairwise(pauses.labels))


def test_form_and_drops_of_an_arranged_song_are_found() -> None:
    arranged = arrange("club", 401)
    analysis = heard(arranged.sound[None])
    scores = score(arranged, analysis.events["sections"], analysis.labels, analysis.events["drops"])
    assert scores["drops true"] == scores["found"] == 1
    assert scores["begin 0.5 s"] >= 0.8
    assert scores["alike"] >= 0.6
    assert set(analysis.events["drops"]) <= set(analysis.events["sections"])


def test_phases_run_from_zero_to_one() -> None:
    events = {
        "beats": np.array([0.0, 0.5, 1.0]),
        "downbeats": np.array([0.0, 2.0]),
        "sections": np.array([0.0, 4.0]),
        "builds": np.array([1.0]),
        "drops": np.array([0.5, 3.0]),
    }
    times = np.array([0.25, 1.0, 2.0, 3.0, 5.5, 10.0])
    found = {name: phase(events, 10.0, times) for name, phase in PHASES.items()}
    assert found["beat_phase"][0] == pytest.approx(0.5)
    assert found["bar_phase"][[0, 1]] == pytest.approx([0.125, 0.5])
    assert found["section_phase"] == pytest.approx([0.0625, 0.25, 0.5, 0.75, 0.25, 0.0])
    assert found["build"] == pytest.approx([0, 0, 0.5, 0, 0, 0])


def test_long_song_has_a_bounded_number_of_steps() -> None:
    from ecs_core.audio.sections import _MOST, _steps

    edges = _steps(np.arange(0.0, 3600, 0.4), 3600.0)
    assert len(edges) <= _MOST + 2
    assert (np.diff(edges) > 0).all()
