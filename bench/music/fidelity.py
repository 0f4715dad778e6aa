"""How faithful an encoded sound is to the original: delay, level, noise and distortion."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from ecs_core.video.aac import encoded
from ecs_core.video.format import Quality
from ecs_core.video.sound import SoundTrack

from .instruments import RATE

F32 = NDArray[np.float32]

BIT_RATE = 192_000  # of FFmpeg's default, for stereo
ALLOWED = 1.0  # dB that a row may be worse than FFmpeg's default
INAUDIBLE = -50.0  # dB, 0.3 %: below that, no row counts as worse than another
_FURTHEST = 8192  # samples: the largest delay that is found


@dataclass(frozen=True)
class Fidelity:
    """How much of a sound is left: delay in samples, level in dB, noise and distortion in dB, kbit/s."""

    delay: int
    level: float
    noise: float
    bit_rate: float


def fidelity(song: F32, heard: F32, size: int = 0) -> Fidelity:
    """Compare what is heard with the song, both (channels, samples); ``size`` is that of the packets in bytes."""
    n = min(song.shape[1], heard.shape[1])
    x, y = song[:, :n].astype(np.float64), heard[:, :n].astype(np.float64)
    bit_rate = 8 * size / (song.shape[1] / RATE) / 1000
    power = float((x * x).sum())
    if not power:
        return Fidelity(0, 0.0, _decibels(float((y * y).mean())), bit_rate)
    length = 1 << (2 * n).bit_length()
    both = np.fft.irfft((np.fft.rfft(y, length) * np.conj(np.fft.rfft(x, length))).sum(axis=0), length)
    delay = int(np.argmax(np.abs(np.roll(both, _FURTHEST)[: 2 * _FURTHEST]))) - _FURTHEST
    gain = float((x * y).sum()) / power
    return Fidelity(delay, 2 * _decibels(abs(gain)), _decibels(float(((y - gain * x) ** 2).sum()) / power), bit_rate)


def _decibels(power: float) -> float:
    return 10 * float(np.log10(max(power, 1e-20)))


def as_motes(song: F32, quality: Quality = "standard") -> bytes:
    """The sound encoded into an MP4, as a render of this quality does it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        blocks = (song[:, at : at + RATE] for at in range(0, song.shape[1], RATE))
        length = Fraction(song.shape[1], RATE)
        packets = encoded(blocks, rate=RATE, channels=len(song), duration=length, quality=quality)
        SoundTrack(container, packets, rate=RATE, channels=len(song)).mux_until()
    return file.getvalue()


def as_pyav(song: F32) -> bytes:
    """The sound encoded into an MP4 by PyAV's AAC encoder with its default settings."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        stream.bit_rate = BIT_RATE
        for at in range(0, song.shape[1], RATE):
            block = np.ascontiguousarray(song[:, at : at + RATE])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def heard_in(file: bytes) -> tuple[F32, int]:
    """The samples of a file's sound track, (channels, n), and the bytes of its packets."""
    with av.open(io.BytesIO(file), "r") as container:
        size = sum(packet.size for packet in container.demux(audio=0))
    with av.open(io.BytesIO(file), "r") as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1), size


def is_as_good(ours: Fidelity, default: Fidelity) -> bool:
    """Whether we add no delay and, within the tolerance, no more noise than the default."""
    return ours.delay == 0 and ours.noise <= max(default.noise + ALLOWED, INAUDIBLE)
