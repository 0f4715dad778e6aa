"""AudioFile: decodes any song block by block at its own rate, never holding all of it in memory.

The analysis and the sound track of the video both read songs through it, so they agree to the sample, whatever delay an
encoder added.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import av
import av.error
import numpy as np

from ecs_core.arrays import F32
from ecs_core.audio.layouts import MOST_CHANNELS, layout_of, positions
from ecs_core.audio.mixdown import conversion
from ecs_core.audio.tags import SongTags, tags_of
from ecs_core.errors import AudioError

# Only containers that hold audio themselves. Playlists (concat, HLS, DASH, image sequences) are refused under any name,
# as they would make FFmpeg read other files.
_FORMATS = (
    "wav,w64,aiff,au,caf,flac,mp3,ogg,aac,ac3,eac3,dts,amr,ape,tta,wv,asf,avi,flv,matroska,webm,"
    "mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts"
)
# Decoders for formats of songs. FFmpeg would also run those for pictures, games and telephony, to probe a file's other
# streams; they are never given any data.
_CODECS = (
    "aac,aac_latm,ac3,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,alac,amrnb,amrwb,ape,dca,eac3,flac,gsm_ms,libopus,mlp,mp1float,"
    "mp2float,mp3,mp3float,opus,pcm_alaw,pcm_bluray,pcm_dvd,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,"
    "pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,truehd,tta,vorbis,wavpack,"
    "wmalossless,wmapro,wmav1,wmav2"
)
_STREAMS = 64  # per file; films have fewer
_ALLOWED = "WAV, FLAC, MP3, OGG, Opus, AAC, M4A, or a video with a sound track"
_UNKNOWN_SIZE = 0x7FFFFFFF  # from here on: placeholders of programs that did not know the size
_OGG_PAGE = 65_307  # bytes of the longest page
_EARLY = 0.5  # seconds that may be missing at the end without a warning
RATES = range(1_000, 768_001)  # samples per second; other values mean a damaged header, and would take hours
_LOUDEST = np.float32(1e6)  # 120 dB over full scale: not audio, and its powers would overflow float32
_FLAC_EARLY = 0.01  # FLAC states its exact length, and damaged parts are missing


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

    ``rate`` is in samples per second; ``layout`` is FFmpeg's name of the ``channels``' layout, the file's own or
    FFmpeg's default for that number; ``warnings`` grows while :meth:`blocks` is read.

    Raises:
        AudioError: the file is missing, empty, a folder, not audio, of an unsupported format, or has no audio stream.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.warnings: list[str] = []
        self._check_file()
        options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
        options |= {"codec_whitelist": _CODECS, "max_streams": str(_STREAMS)}
        try:
            self._container = av.open(str(self.path.absolute()), "r", options=options, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            raise AudioError(f"{self.path}: not audio that Motes can read; allowed: {_ALLOWED}") from error
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(f"{self.path}: has no sound track; allowed: {_ALLOWED}")
        self._stream = self._container.streams.audio[0]
        codec = self._stream.codec_context
        if getattr(codec, "name", None) not in _CODECS.split(","):  # None where FFmpeg has no decoder at all
            self._container.close()
            raise AudioError(f"{self.path}: its audio codec is not supported; allowed: {_ALLOWED}")
        self._is_flac = codec.name == "flac"
        if self._is_flac:  # without checksums, damage becomes loud noise; with them, it is skipped
            codec.options = {"err_detect": "crccheck+explode"}
        if not codec.sample_rate or not codec.layout.nb_channels:
            self._container.close()
            raise AudioError(f"{self.path}: its sound track is damaged: no sample rate or no channels")
        self.rate, self.channels = int(codec.sample_rate), int(codec.layout.nb_channels)
        if self.rate not in RATES:
            self._container.close()
            allowed = f"allowed: {RATES[0]} to {RATES[-1]}"
            raise AudioError(f"{self.path}: has a sample rate of {self.rate} Hz: damaged? {allowed}")
        if self.channels > MOST_CHANNELS:
            self._container.close()
            raise AudioError(f"{self.path}: has {self.channels} channels; allowed: 1 to {MOST_CHANNELS}")
        self.layout = _ordered(codec.layout)

    def _check_file(self) -> None:
        try:
            self.path.stat()
        except FileNotFoundError:
            raise AudioError(f"{self.path}: no such file") from None
        except (OSError, ValueError) as error:  # a name that is too long or contains NUL
            raise AudioError(f"{self.path}: cannot be read: {getattr(error, 'strerror', error)}") from None
        if self.path.is_dir():
            raise AudioError(f"{self.path}: is a folder; give an audio file: {_ALLOWED}")
        if not self.path.is_file():
            raise AudioError(f"{self.path}: is not a regular file; give an audio file: {_ALLOWED}")
        try:
            with self.path.open("rb") as file:
                if not file.read(1):
                    raise AudioError(f"{self.path}: is empty; give an audio file: {_ALLOWED}")
        except OSError as error:
            raise AudioError(f"{self.path}: cannot be read: {error.strerror}") from None

    @property
    def seconds(self) -> float | None:
        """How long the file says it is; None where it does not say."""
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._container.duration is None else self._container.duration / av.time_base

    @property
    def _says_length(self) -> bool:
        """Whether :attr:`seconds` comes from the file; for ADTS and headerless MP3 it is a guess from the bit rate."""
        name = self._container.format.name
        return name != "aac" and not (name == "mp3" and not self._stream.start_time)

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
            raise AudioError(f"{self.path}: contains no audio that can be decoded; allowed: {_ALLOWED}")
        if damaged:
            self.warnings.append(f"{self.path}: {damaged} damaged packets were skipped")
        if unreal:
            self.warnings.append(f"{self.path}: {unreal} samples were invalid and were replaced by silence")
        said = self.seconds
        if _breaks_off(self.path):
            self.warnings.append(f"{self.path}: breaks off after {samples / self.rate:.2f} s: truncated?")
        elif (
            said is not None
            and self._says_length
            and said - samples / self.rate > (_FLAC_EARLY if self._is_flac else _EARLY)
        ):
            held = f"{samples / self.rate:.2f} s of the {said:.2f} s it says"
            self.warnings.append(f"{self.path}: holds {held}: damaged or truncated?")

    def _decode(self) -> Iterator[tuple[F32 | None, int]]:
        """Yield blocks, or None and 1 for each packet that cannot be decoded."""
        convert: av.AudioResampler | None = None
        matrix: F32 | None = None
        shape: object = None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.InvalidDataError:
                yield None, 1
                continue
            except av.error.FFmpegError:
                yield None, 1
                return  # the rest of the file cannot be read
            for frame in frames:
                if convert is None or shape != (frame.format.name, frame.layout.name, frame.sample_rate):
                    # Also when a stream changes its format: everything is converted to the first one.
                    shape = (frame.format.name, frame.layout.name, frame.sample_rate)
                    # Interleaved, as PyAV crashes on many planes.
                    convert = av.AudioResampler(format="flt", layout=frame.layout, rate=self.rate)
                    layout = _ordered(frame.layout)
                    same = positions(layout) == positions(self.layout)
                    matrix = None if same else conversion(layout, self.layout)
                try:
                    blocks: list[F32] = [
                        np.ascontiguousarray(each.to_ndarray().reshape(-1, each.layout.nb_channels).T)
                        for each in convert.resample(frame)
                    ]
                except (av.error.FFmpegError, ValueError):  # a frame with contradictory properties
                    yield None, 1
                    convert = None
                    continue
                for block in blocks:
                    yield block if matrix is None else np.matmul(matrix, block, dtype=np.float32), 0

    def tags(self) -> SongTags:
        """The song's tags and artwork; read them from an AudioFile of their own, not one whose blocks are read."""
        return tags_of(self._container, self._stream.metadata, name=str(self.path))

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def _ordered(layout: av.AudioLayout) -> str:
    """The name of a layout, or of FFmpeg's default for that number of channels where the file does not say which."""
    return layout_of(layout.name, [channel.name for channel in layout.channels])


def _breaks_off(path: Path) -> bool:
    """Whether a WAV or Ogg file is shorter than its last chunk or page claims; FFmpeg does not check that."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            while len(chunk := file.read(8)) == 8:
                size = int.from_bytes(chunk[4:], "little")
                if chunk[:4] == b"data":
                    return size < _UNKNOWN_SIZE and file.tell() + size > end
                file.seek(size + size % 2, os.SEEK_CUR)
        elif head[:4] == b"OggS":
            file.seek(max(0, end - _OGG_PAGE))
            tail = file.read()
            page = tail[tail.rfind(b"OggS") :]
            return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
    return False
