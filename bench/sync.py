"""Synchronisation of sound and picture: renders a click track and compares flash frames with click samples.

The click track is written in every format that delays sound in its own way. Both the flashes and the clicks are read
from the finished file, so this measures what a viewer sees and hears.

    python bench/sync.py                # ten minutes of each format, about ten minutes on two cores
    python bench/sync.py --minutes 1    # a shorter run
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ecs_core import Scene, render

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

RATE = 48_000
FPS = "30000/1001"
FORMATS = {
    "WAV": ("song.wav", "pcm_s16le"),
    "FLAC": ("song.flac", "flac"),
    "MP3": ("song.mp3", "libmp3lame"),
    "Opus": ("song.opus", "libopus"),
    "AAC in MP4": ("song.m4a", "aac"),
    "ADTS": ("song.aac", "aac"),
}
# Dark except for a flash at every onset.
CONFIG = {
    "width": 32,
    "height": 32,
    "fps": FPS,
    "duration": "audio",
    "particle_count": 40,
    "background": [0, 0, 0],
    "bindings": [{"source": "onsets", "target": "light", "op": "set", "gain": 40.0, "curve": "step"}],
}
GOAL, DRIFT = 0.5, 0.1  # frames


@dataclass(frozen=True)
class Sync:
    """How many frames the flashes lag behind the clicks: mean, extremes, and drift over the song."""

    clicks: int
    mean: float
    earliest: float
    latest: float
    drift: float
    missed: int

    @property
    def good(self) -> bool:
        """Whether mean and drift are within the goals and no click was missed."""
        return not self.missed and abs(self.mean) <= GOAL and abs(self.drift) <= DRIFT


def click_times(seconds: float) -> F64:
    """A click about every second, at times that align with neither frames nor beats."""
    n = int((seconds - 1.0) / 1.0371)
    times: F64 = 0.5 + 1.0371 * np.arange(n) + 0.3 * np.modf(np.arange(n) * 0.61803398875)[0]
    return times


def write_clicks(path: Path, codec: str, seconds: float) -> None:
    """Stereo silence with a 10 ms click at each of the click times, encoded in blocks."""
    burst = (0.9 * np.sin(2 * np.pi * 1500 * np.arange(RATE // 100) / RATE)).astype(np.float32)
    song = np.zeros(round(seconds * RATE), np.float32)
    for time in click_times(seconds):
        first = round(float(time) * RATE)
        song[first : first + len(burst)] = burst
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        context = stream.codec_context
        resampler = av.AudioResampler(context.format, "stereo", RATE, frame_size=context.frame_size or 4096)
        for at in range(0, len(song), RATE):
            block = np.ascontiguousarray(np.tile(song[at : at + RATE], (2, 1)))
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), at
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        for part in resampler.resample(None):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def _time_of(frame: av.VideoFrame | av.AudioFrame) -> float:
    """When a frame begins, seconds."""
    assert frame.pts is not None
    assert frame.time_base is not None
    return float(frame.pts * frame.time_base)


def flashes_of(video: Path) -> F64:
    """When the picture flashes, seconds: the start of the first frame that is bright."""
    times, light = [], []
    with av.open(str(video)) as container:
        track = container.streams.video[0]
        for frame in container.decode(track):
            times.append(_time_of(frame))
            light.append(float(frame.to_ndarray(format="gray").mean()))
    level = np.asarray(light)
    bright = level > level.min() + 0.3 * (level.max() - level.min())
    return np.asarray(times)[np.flatnonzero(bright & ~np.append(False, bright[:-1]))]


def clicks_of(video: Path) -> F64:
    """When the sound track clicks, seconds."""
    found: list[float] = []
    with av.open(str(video)) as container:
        track = container.streams.audio[0]
        for frame in container.decode(track):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.2)
            start = _time_of(frame)
            for time in (start + loud / frame.sample_rate).tolist():
                if not found or time - found[-1] > 0.3:
                    found.append(time)
    return np.asarray(found)


def measure(name: str, folder: Path, *, seconds: float) -> Sync:
    """Render clicks in one format and compare flashes with clicks."""
    file, codec = FORMATS[name]
    song, video = folder / file, folder / f"{file}.mp4"
    write_clicks(song, codec, seconds)
    render(Scene("no_music", audio=song, config=CONFIG), video, quality="draft")
    flashes, clicks = flashes_of(video), clicks_of(video)
    frame = float(1 / Fraction(FPS))
    near = np.array([flashes[np.argmin(np.abs(flashes - time))] - time for time in clicks]) / frame
    seen = np.abs(near) < 5
    slope = float(np.polyfit(clicks[seen], near[seen], 1)[0]) if seen.sum() > 2 else 0.0
    mean, earliest, latest = (float(of(near[seen])) for of in (np.mean, np.min, np.max))
    # How much of the slope is chance depends on the length; over the whole song it is a fraction of a frame.
    missed = int((~seen).sum()) + abs(len(click_times(seconds)) - len(clicks))
    return Sync(len(clicks), mean, earliest, latest, slope * seconds, missed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--format", choices=[*FORMATS], action="append", help="may be repeated (default: all)")
    arguments = parser.parse_args()
    print(f"Flash minus click, in frames at {FPS}, {arguments.minutes:g} minutes each (goal: mean ±{GOAL})")
    good = True
    for name in arguments.format or FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            sync = measure(name, Path(folder), seconds=60 * arguments.minutes)
        good &= sync.good
        print(
            f"  {name:11} {sync.clicks:4} clicks, {sync.missed} missed   mean {sync.mean:+.2f}   "
            f"{sync.earliest:+.2f} … {sync.latest:+.2f}   drift {sync.drift:+.3f} in all",
            flush=True,
        )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
