"""Small songs in every container that is allowed, to be damaged; and the bytes that containers are made of."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path

from tests.ecs_core.audio.samples import sweep, write_vorbis
from tests.media import write_song

# What the name ends with, codec, and whether there is a picture track beside the sound.
FORMATS = [
    ("wav", "pcm_s16le", False),
    ("flac", "flac", False),
    ("mp3", "libmp3lame", False),
    ("opus", "libopus", False),
    ("m4a", "aac", False),
    ("mp4", "aac", True),
    ("mov", "alac", False),
    ("mkv", "flac", True),
    ("webm", "libopus", False),
    ("aac", "aac", False),
    ("aiff", "pcm_s16be", False),
    ("caf", "alac", False),
    ("au", "pcm_s16be", False),
    ("w64", "pcm_s24le", False),
    ("ts", "mp2", False),
    ("ac3", "ac3", False),
    ("wma", "libmp3lame", False),
    ("wv", "wavpack", False),
    ("tta", "tta", False),
    ("avi", "libmp3lame", True),
    ("flv", "aac", False),
]


def songs(folder: Path) -> dict[str, bytes]:
    """A third of a second of sound in each format, by what its name ends with."""
    sound = sweep(0.35, rate=48_000, channels=2)
    made = {
        suffix: write_song(folder / f"song.{suffix}", sound, rate=48_000, codec=codec, picture=picture).read_bytes()
        for suffix, codec, picture in FORMATS
    }
    return {**made, "ogg": write_vorbis(folder / "song.ogg", sound, rate=48_000).read_bytes()}


def chunk(name: bytes, data: bytes, *, size: int | None = None) -> bytes:
    """A chunk of RIFF, which may lie about its size."""
    return name + struct.pack("<I", len(data) if size is None else size) + data + bytes(len(data) % 2)


def wav(
    data: bytes,
    *,
    form: int = 1,
    channels: int = 2,
    rate: int = 44_100,
    bits: int = 16,
    align: int | None = None,
    more: bytes = b"",
    before: bytes = b"",
    size: int | None = None,
) -> bytes:
    """A WAV file with any header."""
    align = channels * bits // 8 % 65_536 if align is None else align
    head = struct.pack("<HHIIHH", form, channels, rate, rate * align % (1 << 32), align, bits) + more
    body = b"WAVE" + chunk(b"fmt ", head) + before + chunk(b"data", data, size=size)
    return chunk(b"RIFF", body)


def box(name: bytes, data: bytes, *, size: int | None = None) -> bytes:
    """A box of MP4."""
    return struct.pack(">I", (8 + len(data) if size is None else size) % (1 << 32)) + name + data


def ebml(identity: int, data: bytes, *, size: int | None = None) -> bytes:
    """An element of Matroska, whose size takes eight bytes."""
    length = len(data) if size is None else size
    return identity.to_bytes((identity.bit_length() + 7) // 8) + ((1 << 56) | length).to_bytes(8) + data


def ebml_number(identity: int, value: int) -> bytes:
    return ebml(identity, value.to_bytes(8))


def matroska(tracks: bytes, clusters: bytes = b"", *, more: bytes = b"", size: int | None = None) -> bytes:
    """A Matroska file."""
    head = ebml(0x1A45DFA3, ebml(0x4282, b"matroska") + ebml_number(0x4287, 4) + ebml_number(0x4285, 2))
    info = ebml(0x1549A966, ebml_number(0x2AD7B1, 1_000_000))
    body = info + more + ebml(0x1654AE6B, tracks) + clusters
    return head + ebml(0x18538067, body, size=size)


def matroska_track(
    number: int = 1, *, codec: bytes = b"A_PCM/INT/LIT", rate: float = 44_100.0, channels: int = 2, more: bytes = b""
) -> bytes:
    audio = ebml(0xB5, struct.pack(">d", rate)) + ebml_number(0x9F, channels) + ebml_number(0x6264, 16)
    body = ebml_number(0xD7, number) + ebml_number(0x73C5, number) + ebml_number(0x83, 2) + ebml(0x86, codec)
    return ebml(0xAE, body + ebml(0xE1, audio) + more)


def matroska_cluster(*blocks: bytes, time: int = 0) -> bytes:
    return ebml(0x1F43B675, ebml_number(0xE7, time) + b"".join(ebml(0xA3, block) for block in blocks))


@cache
def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    """What a byte does to a checksum."""
    values = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
        values.append(value)
    return tuple(values)


def _crc(data: bytes, *, polynomial: int, bits: int) -> int:
    table, mask, shift, value = _table(polynomial, bits), (1 << bits) - 1, bits - 8, 0
    for byte in data:
        value = (value << 8) & mask ^ table[(value >> shift) ^ byte]
    return value


def flac(
    hours: float,
    *,
    rate: int = 44_100,
    says: int | None = None,
    channels: int = 2,
    more: bytes = b"",
    frames: bool = True,
) -> bytes:
    """Silence as FLAC: a dozen bytes for each 65 535 samples. It may say that it has any number of samples."""
    block = 65_535
    count = int(hours * 3600 * rate / block) + 1
    samples = count * block if says is None else says
    facts = struct.pack(">HH", block, block) + bytes(6)
    facts += ((rate << 44) | ((channels - 1) << 41) | (15 << 36) | samples).to_bytes(8) + bytes(16)
    head = b"fLaC" + (b"\0" if more else b"\x80") + len(facts).to_bytes(3) + facts + more
    if not frames:
        return head
    body = []
    for number in range(count):
        start = bytes([0xFF, 0xF9, 0x70, ((channels - 1) << 4) | 8]) + _utf8(number * block) + (block - 1).to_bytes(2)
        start += bytes([_crc(start, polynomial=0x07, bits=8)]) + bytes(
            3 * channels
        )  # subframes: constant, 16 bits of 0
        body.append(start + _crc(start, polynomial=0x8005, bits=16).to_bytes(2))
    return head + b"".join(body)


def _utf8(number: int) -> bytes:
    """A number as FLAC writes it: UTF-8 of up to seven bytes."""
    if number < 0x80:
        return bytes([number])
    length = 2
    while number >= 1 << (5 * length + 1):
        length += 1
    rest = [0x80 | ((number >> (6 * at)) & 0x3F) for at in reversed(range(length - 1))]
    first = ((0xFF00 >> length) & 0xFF) | (number >> (6 * (length - 1)))
    return bytes([first, *rest])


def ogg_page(
    data: bytes, *, serial: int, number: int, granule: int, flags: int = 0, lacing: bytes | None = None
) -> bytes:
    """A page of Ogg with one packet."""
    if lacing is None:
        lacing = bytes([255]) * (len(data) // 255) + bytes([len(data) % 255])
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, serial, number, 0) + bytes([len(lacing)]) + lacing
    checksum = _crc(head + data, polynomial=0x04C11DB7, bits=32)
    return head[:22] + struct.pack("<I", checksum) + head[26:] + data


def opus_head(channels: int = 2, rate: int = 48_000) -> bytes:
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 0, rate, 0, 0)


OPUS_TAGS = b"OpusTags" + struct.pack("<I", 4) + b"none" + bytes(4)


def png(width: int, height: int, *, rows: bytes = b"") -> bytes:
    """A picture that is as large as it says only once it is unpacked."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows, 9)) + part(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """The beginning of a picture of any size."""
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes([1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0])
    return b"\xff\xd8\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1]) * 64 + b"\xff\xc0" + frame + b"\xff\xd9"


def id3(*frames: bytes, size: int | None = None) -> bytes:
    """An ID3 tag, as stands at the beginning of an MP3."""
    body = b"".join(frames)
    length = len(body) if size is None else size
    return b"ID3\x03\0\0" + bytes((length >> shift) & 0x7F for shift in (21, 14, 7, 0)) + body


def id3_frame(name: bytes, data: bytes, *, size: int | None = None) -> bytes:
    return name + struct.pack(">IH", len(data) if size is None else size, 0) + data
