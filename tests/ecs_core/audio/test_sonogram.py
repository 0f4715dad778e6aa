"""Pictures of the sound: bands of the spectrum, the wave of a moment, the outline of the song."""

from __future__ import annotations

import pickle
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ecs_core.audio import document, stored_rows
from ecs_core.audio.analysis import Analysis
from ecs_core.audio.bands import Bands, BandsWanted
from ecs_core.audio.momentary_wave import momentary_wave, outline_of
from ecs_core.audio.sonogram import TABLES, Sonogram, hertz_of, mels_between
from ecs_core.rendering.timeline_file import save_timeline
from services.cli.demo_song import compose
from tests.ecs_core.audio.samples import heard

RATE = 44_100
INSTANT = {"attack": 0.0, "release": 0.0}


def tone(hertz: float, seconds: float = 2.0, loud: float = 0.5) -> NDArray[np.float32]:
    at = np.arange(round(seconds * RATE)) / RATE
    wave = loud * np.sin(2 * np.pi * hertz * at) * np.clip(np.minimum(at, seconds - at) / 0.02, 0, 1)  # no clicks
    return np.tile(wave.astype(np.float32), (2, 1))


def sonogram(samples: NDArray[np.float32]) -> Sonogram:
    found = heard(samples).sonogram
    assert found is not None
    return found


@pytest.fixture(scope="module")
def song() -> Analysis:
    return heard(compose(20.0))


@pytest.fixture(scope="module")
def of_song(song: Analysis) -> Sonogram:
    assert song.sonogram is not None
    return song.sonogram


@pytest.mark.parametrize("count", [8, 24, 64, 120])
def test_tone_is_highest_in_the_band_that_it_lies_in(count: int) -> None:
    edges = hertz_of(mels_between(40, 10_000, count + 1))
    for hertz in (150.0, 440.0, 1000.0, 3000.0, 8000.0):
        bands = Bands(sonogram(tone(hertz)), BandsWanted(count)).at(1.0)
        band = int(np.searchsorted(edges, hertz) - 1)
        assert abs(int(np.argmax(bands)) - band) <= (1 if count > 64 else 0)
        assert bands[band] > 0.95
        assert bands[np.abs(np.arange(count) - band) > count / 4].max() < 0.1


def test_tones_as_loud_are_as_high_in_all_bands() -> None:
    tones = np.concatenate([tone(hertz) for hertz in (200, 800, 2500, 7000)], axis=1)
    bands = Bands(sonogram(tones), BandsWanted(24, **INSTANT))
    highest = [float(bands.at(1.0 + 2 * number).max()) for number in range(4)]
    assert min(highest) > 1 - 4 / 60  # 4 dB of 60


def test_decibels_below_the_loudest_are_shares_of_the_range() -> None:
    both = np.concatenate([tone(1000, loud=0.5), tone(1000, loud=0.05)], axis=1)
    for below in (40.0, 60.0):
        bands = Bands(sonogram(both), BandsWanted(24, below=below))
        assert float(bands.at(1.0).max()) == pytest.approx(1.0, abs=0.02)
        assert float(bands.at(3.0).max()) == pytest.approx(1 - 20 / below, abs=0.02)


def test_quiet_songs_are_as_high_as_loud_ones() -> None:
    loud, quiet = (Bands(sonogram(level * compose(4.0)), BandsWanted(24)) for level in (1.0, 0.01))
    np.testing.assert_allclose(quiet.at(2.0), loud.at(2.0), atol=0.02)


def test_tilt_raises_what_is_high() -> None:
    both = sonogram(tone(500) + tone(4000))
    plain, tilted = (Bands(both, BandsWanted(24, tilt=tilt, **INSTANT)).at(1.0) for tilt in (0.0, 4.0))
    low, high = (int(np.searchsorted(hertz_of(mels_between(40, 10_000, 25)), hertz) - 1) for hertz in (500, 4000))
    assert abs(plain[high] - plain[low]) < 3 / 60
    assert tilted[high] - tilted[low] == pytest.approx(12 / 60, abs=4 / 60)


