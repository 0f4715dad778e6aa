"""Onsets are found where they are, in every format, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecs_core.audio.features import analyze
from tests.ecs_core.audio.samples import F64, heard, hits, write_vorbis
from tests.media import write_song

TIMES = (0.5 + np.cumsum(np.random.Generator(np.random.Philox(6)).uniform(0.2, 0.7, 24))).round(4)
LENGTH = float(TIMES[-1]) + 1.0
FORMATS = [
    ("s.wav", 44_100),
    ("s.wav", 22_050),
    ("s.flac", 96_000),
    ("s.mp3", 44_100),
    ("s.m4a", 44_100),
    ("s.mp4", 44_100),
    ("s.ogg", 48_000),
]


def errors(found: F64, true: F64) -> F64:
    """Found minus true of every true onset."""
    assert len(found) == len(true), (found, true)
    return found - true


@pytest.mark.parametrize("kind", ["click", "kick"])
@pytest.mark.parametrize(("name", "rate"), FORMATS)
def test_hits_are_found_within_ten_milliseconds(tmp_path: Path, name: str, rate: int, kind: str) -> None:
    samples = hits(LENGTH, TIMES.tolist(), kind=kind, rate=rate)
    path = write_song(tmp_path / name, samples, rate=rate, picture=name == "s.mp4")
    off = errors(analyze(path).events["onsets"], TIMES)
    print(f"{name} {rate} {kind}: mean error {np.abs(off).mean() * 1e3:.2f} ms, bias {off.mean() * 1e3:.2f} ms")
    assert np.abs(off).mean() <= 0.010
    assert abs(off.mean()) <= 0.005


@pytest.mark.parametrize("kind", ["click", "kick"])
def test_hits_in_adts_are_late_by_the_encoder_delay(tmp_path: Path, kind: str) -> None:
    path = write_song(tmp_path / "song.aac", hits(LENGTH, TIMES.tolist(), kind=kind))
    off = errors(analyze(path).events["onsets"], TIMES + 1024 / 44_100)
    assert np.abs(off).mean() <= 0.010
    assert abs(off.mean()) <= 0.005


def test_hits_in_vorbis_are_found(tmp_path: Path) -> None:
    path = write_vorbis(tmp_path / "song.ogg", hits(LENGTH, TIMES.tolist(), kind="kick"))
    off = errors(analyze(path).events["onsets"], TIMES)
    assert np.abs(off).mean() <= 0.010
    assert abs(off.mean()) <= 0.005


def test_hits_of_different_strength_are_found() -> None:
    samples = sum(
        gain * hits(LENGTH, [time], kind="kick") for gain, time in zip(np.tile([1, 0.6, 0.35], 8), TIMES, strict=True)
    )
    assert np.abs(errors(heard(samples.astype(np.float32)).events["onsets"], TIMES)).mean() <= 0.010


def test_level_of_a_song_does_not_change_its_onsets() -> None:
    samples = hits(LENGTH, TIMES.tolist(), kind="kick")
    loud, quiet = heard(samples).events["onsets"], heard(samples * np.float32(0.01)).events["onsets"]
    np.testing.assert_allclose(loud, quiet, atol=1e-4)


def test_hit_at_the_very_start_is_found() -> None:
    found = heard(hits(3.0, [0.0, 1.0, 2.0])).events["onsets"]
    np.testing.assert_allclose(found, [0.0, 1.0, 2.0], atol=0.02)


def test_hit_just_before_the_end_is_found() -> None:
    found = heard(hits(3.0, [1.0, 2.0, 2.97])).events["onsets"]
    np.testing.assert_allclose(found, [1.0, 2.0, 2.97], atol=0.01)


def test_onsets_ascend_and_lie_within_the_song(demo_song: Path) -> None:
    analysis = analyze(demo_song)
    onsets = analysis.events["onsets"]
    assert len(onsets) > 10
    assert (np.diff(onsets) > 0.03).all()
    assert 0 <= onsets[0] <= onsets[-1] <= analysis.exact_duration
