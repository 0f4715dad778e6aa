"""Songs to render and a reader of the videos that come out, shared by the tests of rendering and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

F32 = NDArray[np.float32]
SMALL = {"width": 320, "height": 180, "particle_count": 60}  # a picture that costs nothing
SIZE = ("--size", "320x180", "--set", "particle_count=60")


@dataclass
class Video:
    """What a file holds, as a player would see it."""

    fps: Fraction = Fraction(0)
    pts: list[Fraction] = field(default_factory=list)  # of the decoded frames, seconds
    width: int = 0
    height: int = 0
    codecs: tuple[str, ...] = ()  # of its tracks: the cover picture is none
    tags: tuple[int, int, int, int] = (0, 0, 0, 0)  # primaries, transfer, matrix, range
    video_duration: Fraction = Fraction(0)
    sound: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    rate: int = 0
    sound_start: Fraction = Fraction(0)
    sound_duration: Fraction = Fraction(0)


def read_video(path: Path) -> Video:
    """Decode all of a file."""
    video = Video()
    with av.open(str(path)) as container:
        tracks = [stream for stream in container.streams if not stream.disposition & Disposition.attached_pic]
        video.codecs = tuple(stream.codec_context.name for stream in tracks)
        track = container.streams.video[0]
        codec = track.codec_context
        video.fps = track.average_rate
        video.width, video.height = codec.width, codec.height
        video.tags = (codec.color_primaries, codec.color_trc, codec.colorspace, codec.color_range)
        video.video_duration = _duration(container, track)
        video.pts = [frame.pts * frame.time_base for frame in container.decode(track)]
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return video
        track = container.streams.audio[0]
        video.rate = track.codec_context.sample_rate
        video.sound_duration = _duration(container, track)
        frames = list(container.decode(track))
        video.sound_start = frames[0].pts * frames[0].time_base
        video.sound = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    return video


def _duration(container: av.container.InputContainer, track: av.stream.Stream) -> Fraction:
    """That of a track, or, as WebM has none for tracks, of the file."""
    if track.duration is None:
        return Fraction(container.duration, av.time_base)
    return track.duration * track.time_base


def clicks(seconds: float, times: list[float], *, rate: int = 44_100, channels: int = 2) -> NDArray[np.float32]:
    """Silence with a short loud click at each of the times: (channels, samples)."""
    samples = np.zeros((channels, round(seconds * rate)), np.float32)
    burst = (0.9 * np.sin(2 * np.pi * 1500 * np.arange(rate // 100) / rate)).astype(np.float32)
    for time in times:
        first = round(time * rate)
        used = burst[: samples.shape[1] - first]
        samples[:, first : first + len(used)] = used
    return samples


def tone(seconds: float, *, rate: int = 44_100, channels: int = 2) -> NDArray[np.float32]:
    """A steady tone."""
    t = np.arange(round(seconds * rate)) / rate
    return np.tile((0.4 * np.sin(2 * np.pi * 220 * t)).astype(np.float32), (channels, 1))


def noise(seconds: float, *, rate: int = 48_000, channels: int = 2) -> NDArray[np.float32]:
    """Noise that no codec can make small."""
    generator = np.random.Generator(np.random.Philox(1))
    return generator.uniform(-0.5, 0.5, (channels, round(seconds * rate))).astype(np.float32)


_CODECS = {".wav": "pcm_s16le", ".flac": "flac", ".mp3": "libmp3lame", ".ogg": "libopus", ".m4a": "aac"}
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def write_song(
    path: Path,
    samples: NDArray[np.float32],
    *,
    rate: int = 44_100,
    codec: str | None = None,
    picture: bool = False,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Write samples in the format that the name ends with; ``picture`` adds a video track."""
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        codec = codec or _CODECS.get(path.suffix, "aac")
        layout = _LAYOUTS[len(samples)]
        stream = container.add_stream(codec, rate=rate, layout=layout)
        if picture:
            seconds = samples.shape[1] / rate
            _add_picture(container, round(seconds * 10))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def write_tracks(path: Path, *tracks: NDArray[np.float32], rate: int = 44_100) -> Path:
    """Write a Matroska file of several stereo sound tracks; none is marked default."""
    with av.open(str(path), "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=rate, layout="stereo") for _ in tracks]
        for stream, samples in zip(streams, tracks, strict=True):
            stream.disposition = av.stream.Disposition(0)
            whole = (np.ascontiguousarray(samples.T) * 32_767).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="stereo")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def tagged_mp3(
    path: Path,
    texts: Mapping[str, str] | None = None,
    pictures: Sequence[tuple[int, bytes]] = (),
    seconds: float = 0.3,
    lyrics: Sequence[str] = (),
) -> Path:
    """An MP3 of a tone with an ID3v2.3 tag: texts by frame (TIT2 is the title), pictures by type (3 is the front)."""
    frames = [(name.encode(), b"\x01" + text.encode("utf-16")) for name, text in (texts or {}).items()]
    frames += [(b"APIC", b"\x00image/jpeg\x00" + bytes([kind]) + b"\x00" + data) for kind, data in pictures]
    for number, words in enumerate(lyrics):  # told apart by their descriptions
        frames.append((b"USLT", b"\x01eng" + str(number).encode("utf-16") + b"\x00\x00" + words.encode("utf-16")))
    tag = b"".join(name + len(data).to_bytes(4, "big") + b"\x00\x00" + data for name, data in frames)
    size = bytes(len(tag) >> shift & 0x7F for shift in (21, 14, 7, 0))
    sound = write_song(path, tone(seconds)).read_bytes()
    path.write_bytes(b"ID3\x03\x00\x00" + size + tag + sound)
    return path


def write_silent_video(path: Path, frames: int = 10) -> Path:
    """A video without a sound track."""
    with av.open(str(path), "w") as container:
        _add_picture(container, frames)
    return path


def _add_picture(container: av.container.OutputContainer, frames: int) -> None:
    stream = container.add_stream("libx264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 9 * number % 256, np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 10)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_float_wav(path: Path, samples: NDArray[np.float32], rate: int = 44_100) -> Path:
    """A 32-bit float WAV, sample for sample: it can hold what is not a number."""
    data = np.ascontiguousarray(samples.T, "<f4").tobytes()
    channels = len(samples)
    head = b"WAVEfmt " + (16).to_bytes(4, "little") + (3).to_bytes(2, "little") + channels.to_bytes(2, "little")
    head += rate.to_bytes(4, "little") + (rate * channels * 4).to_bytes(4, "little")
    head += (channels * 4).to_bytes(2, "little") + (32).to_bytes(2, "little")
    head += b"data" + len(data).to_bytes(4, "little")
    path.write_bytes(b"RIFF" + (len(head) + len(data)).to_bytes(4, "little") + head + data)
    return path


def write_layout(path: Path, samples: NDArray[np.float32], layout: str, *, rate: int = 48_000) -> Path:
    """A float WAV, or a FLAC, of channels with this layout; "9 channels" or "+"-joined positions will do."""
    codec = {".wav": "pcm_f32le", ".flac": "flac"}[path.suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        form = "flt" if codec == "pcm_f32le" else "s16"
        scaled = samples.T if form == "flt" else np.rint(samples.T * 32767).astype(np.int16)
        for at in range(0, len(scaled), 4096):
            part = np.ascontiguousarray(scaled[at : at + 4096])
            frame = av.AudioFrame(format=form, layout=layout, samples=len(part))
            frame.planes[0].update(part.tobytes())
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
