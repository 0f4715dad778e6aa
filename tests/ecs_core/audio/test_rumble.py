"""What lies below 20 Hz, such as a DC offset, is no bass; songs without it keep their features bit for bit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ecs_core.audio.rumble import RumbleFilter
from ecs_core.audio.spectrum import RATE, RMS
from services.cli.demo_song import compose
from tests.ecs_core.audio.samples import F32, heard, hits, spectrum

KICKS = hits(8.0, [0.5 * k for k in range(1, 16)], kind="kick")


def bass_frames(song: F32) -> int:
    """Number of frames, of 240, in which the bass is over the guide's threshold."""
    return int((heard(song).timeline(Fraction(30), 240).features["bass"] > 0.3).sum())


def filtered(song: F32, *, size: int = 4096) -> list[F32]:
    rumble = RumbleFilter(RATE)
    pieces = [song[at : at + size] for at in range(0, len(song), size)]
    return [out for number, piece in enumerate(pieces, 1) for out in rumble.pieces(piece, last=number == len(pieces))]


@pytest.mark.parametrize("offset", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("loud", [1.0, 0.1])
def test_dc_offset_is_no_bass(offset: float, loud: float) -> None:
    assert bass_frames(KICKS) < 100
    assert bass_frames(np.float32(loud) * (KICKS + np.float32(offset))) < 100


@pytest.mark.parametrize(("pitch", "expected"), [(5, 0.0), (10, 0.0), (25, 0.36), (40, 0.36), (100, 0.36)])
def test_bands_begin_at_20_hz(pitch: int, expected: float) -> None:
    t = np.arange(4 * 44_100) / 44_100
    bands = spectrum(np.tile((0.5 * np.sin(2 * np.pi * pitch * t)).astype(np.float32), (2, 1))).bands
    assert float(bands[100:250, 1].mean()) * RMS == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("song", [compose(6.0)[0], KICKS[0]], ids=["song", "kicks"])
def test_song_without_rumble_stays_as_it_is(song: F32) -> None:
    np.testing.assert_array_equal(np.concatenate(filtered(song)), song)


def test_pieces_come_out_as_they_went_in() -> None:
    noise = np.random.Generator(np.random.Philox(3)).uniform(-0.1, 0.1, 200_001).astype(np.float32) + np.float32(0.5)
    out = filtered(noise, size=1000)
    assert [len(piece) for piece in out] == [1000] * 200 + [1]
    np.testing.assert_allclose(np.concatenate(out)[5000:-5000], noise[5000:-5000] - np.float32(0.5), atol=0.01)
    np.testing.assert_allclose(np.concatenate(filtered(noise, size=99_999)), np.concatenate(out), atol=1e-6)


@pytest.mark.parametrize("samples", [0, 1, 4095, 4096, 70_000])
def test_any_length_is_kept(samples: int) -> None:
    rumble = RumbleFilter(RATE)
    pieces = [*rumble.pieces(np.ones(samples, np.float32)), *rumble.pieces(np.zeros(0, np.float32), last=True)]
    assert sum(map(len, pieces)) == samples
