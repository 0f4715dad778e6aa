"""Songs made for the tests of analysis, and how they are heard."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.analysis import Analysis
from ecs_core.audio.features import features_of
from ecs_core.audio.spectrum import Spectrum, spectrum_of
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.song_file.layouts import default_layout

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def sweep(seconds: float, *, rate: int, channels: int) -> F32:
    """A tone in each channel of a pitch of its own: (channels, samples)."""
    t = np.arange(round(seconds * rate)) / rate
    return np.stack([0.3 * np.sin(2 * np.pi * 200 * (1 + channel) * t) for channel in range(channels)]).astype("f4")


def hits(seconds: float, times: list[float], *, kind: str = "click", rate: int = 44_100) -> F32:
    """Stereo silence with a click of 10 ms, or a kick of 300 ms, that begins at each of the times."""
    t = np.arange(round((0.3 if kind == "kick" else 0.01) * rate)) / rate
    if kind == "kick":
        sound = np.sin(2 * np.pi * (46 * t + 3.85 * (1 - np.exp(-t / 0.035)))) * np.exp(-t / 0.12)
        sound *= np.minimum((0.3 - t) / 0.05, 1.0)  # cut off, its end would be heard as a click
    else:
        sound = np.sin(2 * np.pi * 1500 * t) * np.exp(-t / 0.004)
    song = np.zeros(round(seconds * rate))
    for time in times:
        first = round(time * rate)
        used = sound[: len(song) - first]
        song[first : first + len(used)] += 0.8 * used
    return np.tile(song, (2, 1)).astype(np.float32)


def write_vorbis(path: Path, samples: F32, *, rate: int = 44_100) -> Path:
    """An Ogg Vorbis file, by FFmpeg's own encoder, which knows stereo only."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("vorbis", rate=rate, layout="stereo", options={"strict": "-2"})
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate, frame_size=64)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[F32, int, list[str]]:
    """All samples of a file, its rate, and the warnings."""
    with AudioFile(path) as song:
        samples = np.concatenate(list(song.blocks()), axis=1)
        assert len(samples) == song.channels
        return samples, song.rate, song.warnings


def spectrum(samples: F32, *, rate: int = 44_100, block: int = 4096) -> Spectrum:
    """The spectrum of samples given in blocks of a size."""
    blocks = (samples[:, at : at + block] for at in range(0, samples.shape[1], block))
    return spectrum_of(blocks, rate=rate, layout=default_layout(len(samples)))


def heard(samples: F32, *, rate: int = 44_100) -> Analysis:
    """The analysis of samples in memory."""
    return features_of(spectrum(samples, rate=rate))


def f_measure(found: F64, true: F64, within: float) -> float:
    """Harmonic mean of precision and recall; each true time is matched by at most one found time."""
    left = sorted(found.tolist())
    matched = 0
    for time in true.tolist():
        near = [other for other in left if abs(other - time) <= within]
        if near:
            left.remove(min(near, key=lambda other: abs(other - time)))
            matched += 1
    return 2 * matched / max(1, len(found) + len(true))
