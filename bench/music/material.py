"""Sounds that are hard for an audio encoder in different ways, each as (channels, samples) float32 at 44.1 kHz."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from services.cli.demo_song import compose as demo_song

from . import instruments as play
from .compositions import compose
from .instruments import RATE, seconds

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))  # Hz: formants of a, i, u, e


def _stereo(left: F64, right: F64 | None = None) -> F32:
    return np.asarray(np.stack([left, left if right is None else right]), np.float32)


def _faded(sound: F64, fade: float = 0.01) -> F64:
    """The sound with a fade-in and a fade-out: a tone that starts at once is a click as well."""
    n = round(fade * RATE)
    ramp = np.sin(np.linspace(0, np.pi / 2, n)) ** 2
    sound[:n] *= ramp
    sound[-n:] *= ramp[::-1]
    return sound


def tone(pitch: float, level: float = 0.9, *, length: float = 4.0) -> F32:
    """A sine on both channels."""
    return _stereo(_faded(level * np.sin(2 * np.pi * pitch * seconds(length))))


def _two_tones() -> F32:
    t = seconds(4.0)
    return _stereo(_faded(0.9 * np.sin(2 * np.pi * 440 * t)), _faded(0.9 * np.sin(2 * np.pi * 554.37 * t)))


def _chord() -> F32:
    t = seconds(4.0)
    pitches = (220.0, 277.18, 329.63, 440.0, 659.26)
    return _stereo(_faded(0.18 * np.sum([np.sin(2 * np.pi * pitch * t + pitch) for pitch in pitches], axis=0)))


def _sub_bass() -> F32:
    """An 808: notes of a saturated sine that glide down and ring."""
    notes = []
    for pitch, length in ((49.0, 1.0), (43.65, 1.0), (55.0, 0.5), (36.71, 1.5)):
        t = seconds(length)
        phase = 2 * np.pi * (pitch * t + 1.5 * pitch * 0.03 * (1 - np.exp(-t / 0.03)))
        notes.append(_faded(np.tanh(1.6 * np.sin(phase) * np.exp(-t / 0.9)), 0.005))
    return _stereo(0.95 * np.concatenate(notes))


def _melody(voice: play.Voice, notes: tuple[int, ...], length: float) -> F32:
    sound = np.concatenate([voice.note(note, length) for note in notes])
    return _stereo(0.8 * sound / np.abs(sound).max())


def _bass() -> F32:
    return _melody(play.Voice(1.4, 0.004, 0.6, 2.0, 1.0), (33, 33, 36, 40, 38, 31, 33, 28), 0.5)


def _piano() -> F32:
    return _melody(play.Voice(1.5, 0.002, 0.7, 2.5), (60, 64, 67, 72, 71, 67, 65, 62), 0.5)


def _strings() -> F32:
    return _melody(play.Voice(1.3, 0.25, 20.0, 0.2), (57, 60, 64, 62), 1.0)


def _speech() -> F32:
    """Syllables: a noisy consonant, then a vowel of glottal pulses through three formants; pauses between words."""
    rng = np.random.Generator(np.random.Philox(7))
    parts: list[F64] = []
    for number in range(16):
        t = seconds(0.05)
        hiss = play.filtered(rng.standard_normal(len(t)), rng.uniform(2000, 5000), 9000)
        parts.append(0.12 * hiss * np.sin(np.pi * t / 0.05) ** 2)
        t = seconds(0.17)
        pitch = rng.uniform(95, 150) * (1 - 0.6 * t)
        pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0)
        vowel = np.sum(
            [
                play.filtered(pulses, 0.92 * hertz, 1.08 * hertz, 1.0) / (1 + n)
                for n, hertz in enumerate(_VOWELS[number % 4])
            ],
            axis=0,
        )
        parts.append(0.6 * _faded(vowel / np.abs(vowel).max(), 0.02))
        if number % 4 == 3:
            parts.append(np.zeros(round(0.12 * RATE)))
    return _stereo(np.concatenate(parts))


def _mix(kind: str) -> F32:
    """A composed band: its two halves left and right, so that the channels differ."""
    sound = compose(kind, 3, seconds=16.0).sound
    return np.stack(
        [sound[6 * RATE : 10 * RATE], 0.7 * sound[6 * RATE : 10 * RATE] + 0.3 * sound[11 * RATE : 15 * RATE]]
    )


def _demo() -> F32:
    return demo_song(14.0)[:, 9 * RATE : 13 * RATE]


def _noise() -> F32:
    """Pink noise, different on either side."""
    rng = np.random.Generator(np.random.Philox(11))
    size = 4 * RATE
    spectrum = np.fft.rfft(rng.standard_normal((2, size))) / np.sqrt(np.maximum(np.arange(size // 2 + 1), 20))
    pink = np.fft.irfft(spectrum, size)
    return np.asarray(0.5 * pink / np.abs(pink).max(), np.float32)


def _clicks() -> F32:
    """A decaying click every 0.37 seconds."""
    sound = np.zeros(4 * RATE)
    t = seconds(0.004)
    for first in range(RATE // 4, len(sound) - RATE // 4, round(0.37 * RATE)):
        sound[first : first + len(t)] += 0.9 * np.sin(2 * np.pi * 1500 * t) * np.exp(-t / 0.001)
    return _stereo(sound)


def _silence() -> F32:
    return np.zeros((2, 2 * RATE), np.float32)


MATERIAL: dict[str, Callable[[], F32]] = {
    "tone 100 Hz": lambda: tone(100.0),
    "tone 440 Hz": lambda: tone(440.0),
    "tone 1 kHz": lambda: tone(1000.0),
    "tone 1 kHz, quiet": lambda: tone(1000.0, 0.01),
    "tone 5 kHz": lambda: tone(5000.0),
    "tone 12 kHz": lambda: tone(12_000.0),
    "two tones": _two_tones,
    "chord": _chord,
    "808 sub bass": _sub_bass,
    "solo bass": _bass,
    "piano": _piano,
    "strings": _strings,
    "speech": _speech,
    "rock": lambda: _mix("rock"),
    "house": lambda: _mix("house"),
    "demo song": _demo,
    "pink noise": _noise,
    "clicks": _clicks,
    "silence": _silence,
}