def test_silence_gives_zeros() -> None:
    quiet = sonogram(np.zeros((2, RATE), np.float32))
    noise = np.random.default_rng(1).standard_normal((2, RATE)).astype(np.float32) * 1e-6
    for nothing in (None, quiet, sonogram(noise)):
        assert not Bands(nothing, BandsWanted(16)).at(0.5).any()
    for nothing in (None, quiet):
        assert not momentary_wave(nothing, 0.5, window=0.05, points=50).any()
        assert not outline_of(nothing, 0.0, 1.0, count=9).any()


def test_rise_and_fall_take_as_long_as_asked_for() -> None:
    silence = np.zeros((2, RATE), np.float32)
    bands = Bands(
        sonogram(np.concatenate([silence, tone(1000), silence], axis=1)), BandsWanted(16, attack=0.5, release=0.8)
    )
    at = np.arange(0, 4, 1 / 100)
    highest = np.array([bands.at(seconds).max() for seconds in at])
    rise = np.interp([0.2, 0.8], highest[:200], at[:200])
    assert rise[1] - rise[0] == pytest.approx(0.6 * 0.5, abs=0.02)
    fall = np.interp([-0.8, -0.2], -highest[290:], at[290:])
    assert fall[1] - fall[0] == pytest.approx(0.6 * 0.8, abs=0.02)


