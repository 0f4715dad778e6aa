"""Instruments: drums, strings and keys as (samples,) arrays at 44.1 kHz, drawn anew for every song.

Every function takes a random generator and returns sounds that differ in pitch, length and timbre from song to song, so
that the analysis cannot be tuned to one drum kit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
RATE = 44_100


def seconds(duration: float) -> F64:
    return np.arange(round(duration * RATE)) / RATE


def filtered(sound: F64, low: float, high: float, order: float = 4.0) -> F64:
    """Band-pass between two frequencies, with the slopes of an analogue filter of that order."""
    size = 1 << (len(sound) + 2048).bit_length()
    f = np.fft.rfftfreq(size, 1 / RATE) + 1e-3
    gain = 1 / np.sqrt(1 + (f / high) ** (2 * order)) / np.sqrt(1 + (low / f) ** (2 * order))
    # Minimum phase: a filter without delay would begin before the sound does.
    log = np.fft.irfft(np.log(np.maximum(gain, 1e-6)), size)
    log[1 : size // 2] *= 2
    log[size // 2 + 1 :] = 0
    through: F64 = np.fft.irfft(np.fft.rfft(sound, size) * np.exp(np.fft.rfft(log)), size)[: len(sound)]
    return through


def _ended(sound: F64, fade: float = 0.02) -> F64:
    n = min(len(sound), round(fade * RATE))
    sound[len(sound) - n :] *= np.linspace(1, 0, n)
    ended: F64 = sound / np.abs(sound).max()
    return ended


def kick(rng: np.random.Generator) -> F64:
    """A kick: a sine that sweeps down to 40–60 Hz, with a click."""
    t = seconds(rng.uniform(0.22, 0.5))
    base, sweep, fall = rng.uniform(40, 62), rng.uniform(60, 220), rng.uniform(0.012, 0.04)
    body = np.sin(2 * np.pi * (base * t + sweep * fall * (1 - np.exp(-t / fall)))) * np.exp(-t / rng.uniform(0.07, 0.2))
    click = filtered(rng.standard_normal(len(t)), 1000, rng.uniform(3000, 8000)) * np.exp(-t / 0.004)
    shell = np.sin(2 * np.pi * rng.uniform(90, 140) * t) * np.exp(-t / 0.04)
    sound = body + rng.uniform(0.05, 0.35) * click + rng.uniform(0, 0.4) * shell
    return _ended(np.tanh(rng.uniform(0.8, 2.0) * sound), 0.05)


def snare(rng: np.random.Generator) -> F64:
    """A snare: two tones of the shell and the noise of the wires."""
    t = seconds(rng.uniform(0.18, 0.35))
    tone = rng.uniform(150, 240)
    bend = tone * (t + 0.012 * (1 - np.exp(-t / 0.02)))
    shell = np.sin(2 * np.pi * bend) + 0.6 * np.sin(2 * np.pi * 1.6 * bend)
    wires = filtered(rng.standard_normal(len(t)), rng.uniform(800, 2200), rng.uniform(7000, 14_000), 2)
    wires *= np.exp(-t / rng.uniform(0.05, 0.13)) / wires.std()
    attack = np.minimum(t / 0.001, 1)
    return _ended((shell * np.exp(-t / rng.uniform(0.025, 0.07)) * rng.uniform(0.4, 1.2) + 0.5 * wires) * attack)


def clap(rng: np.random.Generator) -> F64:
    """A clap: hands a few milliseconds apart; the first marks the onset."""
    t = seconds(0.25)
    gap = rng.uniform(0.006, 0.011)
    bursts = sum(np.exp(-np.maximum(t - n * gap, 0) / (0.006 if n < 2 else 0.06)) * (t >= n * gap) for n in range(3))
    noise = filtered(rng.standard_normal(len(t)), rng.uniform(700, 1100), rng.uniform(3500, 8000), 2)
    return _ended(noise * bursts)


def rim(rng: np.random.Generator) -> F64:
    t = seconds(0.08)
    pitch = rng.uniform(1500, 2300)
    tone = np.sin(2 * np.pi * pitch * t) + 0.7 * np.sin(2 * np.pi * 0.37 * pitch * t)
    return _ended((tone + 0.3 * rng.standard_normal(len(t))) * np.exp(-t / 0.012))


def hat(rng: np.random.Generator, decay: float) -> F64:
    """A hi-hat or cymbal: six detuned square waves and noise, above 5–8 kHz."""
    t = seconds(min(0.9, 6 * decay))
    base = rng.uniform(300, 450)
    ratios = np.array([1, 1.34, 1.79, 2.13, 2.67, 3.24]) * rng.uniform(0.97, 1.03, 6)
    metal = sum(np.sign(np.sin(2 * np.pi * base * ratio * t + rng.uniform(0, 6))) for ratio in ratios) / 3
    mixed = rng.uniform(0.2, 1.0) * metal + rng.standard_normal(len(t))
    return _ended(filtered(mixed, rng.uniform(5000, 8500), 18_000, 3) * np.exp(-t / decay))


def ride(rng: np.random.Generator) -> F64:
    ping = seconds(0.5)
    bell = sum(np.sin(2 * np.pi * f * ping + rng.uniform(0, 6)) for f in rng.uniform(2500, 9000, 8)) / 4
    wash = filtered(rng.standard_normal(len(ping)), 4500, 16_000, 2)
    return _ended(
        bell * np.exp(-ping / 0.06) + 0.7 * wash * np.exp(-ping / 0.03) + 0.25 * wash * np.exp(-ping / 0.2), 0.1
    )


def crash(rng: np.random.Generator) -> F64:
    t = seconds(1.8)
    return _ended(filtered(rng.standard_normal(len(t)), rng.uniform(2500, 4000), 16_000, 2) * np.exp(-t / 0.5), 0.3)


def tom(rng: np.random.Generator, pitch: float) -> F64:
    t = seconds(0.35)
    sweep = pitch * (t + 0.02 * (1 - np.exp(-t / 0.04)))
    return _ended(
        (np.sin(2 * np.pi * sweep) + 0.1 * rng.standard_normal(len(t)) * np.exp(-t / 0.01)) * np.exp(-t / 0.1)
    )


@dataclass(frozen=True)
class Voice:
    """A pitched instrument: harmonics that fall by ``tilt``, attack and decay in seconds, and a closing filter."""

    tilt: float
    attack: float
    decay: float
    bright: float
    drive: float = 0.0

    def note(self, midi: float, duration: float) -> F64:
        """A note of a pitch in semitones (69 is 440 Hz) and a length in seconds."""
        t = seconds(duration)
        pitch = 440 * 2 ** ((midi - 69) / 12)
        # Harmonic h is the h-th power of the first, faded by the (h - 1)-th power of the filter.
        turn = np.exp(2j * np.pi * pitch * t).astype(np.complex64)
        step = turn * np.exp(-t * self.bright).astype(np.float32)
        total, power = np.zeros(len(t), np.complex64), turn.copy()
        for harmonic in range(1, max(2, min(14, int(7000 / pitch)) + 1)):
            total += power * np.complex64(np.exp(0.7j * harmonic) * harmonic**-self.tilt)
            power *= step
        sound = total.imag
        shape = np.minimum(t / self.attack, 1) * np.exp(-t / self.decay)
        release = np.minimum((duration - t) / min(0.06, duration / 3), 1)
        sound = sound * shape * release
        if self.drive:
            sound = np.tanh(self.drive * sound)
        played: F64 = sound * 0.5
        return played


def bass(rng: np.random.Generator) -> Voice:
    return Voice(rng.uniform(1.0, 2.2), rng.uniform(0.002, 0.006), rng.uniform(0.25, 1.2), rng.uniform(0.5, 6), 1.0)


def keys(rng: np.random.Generator) -> Voice:
    """A piano, a guitar or plucked strings: sudden onset, then decay."""
    return Voice(rng.uniform(1.1, 2.2), rng.uniform(0.001, 0.005), rng.uniform(0.25, 0.9), rng.uniform(1, 5))


def lead(rng: np.random.Generator) -> Voice:
    return Voice(rng.uniform(0.9, 1.8), rng.uniform(0.002, 0.01), rng.uniform(0.4, 1.5), rng.uniform(0.3, 3))


def pad(rng: np.random.Generator) -> Voice:
    """Swelling strings, without a clear onset."""
    return Voice(rng.uniform(1.2, 2.0), rng.uniform(0.15, 0.4), 20.0, 0.2)


def reverb(rng: np.random.Generator, track: F64, length: float) -> F64:
    t = seconds(3 * length)
    tail = filtered(rng.standard_normal(len(t)), 200, 6000, 1) * np.exp(-t / (length / 2.5))
    tail[: round(0.008 * RATE)] = 0
    size = 1 << (len(track) + len(t)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(track, size) * np.fft.rfft(tail / np.sqrt((tail**2).sum()), size), size)
    return wet[: len(track)]
