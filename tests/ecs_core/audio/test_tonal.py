"""Tones and strokes, pitch classes and keys, sides, air: each hears what it is named for."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from ecs_core.audio import stereo
from ecs_core.audio.catalogue import NOTES
from ecs_core.audio.filters import filter_banks
from ecs_core.audio.spectrum import CHROMA_HOP, CHROMA_WINDOW, HOP, RATE, WINDOW
from ecs_core.audio.tonal import harmonic_share, key_of, pitch_classes
from services.cli.demo_song import RATE as DEMO_RATE
from services.cli.demo_song import compose
from tests.ecs_core.audio.samples import F32, heard, hits, spectrum
from tests.media import noise

C_MAJOR, A_MINOR = (
    ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67)),
    ((57, 60, 64), (62, 65, 69), (64, 68, 71), (57, 60, 64)),
)


def tones(*notes: float, seconds: float = 1.0, rate: int = RATE) -> F32:
    """Notes (MIDI) at once, with some harmonics: (1, samples)."""
    t = np.arange(round(seconds * rate)) / rate
    pitches = [440 * 2 ** ((note - 69) / 12) for note in notes]
    sound = sum(np.sin(2 * np.pi * pitch * harmonic * t) / harmonic for pitch in pitches for harmonic in (1, 2, 3))
    return (0.1 * np.asarray(sound))[None].astype(np.float32)


@pytest.mark.parametrize("note", [45, 48, 54, 60, 69, 75, 83])
def test_pitch_class_of_a_note_is_strongest_in_any_octave(note: int) -> None:
    chroma = pitch_classes(spectrum(tones(note), rate=RATE).chroma)
    middle = chroma[len(chroma) // 2]
    assert NOTES[int(middle.argmax())] == NOTES[note % 12]
    assert middle.max() == 1
    assert np.sort(middle)[-3] < 0.6


def test_pitch_classes_equal_librosa() -> None:
    sound = compose(3.0).mean(axis=0)
    sound = librosa.resample(sound, orig_sr=DEMO_RATE, target_sr=RATE, res_type="soxr_hq")
    bins = np.abs(librosa.stft(sound, n_fft=CHROMA_WINDOW, hop_length=CHROMA_HOP, pad_mode="constant")) * (
        4 / CHROMA_WINDOW
    )
    expected = np.sqrt(filter_banks().chroma.T @ (bins**2)).T
    found = spectrum(sound[None].astype(np.float32), rate=RATE).chroma
    np.testing.assert_allclose(found[: len(expected)], expected[: len(found)], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("chords", "key"), [(C_MAJOR, "C major"), (A_MINOR, "A minor")])
@pytest.mark.parametrize("up", [0, 3, 7])
def test_key_of_a_cadence_is_found(chords: tuple[tuple[int, ...], ...], key: str, up: int) -> None:
    sound = np.concatenate([tones(*(note + up for note in chord)) for chord in chords], axis=1)
    name, sure = key_of(spectrum(sound, rate=RATE).chroma)
    note, mode = key.split()
    assert name == f"{NOTES[(NOTES.index(note) + up) % 12]} {mode}"
    assert 0.2 < sure <= 1


def test_noise_has_low_key_confidence() -> None:
    assert key_of(spectrum(noise(3.0, rate=RATE, channels=1), rate=RATE).chroma)[1] < 0.3
    assert key_of(np.zeros((5, 12), np.float32)) == ("", 0.0)


def test_chord_is_harmonic_and_hits_are_percussive() -> None:
    chord = harmonic_share(spectrum(tones(57, 60, 64, seconds=3.0), rate=RATE).mel)
    clicks = spectrum(hits(3.0, np.arange(0.2, 2.9, 0.25).tolist(), rate=RATE), rate=RATE)
    strokes = harmonic_share(clicks.mel)[clicks.rms > 0.3 * clicks.rms.max()]
    assert chord[20:-20].min() > 0.8
    assert np.median(strokes) < 0.2


def test_harmonic_share_does_not_depend_on_block_boundaries() -> None:
    mel = np.abs(np.random.Generator(np.random.Philox(4)).standard_normal((3001, 64))).astype(np.float16)
    whole = harmonic_share(mel)
    assert len(whole) == 3001
    np.testing.assert_allclose(harmonic_share(mel[500:])[100:-100], whole[600:-100], atol=1e-5)


def test_flatness_equals_librosa() -> None:
    sound = noise(1.0, rate=RATE, channels=1)
    bins = np.abs(librosa.stft(sound[0], n_fft=WINDOW, hop_length=HOP, pad_mode="constant"))
    expected = librosa.feature.spectral_flatness(S=bins, amin=1e-10)[0]
    np.testing.assert_allclose(spectrum(sound, rate=RATE).flatness[4:80], expected[4:80], rtol=1e-3)
    assert spectrum(tones(69), rate=RATE).flatness[40] < 1e-4


def test_width_is_zero_for_mono_half_for_independent_and_one_out_of_phase() -> None:
    one, other = noise(2.0, rate=RATE)
    for right, width in ((one, 0.0), (other, 0.5), (-one, 1.0)):
        measured = spectrum(np.stack([one, right]), rate=RATE).measured.stereo
        assert stereo.width(measured)[5:-5].mean() == pytest.approx(width, abs=0.02)


@pytest.mark.parametrize(("left", "right", "balance"), [(1, 0, -1), (0, 1, 1), (1, 1, 0), (1, 0.5, -0.6)])
def test_balance_leans_to_the_louder_side(left: float, right: float, balance: float) -> None:
    sound = noise(1.0, rate=RATE, channels=1)[0]
    measured = spectrum(np.stack([left * sound, right * sound]).astype(np.float32), rate=RATE).measured.stereo
    np.testing.assert_allclose(stereo.balance(measured), balance, atol=1e-3)


def test_air_is_the_band_above_ten_kilohertz() -> None:
    t = np.arange(44_100) / 44_100
    for pitch, level in ((8_000, 0.0), (14_000, 0.5**0.5), (18_000, 0.5**0.5)):
        air = spectrum(np.sin(2 * np.pi * pitch * t)[None].astype(np.float32)).measured.air
        assert air[10:-10] == pytest.approx(level, abs=0.02)


def test_air_comes_when_the_hat_does() -> None:
    song = np.zeros((1, 44_100), np.float32)
    song[0, 22_050:22_550] = noise(1.0, channels=1)[0, :500]
    curve = heard(song).curves["air"]
    assert int(curve.argmax()) * HOP / RATE == pytest.approx(0.5 + 250 / 44_100, abs=HOP / RATE)


def test_song_at_a_low_rate_has_no_air() -> None:
    assert (spectrum(noise(1.0, rate=16_000), rate=16_000).measured.air == 0).all()
