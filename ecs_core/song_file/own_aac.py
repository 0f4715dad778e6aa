"""Songs whose own AAC packets can be copied into a video without encoding them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import av.error
import numpy as np

from ecs_core.arrays import F32
from ecs_core.errors import AudioError
from ecs_core.song_file.audio_file import AudioFile

FRAME = 1024  # samples of a packet
LONGEST_PACKET = 8191  # bytes
RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)  # by ADTS number
MOST_SKIPPED = 16  # packets before the first sample; encoders need one to three

OpenSong = Callable[[], AudioFile]


@dataclass(frozen=True)
class OwnAac:
    """AAC-LC packets of 1024 samples each, of which ``samples`` are the song, after the first ``skip`` ones."""

    rate: int
    channels: int
    skip: int
    samples: int


class _OtherError(Exception):
    """The packets are not what an MP4 needs."""


def find_own_aac(open_song: OpenSong, *, heed: Callable[[], None] = lambda: None) -> OwnAac | None:
    """The song's own AAC, if a copy of it is sure to sound like the song; None otherwise.

    It must be AAC-LC, mono or stereo, with one configuration from start to end. The copy is decoded and compared with
    the song, sample for sample, so damage and all that a container can say of delays, gaps and lengths are allowed
    for. ``heed`` is called with each block, and may raise an exception to stop the comparison.

    Raises:
        AudioError: the song cannot be opened.
    """
    try:
        with open_song() as song, open_song() as copy:
            skip = _skipped(open_song)
            samples = _equal_samples(song, _decoded(copy), skip, heed)
            return OwnAac(song.rate, song.channels, skip, samples)
    except (av.error.FFmpegError, _OtherError):
        return None


def own_packets(song: AudioFile) -> Iterator[bytes]:
    """The song's AAC packets, without ADTS headers."""
    try:
        yield from _packets(song)
    except (av.error.FFmpegError, _OtherError) as error:
        raise AudioError(f"{song.path}: changed while it was read") from error


def config(rate: int, channels: int) -> bytes:
    """The AudioSpecificConfig of AAC-LC (ISO/IEC 14496-3, 1.6.2.1), which decoders need."""
    return (2 << 11 | RATES.index(rate) << 7 | channels << 3).to_bytes(2, "big")


def _packets(song: AudioFile) -> Iterator[bytes]:
    codec = song.stream.codec_context
    if codec.name != "aac" or song.layout not in ("mono", "stereo") or song.rate not in RATES:
        raise _OtherError
    stated = bytes(codec.extradata or b"")
    if stated and stated[:2] != config(song.rate, song.channels):
        raise _OtherError
    for packet in song.packets():
        if packet.has_sidedata("new_extradata"):
            raise _OtherError
        data = bytes(packet)
        if not stated:  # ADTS, in a file of its own or in MPEG-TS
            data = _without_header(data, song)
        if not 0 < len(data) <= LONGEST_PACKET:
            raise _OtherError
        yield data


def _without_header(data: bytes, song: AudioFile) -> bytes:
    """The block of an ADTS frame (ISO/IEC 13818-7, 6.2) of the song's format."""
    bits = int.from_bytes(data[:7], "big")
    sync, protected = bits >> 44, not bits >> 40 & 1
    form = (bits >> 38 & 3, bits >> 34 & 15, bits >> 30 & 7)
    if sync != 0xFFF or form != (1, RATES.index(song.rate), song.channels):
        raise _OtherError
    if (bits >> 13 & 0x1FFF) != len(data) or bits & 3:  # several blocks have one header
        raise _OtherError
    return data[9 if protected else 7 :]


def _skipped(open_song: OpenSong) -> int:
    """How many samples of the first packets are not part of the song."""
    with open_song() as song:
        for number, packet in enumerate(song.packets(), 1):
            heard = sum(frame.samples for frame in packet.decode())
            if heard:
                return FRAME * number - heard
            if number == MOST_SKIPPED:
                break
    raise _OtherError


def _decoded(song: AudioFile) -> Iterator[F32]:
    """All samples of the packets as they will be copied."""
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    for data in _packets(song):
        if not decoder.is_open:
            decoder.extradata = config(song.rate, song.channels)
            decoder.sample_rate, decoder.layout = song.rate, song.layout
        frames = decoder.decode(av.Packet(data))
        samples = [np.asarray(frame.to_ndarray(), np.float32) for frame in frames if frame.sample_rate == song.rate]
        if [each.shape for each in samples] != [(song.channels, FRAME)]:
            raise _OtherError
        yield samples[0]


def _equal_samples(song: AudioFile, copy: Iterator[F32], skip: int, heed: Callable[[], None]) -> int:
    """The number of samples of a song that equal those of its copy after ``skip``."""
    held: F32 = np.zeros((song.channels, 0), np.float32)
    total = 0
    for block in song.blocks():
        heed()
        n = block.shape[1]
        total += n
        while held.shape[1] < n + skip:
            piece = next(copy, None)
            if piece is None:
                raise _OtherError
            held = np.concatenate((held, piece), axis=1)
        if not np.array_equal(held[:, skip : skip + n], block):
            raise _OtherError
        held, skip = held[:, skip + n :], 0
    left = held.shape[1] + sum(piece.shape[1] for piece in copy)
    if song.warnings or left >= FRAME:  # packets that are not heard
        raise _OtherError
    return total
