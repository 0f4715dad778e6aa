"""The demo song: twenty seconds composed by Motes, the same every time.

120 BPM in A minor: two bars of pad and arpeggio, two of kick and a rising build-up, five with everything, one to fade
out. Longer songs repeat the form.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

RATE = 44_100
BEAT = 0.5  # seconds
BAR = 4 * BEAT
BARS = 10
CHORDS = ((57, 60, 64, 69), (53, 57, 60, 65), (48, 55, 60, 64), (55, 59, 62, 67))  # Am, F, C, G; MIDI notes
ROOTS = (33, 29, 36, 31)
INTRO, DROP, OUTRO = 2, 4, 9  # bars where the kick enters, where everything enters, and where it stops


def beat_times(seconds: float = BARS * BAR) -> F64:
    """The times of all beats, in seconds."""
    return np.arange(0.0, seconds, BEAT)


def compose(seconds: float = BARS * BAR) -> F32:
    """The song, stereo at 44.1 kHz: (2, samples) float32 within ±1."""
    form = _form()
    n = round(seconds * RATE)
    song = np.tile(form, (1, -(-n // form.shape[1])))[:, :n]
    fade = min(n, RATE)
    song[:, n - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32) ** 2
    return song


def write_wav(path: Path, seconds: float = BARS * BAR) -> None:
    """Write the song as a 16-bit WAV file."""
    pcm = np.round(compose(seconds).T * 32_767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())


def _form() -> F32:
    n = round(BARS * BAR * RATE)
    noise = np.random.Generator(np.random.Philox(120))
    kicks = [
        bar * BAR + beat * BEAT for bar in range(INTRO, OUTRO) for beat in range(4) if not (bar == 3 and beat == 3)
    ]
    duck = _ducking(n, kicks)
    wet = np.zeros((2, n))  # input of the reverb
    dry = np.zeros((2, n))
    for bar in range(BARS):
        start, chord = bar * BAR, CHORDS[bar % 4]
        loud = 0.055 if DROP <= bar < OUTRO else 0.075
        for voice, note in enumerate(chord):
            pan = 0.3 + 0.4 * voice / 3
            _place(wet, start, _pad(note, BAR * 1.15), loud, pan)
        if INTRO <= bar < OUTRO:
            for eighth in range(8):
                if eighth not in (0, 3):
                    octave = 12 if eighth in (2, 6) else 0
                    _place(dry, start + eighth * BEAT / 2, _bass(ROOTS[bar % 4] + octave), 0.34, 0.5)
        for sixteenth in range(16):
            note = chord[(sixteenth * 3) % 4] + (24 if sixteenth % 5 == 2 else 12)
            level = (0.05 + 0.05 * bar / BARS) * (1.3 if sixteenth % 4 == 0 else 0.8)
            _place(wet, start + sixteenth * BEAT / 4, _pluck(note), level, 0.15 + 0.7 * ((sixteenth * 7) % 16) / 15)
    wet *= 0.35 + 0.65 * duck
    dry *= 0.2 + 0.8 * duck
    for time in kicks:
        _place(dry, time, _kick(), 0.85, 0.5)
    for bar in range(INTRO, OUTRO):
        for beat in range(4):
            _place(dry, bar * BAR + (beat + 0.5) * BEAT, _hat(noise, 0.09), 0.16, 0.62)
            if bar >= DROP:
                _place(dry, bar * BAR + (beat + 0.25) * BEAT, _hat(noise, 0.03), 0.09, 0.35)
                _place(dry, bar * BAR + (beat + 0.75) * BEAT, _hat(noise, 0.03), 0.09, 0.4)
                if beat % 2:
                    _place(wet, bar * BAR + beat * BEAT, _clap(noise), 0.34, 0.5)
    for roll in range(16):  # the build-up
        _place(wet, 3 * BAR + roll * BEAT / 4, _clap(noise), 0.05 + 0.012 * roll, 0.3 + 0.4 * (roll % 2))
    _place(dry, 3 * BAR, _sweep(noise, BAR), 0.16, 0.5)
    mix = dry + 0.8 * wet + 0.45 * _reverb(wet, noise)
    finished: F32 = np.tanh(1.375 * mix / np.abs(mix).max()).astype(np.float32) * np.float32(0.92)
    return finished


def _seconds(duration: float) -> F64:
    return np.arange(round(duration * RATE)) / RATE


def _place(track: F64, start: float, sound: F64, level: float, pan: float) -> None:
    """Mix a sound in at a time; ``pan`` 0 is left, 1 right, with equal power."""
    first = round(start * RATE)
    used = sound[: track.shape[1] - first]
    track[0, first : first + len(used)] += level * np.cos(pan * np.pi / 2) * used
    track[1, first : first + len(used)] += level * np.sin(pan * np.pi / 2) * used


def _hertz(note: float) -> float:
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def _pad(note: int, duration: float) -> F64:
    t = _seconds(duration)
    swell = np.minimum(t / 0.25, 1.0) * np.minimum((duration - t) / 0.3, 1.0)
    sound: F64 = np.zeros(len(t))
    for detune in (-0.08, 0.0, 0.07):
        for harmonic in range(1, 7):
            pitch = _hertz(note + detune) * harmonic
            sound += np.sin(2 * np.pi * pitch * t + detune * 40 + harmonic) * np.exp(-0.55 * harmonic) * 1.6
    pad: F64 = sound * swell
    return pad


def _pluck(note: int) -> F64:
    t = _seconds(0.45)
    pitch = _hertz(note)
    tone = np.sin(2 * np.pi * pitch * t) + 0.4 * np.sin(4 * np.pi * pitch * t) * np.exp(-t / 0.04)
    return tone * np.exp(-t / 0.11) * np.minimum(t / 0.003, 1.0)


def _bass(note: int) -> F64:
    t = _seconds(0.23)
    pitch = _hertz(note)
    tone = np.tanh(1.8 * np.sin(2 * np.pi * pitch * t) + 0.5 * np.sin(4 * np.pi * pitch * t))
    return tone * np.minimum(t / 0.006, 1.0) * np.minimum((0.23 - t) / 0.05, 1.0)


def _kick() -> F64:
    t = _seconds(0.32)
    phase = 2 * np.pi * (46 * t + 110 * 0.035 * (1 - np.exp(-t / 0.035)))
    click = np.exp(-t / 0.002) * 0.5
    return (np.sin(phase) + click * np.sin(2 * np.pi * 1800 * t)) * np.exp(-t / 0.12)


def _hat(noise: np.random.Generator, decay: float) -> F64:
    t = _seconds(0.2)
    return np.diff(noise.standard_normal(len(t) + 2), 2) * 0.35 * np.exp(-t / (decay / 2))


def _clap(noise: np.random.Generator) -> F64:
    t = _seconds(0.22)
    bursts = sum(np.exp(-np.maximum(t - delay, 0) / 0.045) * (t >= delay) for delay in (0.0, 0.011, 0.021))
    smooth = np.convolve(noise.standard_normal(len(t) + 3), np.ones(4) / 4, mode="valid")
    return np.diff(smooth, prepend=0.0) * bursts * 1.6


def _sweep(noise: np.random.Generator, duration: float) -> F64:
    t = _seconds(duration)
    return np.diff(noise.standard_normal(len(t) + 1)) * (t / duration) ** 3


def _ducking(n: int, kicks: list[float]) -> F64:
    """Gain of everything but the kick while it ducks, 0–1."""
    since = np.full(n, 9.0)
    for time in kicks:
        first = round(time * RATE)
        since[first:] = np.arange(n - first) / RATE
    return 1.0 - np.exp(-since / 0.13)


def _reverb(track: F64, noise: np.random.Generator) -> F64:
    t = _seconds(1.4)
    size = 1 << (track.shape[1] + len(t)).bit_length()
    out = np.empty_like(track)
    for side in range(2):
        tail = np.convolve(noise.standard_normal(len(t)), np.ones(5) / 5, mode="same") * np.exp(-t / 0.32)
        spectrum = np.fft.rfft(track[side], size) * np.fft.rfft(tail / np.sqrt((tail**2).sum()), size)
        out[side] = np.fft.irfft(spectrum, size)[: track.shape[1]]
    return out
