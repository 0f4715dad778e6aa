"""The demo song is the same everywhere, of the length asked for, and goes from quiet to loud."""

from __future__ import annotations

import hashlib
import wave
from pathlib import Path

import numpy as np
import pytest

from services.cli.demo_song import BAR, DROP, INTRO, OUTRO, RATE, beat_times, compose, write_wav


@pytest.fixture(scope="module")
def song() -> np.ndarray:
    return compose()


def level(song: np.ndarray, first_bar: int, last_bar: int) -> float:
    part = song[:, round(first_bar * BAR * RATE) : round(last_bar * BAR * RATE)]
    return float(np.sqrt((part**2).mean()))


def test_song_is_the_same_every_time(song: np.ndarray) -> None:
    one, other = (hashlib.sha256(samples.tobytes()).hexdigest() for samples in (song, compose()))
    assert one == other


def test_song_is_twenty_seconds_of_stereo(song: np.ndarray) -> None:
    assert song.shape == (2, 20 * RATE)
    assert song.dtype == np.float32


@pytest.mark.parametrize("seconds", [0.1, 6.0, 45.5])
def test_song_has_the_length_asked_for(seconds: float) -> None:
    assert compose(seconds).shape == (2, round(seconds * RATE))


def test_song_does_not_clip(song: np.ndarray) -> None:
    assert 0.5 < np.abs(song).max() < 1.0
    assert abs(song.mean()) < 0.01


def test_song_is_never_silent_before_its_end(song: np.ndarray) -> None:
    quarters = song[:, : 19 * RATE].reshape(2, -1, RATE // 4)
    assert np.sqrt((quarters**2).mean(axis=(0, 2))).min() > 0.005


def test_drop_is_louder_than_the_intro_and_the_end(song: np.ndarray) -> None:
    assert level(song, DROP, OUTRO) > 1.2 * level(song, 0, INTRO)
    assert level(song, DROP, OUTRO) > 1.2 * level(song, OUTRO, 10)


def test_song_fades_out(song: np.ndarray) -> None:
    assert np.abs(song[:, -RATE // 50 :]).max() < 0.01


def test_both_channels_sound_and_differ(song: np.ndarray) -> None:
    left, right = (float(np.sqrt((side**2).mean())) for side in song)
    assert left == pytest.approx(right, rel=0.3)
    assert not np.array_equal(song[0], song[1])


def test_longer_song_repeats_the_form(song: np.ndarray) -> None:
    np.testing.assert_array_equal(compose(45)[:, 20 * RATE : 39 * RATE], song[:, : 19 * RATE])


def test_beats_come_every_half_second() -> None:
    np.testing.assert_array_equal(beat_times(2.0), [0.0, 0.5, 1.0, 1.5])


def test_file_holds_the_song(song: np.ndarray, tmp_path: Path) -> None:
    write_wav(tmp_path / "song.wav")
    with wave.open(str(tmp_path / "song.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    np.testing.assert_allclose(pcm / 32_767, song, atol=2e-5)
