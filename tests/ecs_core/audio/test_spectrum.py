"""The spectrum is librosa's, and takes no more memory for a longer song than what it keeps."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import librosa
import numpy as np
import pytest

from ecs_core.audio.rumble import LOWEST
from ecs_core.audio.spectrum import BANDS, HOP, MEL_BANDS, RATE, WINDOW, spectrum_of
from tests.ecs_core.audio.samples import F32, hits, spectrum


@pytest.fixture(scope="module")
def sound() -> F32:
    noise = np.random.Generator(np.random.Philox(8)).uniform(-0.3, 0.3, (1, 2 * RATE)).astype(np.float32)
    return noise + hits(2.0, [0.4, 1.3], kind="kick", rate=RATE)[:1]


@pytest.fixture(scope="module")
def bins(sound: F32) -> F32:
    """Amplitudes by librosa: (513, hops)."""
    stft = librosa.stft(sound[0], n_fft=WINDOW, hop_length=HOP, window="hann", center=True, pad_mode="constant")
    return np.abs(stft) * np.float32(4 / WINDOW)


def test_mel_spectrogram_equals_librosa(sound: F32, bins: F32) -> None:
    expected = librosa.filters.mel(sr=RATE, n_fft=WINDOW, n_mels=MEL_BANDS, fmin=27.5, fmax=RATE / 2, htk=True) @ bins
    found = spectrum(sound, rate=RATE).mel
    np.testing.assert_allclose(found[: expected.shape[1]], 1000 * expected.T, atol=1e-4, rtol=2**-11)  # it is float16


def test_bands_equal_librosa(sound: F32, bins: F32) -> None:
    found = spectrum(sound, rate=RATE).bands
    frequencies = librosa.fft_frequencies(sr=RATE, n_fft=WINDOW)
    for number, (low, high) in enumerate(BANDS.values()):
        lowest = 0 if low == LOWEST else low  # rumble is removed before, and the first bin has a part of the bass
        expected = np.sqrt((bins[(frequencies >= lowest) & (frequencies < high)] ** 2).sum(axis=0))
        np.testing.assert_allclose(found[: len(expected), number], expected, rtol=1e-4, atol=1e-6)


def test_centroid_equals_librosa(sound: F32, bins: F32) -> None:
    expected = librosa.feature.spectral_centroid(S=bins**2, sr=RATE, n_fft=WINDOW)[0]
    np.testing.assert_allclose(spectrum(sound, rate=RATE).centroid[: len(expected)], expected, rtol=1e-3)


def test_full_scale_sine_has_amplitude_one() -> None:
    t = np.arange(RATE) / RATE
    found = spectrum(np.sin(2 * np.pi * 1500 * t)[None].astype(np.float32), rate=RATE)
    assert np.sqrt(2 / 3) * found.bands[20:60, 3] == pytest.approx(1.0, abs=0.02)  # of which the window keeps 2/3
    assert found.centroid[40] == pytest.approx(1500, abs=5)


def test_hops_cover_the_whole_song() -> None:
    for samples in (1, 255, 256, 257, 70_000, 65_536 + 1024):
        found = spectrum(np.ones((1, samples), np.float32), rate=RATE)
        assert (len(found.mel) - 1) * HOP >= samples - 1 - HOP
        assert len(found.mel) == len(found.bands) == len(found.rms) == len(found.centroid)
        assert (found.samples, found.rate) == (samples, RATE)


def test_spectrum_does_not_depend_on_block_size(sound: F32) -> None:
    one, other = spectrum(sound, rate=RATE, block=300), spectrum(sound, rate=RATE, block=44_100)
    np.testing.assert_allclose(one.mel, other.mel, atol=1e-3, rtol=2**-10)
    np.testing.assert_allclose(one.bands, other.bands, atol=1e-5)


def _peak(minutes: int) -> int:
    """Bytes held at most while a song streams by."""
    block = np.random.Generator(np.random.Philox(9)).uniform(-0.5, 0.5, (2, 4096)).astype(np.float32)

    def blocks() -> Iterator[F32]:
        for _ in range(minutes * 60 * RATE // 4096):
            yield block

    tracemalloc.start()
    spectrum_of(blocks(), rate=RATE, layout="stereo")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_grows_only_by_the_kept_curves() -> None:
    _peak(1)
    growth = _peak(5) - _peak(1)
    print(f"{growth / 2**20:.1f} MiB for four minutes more")
    assert growth < 8 * 2**20  # 1.4 MB a minute are kept; the samples themselves would be 20
