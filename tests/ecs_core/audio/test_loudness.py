"""Loudness is that of BS.1770: as pyloudnorm measures it, and as EBU Tech 3341 says of its test signals."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from ecs_core.audio import loudness
from ecs_core.audio.meters import Meters
from ecs_core.song_file.layouts import default_layout
from services.cli.demo_song import RATE, compose
from tests.ecs_core.audio.samples import F32
from tests.media import noise


def energy_of(samples: F32, rate: int, *, block: int = 4096, layout: str = "") -> np.ndarray:
    layout = layout or default_layout(len(samples))
    meters = Meters(rate=rate, layout=layout, hop=256 / 22_050)
    for at in range(0, samples.shape[1], block):
        meters.take(samples[:, at : at + block])
    return loudness.together(meters.finish().loudness, layout)


def sine(seconds: float, level: float, *, rate: int = 48_000, channels: int = 2) -> F32:
    """1 kHz at so many dBFS (of its peak)."""
    t = np.arange(round(seconds * rate)) / rate
    return np.tile(10 ** (level / 20) * np.sin(2 * np.pi * 1000 * t), (channels, 1)).astype(np.float32)


def by_pyloudnorm(samples: F32, rate: int) -> float:
    return float(pyloudnorm.Meter(rate).integrated_loudness(samples.T.astype(np.float64)))


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_integrated_loudness_equals_pyloudnorm_at_any_rate(rate: int) -> None:
    import soxr

    song = soxr.resample(compose(12.0).T, RATE, rate).T.astype(np.float32)
    assert loudness.integrated(energy_of(song, rate)) == pytest.approx(by_pyloudnorm(song, rate), abs=0.1)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_integrated_loudness_equals_pyloudnorm_for_any_channels(channels: int) -> None:
    song = noise(6.0, channels=channels) * np.linspace(0.01, 1, 6 * 48_000, dtype=np.float32)
    song *= np.linspace(0.3, 1, channels, dtype=np.float32)[:, None]
    assert loudness.integrated(energy_of(song, 48_000)) == pytest.approx(by_pyloudnorm(song, 48_000), abs=0.1)


def test_quiet_passages_do_not_count() -> None:
    """EBU Tech 3341, cases 3 and 4."""
    parts = [sine(10, -36), sine(60, -23), sine(10, -36)]
    assert loudness.integrated(energy_of(np.concatenate(parts, axis=1), 48_000)) == pytest.approx(-23, abs=0.1)
    parts = [sine(10, -72), *parts, sine(10, -72)]
    assert loudness.integrated(energy_of(np.concatenate(parts, axis=1), 48_000)) == pytest.approx(-23, abs=0.1)


def test_low_frequency_effects_do_not_count() -> None:
    song = sine(3, -20, channels=6)
    song[[0, 1, 2, 4, 5]] = 0
    assert loudness.integrated(energy_of(song, 48_000)) == loudness.SILENCE


def test_momentary_and_short_term_loudness_follow_the_signal() -> None:
    song = np.concatenate([sine(5, -40), sine(5, -20)], axis=1)
    energy = energy_of(song, 48_000)
    momentary, short = loudness.momentary(energy), loudness.short_term(energy)
    assert len(momentary) == len(short) == 101
    assert momentary[[30, 80]] == pytest.approx([-40, -20], abs=0.1)
    assert short[[30, 80]] == pytest.approx([-40, -20], abs=0.1)
    assert momentary[50] == pytest.approx(-23, abs=0.2)  # half of what is around is loud


def test_loudness_does_not_depend_on_block_size() -> None:
    song = compose(4.0)
    one, other = energy_of(song, RATE, block=997), energy_of(song, RATE, block=100_000)
    np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.parametrize("samples", [0, 1, 4409, 4411])
def test_very_short_song_is_measured(samples: int) -> None:
    energy = energy_of(np.ones((1, samples), np.float32), 44_100, block=1000)
    assert len(energy) == -(-samples // 4410)
    assert np.isfinite(loudness.momentary(energy)).all()
    assert np.isfinite(loudness.integrated(energy))
