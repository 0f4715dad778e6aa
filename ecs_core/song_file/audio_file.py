"""AudioFile: decodes any song block by block at its own rate, never holding all of it in memory.

The analysis and the sound track of the video both read songs through it, so they agree to the sample, whatever delay an
encoder added.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Protocol

import av
import av.error
import numpy as np

from ecs_core.arrays import F32
from ecs_core.errors import AudioError
from ecs_core.song_file.containers import ALLOWED, open_container
from ecs_core.song_file.conversion import Converter, Shape, layout_name
from ecs_core.song_file.damage import breaks_off
from ecs_core.song_file.ogg_links import links_of
from ecs_core.song_file.tags import SongTags, tags_of
from ecs_core.song_file.tracks import choose_track, said_seconds, start_of_picture

_EARLY = 0.5  # seconds that may be missing at the end without a warning
_LOUDEST = np.float32(1e6)  # 120 dB over full scale: not audio, and its powers would overflow float32
_FLAC_EARLY = 0.01  # FLAC states its exact length, and damaged parts are missing
_LATEST = 600.0  # seconds by which the sound may begin after the picture
_SILENCE = 1 << 14  # samples per block of silence


class Song(Protocol):
    """What the analysis needs of a song, such as an AudioFile: its samples in order, and their properties."""

    rate: int
    channels: int
    layout: str
    warnings: list[str]

    @property
    def seconds(self) -> float | None:
        """How long the file says it is; None where it does not say."""

    def blocks(self) -> Iterator[F32]:
        """Yield the samples in order as blocks of shape (channels, n)."""


class AudioFile:
    """An open song. Use as a context manager.

    ``track`` is the number of the sound track, from 0 as in ffmpeg's ``0:a:1``; by default it is the one marked as
    default, or the first one that can be decoded. ``rate`` is in samples per second; ``layout`` is FFmpeg's name of the
    ``channels``' layout, the file's own or FFmpeg's default for that number; ``warnings`` grows while :meth:`blocks` is
    read. A sound track that begins after its picture begins with silence.

    Raises:
        AudioError: the file is missing, empty, a folder, not audio, of an unsupported format, or has no such track.
    """

    def __init__(self, path: str | Path, *, track: int | None = None) -> None:
        self.path = Path(path)
        self.warnings: list[str] = []
        self._check_file()
        self._links = links_of(self.path)
        self._container = open_container(self.path, self._links[0] if self._links else None)
        try:
            self.track, problems = choose_track(self.path, self._container, track)
            self.warnings += problems
            self._stream = self._container.streams.audio[self.track]
            codec = self._stream.codec_context
            self._picture = None if self._links else start_of_picture(self.path, self._container)
            self._shape = Shape(int(codec.sample_rate), layout_name(codec.layout))
        except BaseException:
            self._container.close()
            raise
        self._is_flac = codec.name == "flac"
        if self._is_flac:  # without checksums, damage becomes loud noise; with them, it is skipped
            codec.options = {"err_detect": "crccheck+explode"}
        self.rate, self.layout, self.channels = self._shape.rate, self._shape.layout, self._shape.channels
        self._ended: Fraction | float = 0  # when the last packet of any stream ends, seconds

    def _check_file(self) -> None:
        try:
            self.path.stat()
        except FileNotFoundError:
            raise AudioError(f"{self.path}: no such file") from None
        except (OSError, ValueError) as error:  # a name that is too long or contains NUL
            raise AudioError(f"{self.path}: cannot be read: {getattr(error, 'strerror', error)}") from None
        if self.path.is_dir():
            raise AudioError(f"{self.path}: is a folder; give an audio file: {ALLOWED}")
        if not self.path.is_file():
            raise AudioError(f"{self.path}: is not a regular file; give an audio file: {ALLOWED}")
        try:
            with self.path.open("rb") as file:
                if not file.read(1):
                    raise AudioError(f"{self.path}: is empty; give an audio file: {ALLOWED}")
        except OSError as error:
            raise AudioError(f"{self.path}: cannot be read: {error.strerror}") from None

    @property
    def seconds(self) -> float | None:
        """How long the file says it is; None where it does not say."""
        said = None if self._links else said_seconds(self._container, self._stream)
        start = self._stream.start_time
        if said is None or start is None:
            return said
        return said + float(self._delay(start * (self._stream.time_base or 0)))

    @property
    def _says_length(self) -> bool:
        """Whether :attr:`seconds` comes from the file; for ADTS and headerless MP3 it is a guess from the bit rate."""
        name = self._container.format.name
        return name not in ("aac", "loas") and not (name == "mp3" and not self._stream.start_time)

    def blocks(self) -> Iterator[F32]:
        """Yield the samples in order as blocks of shape (channels, n), float32, nominally ±1.

        Damaged packets are skipped, and NaN, infinite or absurd values become silence, each with a warning.

        Raises:
            AudioError: nothing could be decoded.
        """
        samples = damaged = unreal = 0
        for block, bad in self._decode():
            damaged += bad
            if block is None:
                continue
            real = np.abs(block) <= _LOUDEST  # false for NaN
            if not real.all():
                unreal += int(block.size - real.sum())
                block = np.where(real, block, np.float32(0))  # noqa: PLW2901 - the same block, mended
            samples += block.shape[1]
            yield block
        if not samples:
            raise AudioError(f"{self.path}: contains no audio that can be decoded; allowed: {ALLOWED}")
        if damaged:
            self.warnings.append(f"{self.path}: {damaged} damaged packets were skipped")
        if unreal:
            self.warnings.append(f"{self.path}: {unreal} samples were invalid and were replaced by silence")
        self._check_length(samples / self.rate)

    def _check_length(self, held: float) -> None:
        """Warn if the file is shorter than it says."""
        said, early = self.seconds, _FLAC_EARLY if self._is_flac else _EARLY
        if said is None and not self._links and self._container.duration is not None:
            said, held = self._container.duration / av.time_base, float(self._ended)
        if breaks_off(self.path):
            self.warnings.append(f"{self.path}: breaks off after {held:.2f} s: truncated?")
        elif said is not None and self._says_length and said - held > early:
            what = f"{held:.2f} s of the {said:.2f} s it says"
            self.warnings.append(f"{self.path}: holds {what}: damaged or truncated?")

    def _decode(self) -> Iterator[tuple[F32 | None, int]]:
        """Yield blocks, or None and 1 for each packet that cannot be decoded."""
        converter = Converter(self._shape)
        began = False
        for frame in chain(self._frames(self._container, self._stream), self._more_frames()):
            if frame is None:
                yield None, 1
                continue
            if not began:
                began = True
                yield from ((block, 0) for block in self._silence(frame))
            for block in converter.convert(frame):
                yield block, int(block is None)
        for block in converter.flush():
            yield block, 0
        self.warnings += [f"{self.path}: {change}" for change in converter.changes]

    def _frames(self, container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame | None]:
        """Yield the frames of a stream, and None for each packet that cannot be decoded."""
        # Where the file does not say how long the track is, it may say how long all of them are.
        every = said_seconds(container, stream) is None
        packets: Iterator[av.Packet[av.AudioStream]] = container.demux() if every else container.demux(stream)  # type: ignore[assignment]
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if packet.pts is not None:
                    end = (packet.pts + (packet.duration or 0)) * (packet.time_base or 0)
                    self._ended = max(self._ended, end)
                frames = packet.decode() if packet.stream.index == stream.index else []
            except av.error.EOFError:
                return
            except av.error.InvalidDataError:
                yield None
                continue
            except av.error.FFmpegError:
                yield None
                return  # the rest of the file cannot be read
            yield from frames

    def _more_frames(self) -> Iterator[av.AudioFrame | None]:
        """Yield the frames of the other links of a chained file."""
        for link in self._links[1:]:
            try:
                with open_container(self.path, link) as container:
                    streams = container.streams.audio
                    yield from self._frames(container, streams[min(self.track, len(streams) - 1)])
            except (AudioError, IndexError):
                yield None

    def _silence(self, first: av.AudioFrame) -> Iterator[F32]:
        """Yield the silence in front of a first frame that comes after the beginning of the picture."""
        if first.pts is None or first.time_base is None:
            return
        left = round(self._delay(first.pts * first.time_base) * self.rate)
        while left > 0:
            yield np.zeros((self.channels, min(left, _SILENCE)), np.float32)
            left -= _SILENCE

    def _delay(self, start: Fraction | int) -> Fraction:
        """The seconds from the beginning of the picture to that of the sound; 0 if the sound comes first."""
        delay = Fraction(0) if self._picture is None else Fraction(start) - self._picture
        return delay if 0 < delay <= _LATEST else Fraction(0)

    def tags(self) -> SongTags:
        """The song's tags and artwork; read them from an AudioFile of their own, not one whose blocks are read."""
        return tags_of(self._container, self._stream.metadata, name=str(self.path))

    @property
    def stream(self) -> av.AudioStream:
        """The sound track."""
        return self._stream

    def packets(self) -> Iterator[av.Packet[av.AudioStream]]:
        """Yield the packets of the sound track as the file holds them; use either this or :meth:`blocks`."""
        return (packet for packet in self._container.demux(self._stream) if packet.size)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()