def test_moments_are_the_same_at_any_frame_rate_and_in_any_order(of_song: Sonogram) -> None:
    wanted = BandsWanted(40, attack=0.1, release=1.5)
    whole = Bands(of_song, wanted)
    at_60 = {frame / 60: whole.at(frame / 60) for frame in range(0, 20 * 60)}
    for fps in (24, 30):
        for frame in range(20 * fps, 0, -fps // 4):
            moment = frame / fps
            alone = Bands(of_song, wanted).at(moment)
            np.testing.assert_array_equal(alone, whole.at(moment))
            if moment in at_60:
                np.testing.assert_array_equal(alone, at_60[moment])


@pytest.mark.parametrize("start", [0.0, 3.0, 12.3])
def test_part_of_a_song_looks_as_in_the_whole(
    monkeypatch: pytest.MonkeyPatch, song: Analysis, of_song: Sonogram, start: float
) -> None:
    monkeypatch.setattr("ecs_core.audio.sonogram.LONGEST_MEMORY", 2.0)
    timeline = song.timeline(Fraction(30), 60, start=Fraction(str(start)), pictured=True)
    part = timeline.sonogram
    assert part is not None
    assert len(part.levels) < 7 * 87
    wanted = BandsWanted(30, attack=0.2, release=1.5)
    for frame in range(60):
        moment = timeline.time(frame)
        np.testing.assert_array_equal(Bands(part, wanted).at(moment), Bands(of_song, wanted).at(moment))
        for closed in (False, True):
            one, other = (
                momentary_wave(each, moment, window=0.1, points=99, closed=closed) for each in (part, of_song)
            )
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(outline_of(part, 0, 20, count=50), outline_of(of_song, 0, 20, count=50))


def test_wave_of_a_tone_stands_still() -> None:
    whole = sonogram(tone(110))
    waves = [momentary_wave(whole, moment, window=0.04, points=201) for moment in (0.5, 0.5083, 0.9, 1.2345)]
    ideal = np.sin(2 * np.pi * 110 * np.linspace(-0.02, 0.02, 201))
    for wave in waves:
        np.testing.assert_allclose(wave, ideal, atol=0.03)


def test_wave_is_the_one_of_its_moment() -> None:
    both = sonogram(np.concatenate([tone(100), tone(300, loud=0.25)], axis=1))
    for moment, hertz, high in ((1.0, 100, 1.0), (3.0, 300, 0.5)):
        wave = momentary_wave(both, moment, window=0.1, points=1000)
        assert float(np.abs(wave).max()) == pytest.approx(high, abs=0.02)
        assert np.count_nonzero((wave[:-1] < 0) & (wave[1:] >= 0)) == pytest.approx(hertz * 0.1, abs=1)


def test_closed_wave_ends_where_it_begins(of_song: Sonogram) -> None:
    for moment in (0.0, 5.0, 9.77, 19.99):
        wave = momentary_wave(of_song, moment, window=0.06, points=400, closed=True)
        steps = np.abs(np.diff(wave))
        assert abs(wave[-1] - wave[0]) <= max(steps.max(), 1e-3)


def test_outline_shows_how_loud_each_part_is() -> None:
    whole = sonogram(np.concatenate([tone(500, loud=loud) for loud in (0.2, 0.8, 0.4)], axis=1))
    np.testing.assert_allclose(outline_of(whole, 0, 6, count=3), [0.25, 1, 0.5], atol=0.03)
    np.testing.assert_allclose(outline_of(whole, 4, 8, count=2), [1, 0], atol=0.06)


def test_files_give_the_sonogram_back(song: Analysis, of_song: Sonogram, tmp_path: Path) -> None:
    document.save(song, tmp_path / "song.npz")
    loaded = document.load(tmp_path / "song.npz").sonogram
    (tmp_path / "song.npz").unlink()
    timeline = song.timeline(Fraction(30), 600, pictured=True)
    sent = pickle.loads(pickle.dumps(save_timeline(timeline, tmp_path / "timeline.npy"))).load().sonogram
    assert loaded is not None
    for back in (loaded, sent):
        assert (back.peak, back.begin) == (of_song.peak, 0)
        np.testing.assert_array_equal(back.loudest, of_song.loudest)
        for name in TABLES:
            one, other = getattr(back, name)[:], getattr(of_song, name)[:]
            np.testing.assert_array_equal(one, other[: len(one)])
            assert len(one) == len(other)


def test_timelines_have_none_where_nothing_shows_it(song: Analysis, tmp_path: Path) -> None:
    timeline = song.timeline(Fraction(30), 60)
    assert timeline.sonogram is None
    save_timeline(timeline, tmp_path / "timeline.npy")
    assert [file.name for file in tmp_path.iterdir()] == ["timeline.npy"]


def test_analyses_without_a_sonogram_are_loaded(song: Analysis, tmp_path: Path) -> None:
    document.save(replace(song, sonogram=None), tmp_path / "earlier.npz")
    back = document.load(tmp_path / "earlier.npz")
    assert back.sonogram is None
    assert back.timeline(Fraction(30), 30, pictured=True).sonogram is None


def test_memory_does_not_grow_with_the_song(monkeypatch: pytest.MonkeyPatch, song: Analysis, tmp_path: Path) -> None:
    """What an hour has of rows stays in files, from the analysis to the frames."""
    monkeypatch.setattr(stored_rows, "IN_MEMORY", 1)

    def most(minutes: int) -> int:
        assert song.sonogram is not None
        tables: dict[str, Any] = {}
        for name in ("levels", "wave"):
            once = getattr(song.sonogram, name)[:]
            tables[name] = stored_rows.StoredRows(once.shape[1], np.uint8)
            for _ in range(3 * minutes):
                tables[name].append(once)
        long = replace(song, sonogram=replace(song.sonogram, **tables), exact_duration=Fraction(60 * minutes))
        tracemalloc.start()
        try:
            document.save(long, tmp_path / "long.npz")
            back = document.load(tmp_path / "long.npz").timeline(Fraction(1), 60 * minutes, lazily=True, pictured=True)
            loaded = save_timeline(back, tmp_path / "timeline.npy").load()
            bands = Bands(loaded.sonogram, BandsWanted(64))
            for minute in range(minutes):
                bands.at(60.0 * minute)
                momentary_wave(loaded.sonogram, 60.0 * minute, window=0.1, points=500)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    most(1)
    assert most(20) < most(5) + 15 * 60 * 200  # 11 000 bytes a second would be all of it
