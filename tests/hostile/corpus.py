"""The corpus: hostile files by name, the same ones every time. Families follow what is attacked.

A file's verdict says what must come of it: ``refused``, ``heard``, or ``either`` where both are right as long as it
ends within the limits.
"""

from __future__ import annotations

import base64
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tests.hostile.bait import Bait
from tests.hostile.containers import (
    OPUS_TAGS,
    box,
    chunk,
    ebml,
    ebml_number,
    flac,
    id3,
    id3_frame,
    jpeg,
    matroska,
    matroska_cluster,
    matroska_track,
    ogg_page,
    opus_head,
    png,
    songs,
    wav,
)

Verdict = Literal["refused", "heard", "either"]
SOUND = np.random.Generator(np.random.Philox(5)).integers(-9_000, 9_000, 4_000, np.int16).tobytes()


@dataclass(frozen=True)
class Hostile:
    """A file: what a client calls it, what is in it, and what must come of it."""

    name: str
    data: bytes
    verdict: Verdict = "either"

    @property
    def family(self) -> str:
        return self.name.partition("/")[0]

    def put(self, folder: Path) -> Path:
        """Write it, beside all others."""
        path = folder / self.name.replace("/", "--")
        path.write_bytes(self.data)
        return path


def targets(bait: Bait) -> dict[str, str]:
    """What files can refer to, by kind."""
    return {
        "relative": bait.file.name,
        "absolute": str(bait.file),
        "file": f"file://{bait.file}",
        "passwd": "/etc/passwd",
        "http": f"http://127.0.0.1:{bait.port}/song.wav",
        "tcp": f"tcp://127.0.0.1:{bait.port}",
        "udp": f"udp://127.0.0.1:{bait.port}",
        "concat": f"concat:{bait.file}|/etc/passwd",
        "subfile": f"subfile,,start,0,end,64,,:{bait.file}",
        "crypto": f"crypto:{bait.file}",
        "cache": f"cache:http://127.0.0.1:{bait.port}/",
        "data": "data:audio/wav;base64," + base64.b64encode(wav(SOUND)).decode(),
    }


def corpus(folder: Path, bait: Bait) -> list[Hostile]:
    """All files; ``folder`` is for songs on their way."""
    good = songs(folder)
    families: list[Iterator[Hostile]] = [
        _truncated(good),
        _flipped(good),
        _spliced(good),
        _references(good, bait),
        _wav_headers(),
        _flac_headers(),
        _mp4_headers(good),
        _mp3_headers(good),
        _bombs(),
        _streams(good),
        _rates_and_channels(),
        _empty_packets(good),
        _numbers(),
        _pictures(good, bait),
        _polyglots(good, bait),
        _trivial(),
        _nested(good),
        _matroska_tricks(),
        _ogg_tricks(good),
    ]
    found = [each for family in families for each in family]
    assert len({each.name for each in found}) == len(found)
    return found


def _draws(*words: object) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(zlib.crc32(repr(words).encode())))


def _truncated(good: dict[str, bytes]) -> Iterator[Hostile]:
    for suffix, data in good.items():
        for at, length in enumerate((11, 60, 300, len(data) // 2, len(data) - 3)):
            yield Hostile(f"truncated/{at}.{suffix}", data[:length])


def _flipped(good: dict[str, bytes]) -> Iterator[Hostile]:
    for suffix, data in good.items():
        for seed, (share, within) in enumerate([(0.02, 400), (0.1, 200), (0.001, None), (0.01, None), (0.0005, 4000)]):
            draws, damaged = _draws(suffix, seed), np.frombuffer(data, np.uint8).copy()
            part = damaged[: within or len(damaged)]
            hit = draws.random(len(part)) < share
            part[hit] ^= (1 << draws.integers(0, 8, int(hit.sum()))).astype(np.uint8)
            yield Hostile(f"flipped/{seed}.{suffix}", damaged.tobytes())


def _spliced(good: dict[str, bytes]) -> Iterator[Hostile]:
    """The beginning of one with the rest of another; and one with its parts in another order."""
    kinds = list(good)
    for number, suffix in enumerate(kinds):
        other = good[kinds[(number + 5) % len(kinds)]]
        yield Hostile(f"spliced/{number}.{suffix}", good[suffix][:500] + other[500:])
        parts = np.array_split(np.frombuffer(good[suffix], np.uint8), 9)
        order = _draws(suffix).permutation(len(parts) - 1) + 1
        shuffled = parts[0].tobytes() + b"".join(parts[at].tobytes() for at in order)
        yield Hostile(f"spliced/shuffled-{number}.{suffix}", shuffled)


def _references(good: dict[str, bytes], bait: Bait) -> Iterator[Hostile]:
    """Playlists and other files that name files: all of them in disguise, as a name is no obstacle."""
    lists: dict[str, Callable[[str], str]] = {
        "ffconcat": lambda url: f"ffconcat version 1.0\nfile '{url}'\n",
        "concat": lambda url: f"file '{url}'\nduration 5\n",
        "hls": lambda url: f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        "hls-key": lambda url: (
            f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n'
        ),
        "hls-master": lambda url: f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n",
        "dash": lambda url: (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'mediaPresentationDuration="PT1S">'
            f'<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL>'
            "</Representation></AdaptationSet></Period></MPD>"
        ),
        "xml": lambda url: f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "{url}">]><MPD>&b;</MPD>',
        "asx": lambda url: f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
        "pls": lambda url: f"[playlist]\nFile1={url}\nNumberOfEntries=1\n",
    }
    suffixes = ("wav", "mp3", "m4a", "flac", "ogg")
    for number, (kind, write) in enumerate(lists.items()):
        for at, (target, url) in enumerate(targets(bait).items()):
            suffix = suffixes[(number + at) % len(suffixes)]
            yield Hostile(f"references/{kind}-{target}.{suffix}", write(url).encode(), "refused")
    url = targets(bait)["http"]
    sdp = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {bait.port} RTP/AVP 0\n"
    yield Hostile("references/sdp.wav", sdp.encode(), "refused")
    yield Hostile("references/rtsp.wav", f"RTSPtext\nrtsp://127.0.0.1:{bait.port}/\n".encode(), "refused")
    yield Hostile("references/filter.wav", f"amovie={bait.file}[out0]".encode(), "refused")
    yield Hostile("references/id3-then-list.mp3", id3() + lists["ffconcat"](str(bait.file)).encode(), "refused")
    yield Hostile("references/cue.flac", f'FILE "{bait.file}" WAVE\n TRACK 01 AUDIO\n'.encode(), "refused")
    yield Hostile("references/link.mp3", id3(id3_frame(b"WXXX", b"\0\0" + url.encode())) + good["mp3"], "heard")
    # A QuickTime movie may keep its sound in another file, which its data reference names.
    for name, reference in {
        "url": box(b"url ", bytes(4) + f"file://{bait.file}".encode() + b"\0"),
        "http": box(b"url ", bytes(4) + url.encode() + b"\0"),
        "alias": box(b"alis", bytes(4) + _alias(bait.file)),
    }.items():
        dref = box(b"dref", bytes(4) + struct.pack(">I", 1) + reference)
        old = good["mov"].index(b"dref") - 4
        size = int.from_bytes(good["mov"][old : old + 4])
        moved = good["mov"][:old] + dref + good["mov"][old + size :]
        yield Hostile(f"references/movie-{name}.mov", _grown(moved, old, len(dref) - size))
    linked = ebml(0x3E83BB, str(bait.file).encode()) + ebml(0x3EB923, bytes(16))
    yield Hostile("references/linked.mkv", matroska(matroska_track(), more=ebml(0x1549A966, linked)))


def _alias(path: Path) -> bytes:
    """An alias as the Macintosh had it: the path stands under tag 2."""
    name = str(path).encode()
    head = bytes(4) + struct.pack(">HH", 150, 2) + bytes(142)
    return head + struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2) + struct.pack(">Hxx", 0xFFFF)


def _grown(data: bytes, at: int, by: int) -> bytes:
    """A movie in which every box around that place is larger by so much."""
    fixed, start, end = bytearray(data), 0, len(data)
    while start < end:
        size = int.from_bytes(fixed[start : start + 4])
        if start < at < start + size + max(by, 0) and fixed[start + 4 : start + 8] in (
            *(b"moov", b"trak", b"mdia", b"minf", b"dinf"),
        ):
            fixed[start : start + 4] = (size + by).to_bytes(4)
            start += 8
        else:
            start += max(size, 8)
    return bytes(fixed)


def _wav_headers() -> Iterator[Hostile]:
    for name, size in {"none": 0, "most": 0xFFFFFFFF, "half": 0x7FFFFFFF, "one": 1, "more": 10 * len(SOUND)}.items():
        yield Hostile(f"wav/data-{name}.wav", wav(SOUND, size=size))
    for bits in (0, 1, 7, 12, 24, 64, 128, 255, 65_535):
        yield Hostile(f"wav/bits-{bits}.wav", wav(SOUND, bits=bits, align=4))
    for align in (0, 1, 3, 65_535):
        yield Hostile(f"wav/align-{align}.wav", wav(SOUND, align=align))
    for form in (
        0,
        2,
        3,
        6,
        7,
        0x11,
        0x31,
        0x50,
        0x55,
        0x92,
        0xFF,
        0x161,
        0x162,
        0x163,
        0x2000,
        0x2001,
        0x674F,
        0xF1AC,
        0xFFFF,
    ):
        yield Hostile(f"wav/form-{form:04x}.wav", wav(SOUND, form=form, more=struct.pack("<H", 0)))
    for number, guid in enumerate((bytes(16), b"\xff" * 16, b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71")):
        more = struct.pack("<HHI", 22, 16, 0xFFFFFFFF) + guid
        yield Hostile(f"wav/extensible-{number}.wav", wav(SOUND, form=0xFFFE, more=more))
    yield Hostile("wav/extra.wav", wav(SOUND, more=struct.pack("<H", 65_535)))
    yield Hostile("wav/chunks.wav", wav(SOUND, before=chunk(b"JUNK", b"") * 50_000))
    yield Hostile(
        "wav/list.wav", wav(SOUND, before=chunk(b"LIST", b"INFO" + chunk(b"INAM", b"x" * 9, size=0xFFFFFFF0)))
    )
    yield Hostile(
        "wav/name.wav", wav(SOUND, before=chunk(b"LIST", b"INFO" + chunk(b"INAM", b"\x1b[2J\n\xff" * 9_999))), "heard"
    )
    yield Hostile("wav/no-format.wav", chunk(b"RIFF", b"WAVE" + chunk(b"data", SOUND)), "refused")
    yield Hostile("wav/no-data.wav", chunk(b"RIFF", b"WAVE" + chunk(b"fmt ", bytes(16))), "refused")
    yield Hostile(
        "wav/two-formats.wav", wav(SOUND, before=chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)))
    )
    yield Hostile("wav/in-wav.wav", wav(wav(wav(SOUND))), "heard")
    yield Hostile("wav/rf64.wav", b"RF64" + wav(SOUND, before=chunk(b"ds64", b"\xff" * 28))[4:])


def _flac_headers() -> Iterator[Hostile]:
    some = flac(0.0005)
    for name, data in {
        "says-everything": flac(0.0005, says=(1 << 36) - 1),
        "says-nothing": flac(0.0005, says=0),
        "only-head": flac(1.0, frames=False),
        "no-rate": some[:18] + b"\0\0\0" + some[21:],
        "blocks": some[:8] + b"\0\0\xff\xff" + some[12:],
        "big-part": some[:4] + b"\0" + some[5:42] + b"\x86\xff\xff\xff" + some[42:],
        "seeks": flac(0.0005, more=b"\x83" + (18 * 50_000).to_bytes(3) + b"\xff" * (18 * 50_000)),
        "parts": flac(0.0005, more=b"\x01\0\0\0" * 200_000 + b"\x81\0\0\0"),
        "comment": flac(0.0005, more=b"\x84\0\0\x10" + struct.pack("<II", 0xFFFFFFFF, 0) + bytes(8)),
        "comments": flac(0.0005, more=b"\x84\0\0\x10" + struct.pack("<II", 0, 0xFFFFFFFF) + bytes(8)),
        "eight": flac(0.0005, channels=8),
        "cut-frames": b"".join(some[at : at + 9] for at in range(0, len(some), 14)),
    }.items():
        yield Hostile(f"flac/{name}.flac", data)


def _mp4_headers(good: dict[str, bytes]) -> Iterator[Hostile]:
    """Each number that a table begins with, and then some: as large as it can be, or nothing."""
    song = good["m4a"]
    for name in (
        b"mvhd",
        b"mdhd",
        b"tkhd",
        b"stsd",
        b"stts",
        b"stsc",
        b"stsz",
        b"stco",
        b"elst",
        b"mp4a",
        b"esds",
        b"hdlr",
    ):
        at = song.find(name)
        if at < 0:
            continue
        for fill, value in {"most": b"\xff" * 4, "none": bytes(4), "many": b"\x0f\xff\xff\xff"}.items():
            for offset in (4, 8, 12, 16):
                if offset < 12 or fill == "most":
                    where = at + 4 + offset
                    yield Hostile(f"mp4/{name.decode()}-{offset}-{fill}.m4a", song[:where] + value + song[where + 4 :])
    for name in (b"ftyp", b"moov", b"trak", b"mdat", b"stbl"):
        at = song.index(name) - 4
        for size in (0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF):
            yield Hostile(f"mp4/size-{name.decode()}-{size:x}.m4a", song[:at] + size.to_bytes(4) + song[at + 4 :])
    yield Hostile("mp4/twice.m4a", song + song)
    yield Hostile("mp4/empty-movie.m4a", box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", b""), "refused")
    compressed = box(
        b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", (1 << 31).to_bytes(4) + zlib.compress(bytes(1 << 20)))
    )
    yield Hostile("mp4/compressed.mov", box(b"ftyp", b"qt  " + bytes(4)) + box(b"moov", compressed), "refused")


def _mp3_headers(good: dict[str, bytes]) -> Iterator[Hostile]:
    song = good["mp3"]
    song = song[song.index(b"\xff\xfb") :]
    xing = song.index(b"Info") if b"Info" in song else song.index(b"Xing")
    yield Hostile("mp3/frames.mp3", song[: xing + 8] + b"\xff" * 8 + song[xing + 16 :])
    yield Hostile("mp3/delay.mp3", song[: xing + 141] + b"\xff\xff\xff" + song[xing + 144 :])
    yield Hostile("mp3/tag-longer.mp3", id3(b"x" * 50, size=(1 << 28) - 1) + song)
    yield Hostile("mp3/frame-longer.mp3", id3(id3_frame(b"TIT2", b"x", size=0xFFFFFFFF)) + song)
    yield Hostile("mp3/tags.mp3", id3() * 20_000 + song)
    yield Hostile("mp3/frames-of-tag.mp3", id3(id3_frame(b"TXXX", b"\0a\0b") * 30_000) + song)
    packed = (1 << 30).to_bytes(4) + zlib.compress(bytes(1 << 24), 9)
    frame = b"TIT2" + struct.pack(">IH", len(packed), 0x0080) + packed
    yield Hostile("mp3/packed-tag.mp3", id3(frame) + song)
    yield Hostile("mp3/sync.mp3", b"\xff\xfb\x90\x64" * 50_000)
    yield Hostile("mp3/free.mp3", b"\xff\xfb\x00\x00" + bytes(100_000))
    yield Hostile(
        "mp3/layers.mp3", b"".join(bytes([0xFF, 0xF0 | each, 0x90, 0]) + bytes(400) for each in range(16)) * 20
    )
    yield Hostile(
        "mp3/ape-tag.mp3", song + b"APETAGEX" + struct.pack("<IIII", 2000, 0xFFFFFFFF, 0xFFFFFFFF, 0) + bytes(8)
    )


def _bombs() -> Iterator[Hostile]:
    """Small files that are long, or say so."""
    yield Hostile("bombs/hour.flac", flac(1.0), "heard")
    yield Hostile("bombs/four-hours.flac", flac(4.0, rate=16_000), "refused")
    yield Hostile("bombs/hundreds-of-hours.flac", flac(0.001, says=300 * 3600 * 44_100))
    yield Hostile("bombs/hundreds-of-hours.wav", wav(SOUND, rate=1_000, size=0x7FFFFFF0))
    yield Hostile(
        "bombs/adpcm.wav",
        wav(bytes(400_000), form=0x11, channels=1, bits=4, align=65_535, more=struct.pack("<HH", 2, 65_529)),
    )
    yield Hostile("bombs/opus.opus", _opus(5_000, packet=b"\xfb\x30"))  # 48 frames of 2.5 ms with nothing in them
    yield Hostile("bombs/granule.opus", _opus(3, last=(1 << 62)))


def _opus(packets: int, *, packet: bytes = b"\xf8\xff\xfe", last: int | None = None, serial: int = 1) -> bytes:
    """Silence as Opus."""
    head = ogg_page(opus_head(), serial=serial, number=0, granule=0, flags=2)
    body = head + ogg_page(OPUS_TAGS, serial=serial, number=1, granule=0)
    rest = []
    for number in range(packets):
        final = number == packets - 1
        granule = last if final and last is not None else 960 * (number + 1)
        rest.append(ogg_page(packet, serial=serial, number=number + 2, granule=granule, flags=4 if final else 0))
    return body + b"".join(rest)


def _streams(good: dict[str, bytes]) -> Iterator[Hostile]:
    """Thousands of them."""
    block = b"\x81\0\0\x80" + SOUND
    yield Hostile("streams/5000.mkv", matroska(b"".join(map(_track, range(1, 5_001))), matroska_cluster(block)))
    yield Hostile(
        "streams/flac.mkv", matroska(b"".join(_track(at, b"A_FLAC") for at in range(1, 3_001)), matroska_cluster(block))
    )
    yield Hostile("streams/same.mkv", matroska(matroska_track() * 2_000, matroska_cluster(block)))
    song = good["m4a"]
    at = song.index(b"trak") - 4
    track = song[at : at + int.from_bytes(song[at : at + 4])]
    yield Hostile(
        "streams/3000.m4a", _grown(song[:at] + track * 3_000 + song[at + len(track) :], at + 1, 2_999 * len(track))
    )
    heads = b"".join(ogg_page(opus_head(), serial=each, number=0, granule=0, flags=2) for each in range(2_000))
    yield Hostile("streams/2000.opus", heads)
    yield Hostile("streams/programs.ts", _transport(3_000))
    avi = good["avi"]
    at = avi.index(b"LIST", 12 + 8 + 4)
    yield Hostile("streams/says-many.avi", avi[:56] + struct.pack("<I", 100_000) + avi[60:])
    yield Hostile("streams/lists.avi", avi[:at] + avi[at : at + 200] * 500 + avi[at:])


def _track(number: int, codec: bytes = b"A_PCM/INT/LIT") -> bytes:
    return matroska_track(number, codec=codec)


def _transport(streams: int) -> bytes:
    """MPEG-TS whose tables promise many streams, in many programs."""
    packets = []
    for number in range(streams // 30):
        entries = b"".join(
            struct.pack(">BHH", 0x0F, 0xE000 | (0x100 + 30 * number + at) % 0x1FFF, 0xF000) for at in range(30)
        )
        body = struct.pack(">HBBBHH", number + 1, 0xC1, 0, 0, 0xE100, 0xF000) + entries
        section = b"\x02" + struct.pack(">H", 0xB000 | (len(body) + 4)) + body
        packet = b"\x47" + struct.pack(">HB", 0x4000 | (0x20 + number), 0x10) + b"\0" + section + bytes(4)
        packets.append(packet.ljust(188, b"\xff")[:188])
    programs = b"".join(struct.pack(">HH", number + 1, 0xE000 | (0x20 + number)) for number in range(40))
    table = (
        b"\0"
        + struct.pack(">H", 0xB000 | (9 + len(programs)))
        + struct.pack(">HBBB", 1, 0xC1, 0, 0)
        + programs
        + bytes(4)
    )
    first = (b"\x47\x40\0\x10\0" + table).ljust(188, b"\xff")[:188]
    return (first + b"".join(packets)) * 5


def _rates_and_channels() -> Iterator[Hostile]:
    for rate in (0, 1, 7, 999, 768_001, 10_000_000, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Hostile(f"rates/{rate}.wav", wav(SOUND, rate=rate), "refused")
    for rate in (1_000, 768_000):
        yield Hostile(f"rates/{rate}.wav", wav(SOUND, rate=rate), "heard")
    for rate in (0.0, -44_100.0, math.nan, math.inf, 1e300, 5e-324):
        data = matroska(matroska_track(rate=rate), matroska_cluster(b"\x81\0\0\x80" + SOUND))
        yield Hostile(f"rates/{rate}.mkv", data)
    aiff = struct.pack(">hIh", 2, 2_000, 16)
    for name, rate80 in {"most": b"\x7f\xff" + b"\xff" * 8, "zero": bytes(10), "nan": b"\xff" * 10}.items():
        body = (
            b"AIFF"
            + b"COMM"
            + struct.pack(">I", 18)
            + aiff
            + rate80
            + b"SSND"
            + struct.pack(">III", 8 + len(SOUND), 0, 0)
        )
        yield Hostile(f"rates/{name}.aiff", b"FORM" + struct.pack(">I", len(body)) + body + SOUND)
    for channels in (0, 8, 9, 16, 24, 63, 64, 255, 256, 32_767, 65_535):
        align = min(2 * channels, 65_535)
        yield Hostile(f"channels/{channels}.wav", wav(SOUND * 40, channels=channels, align=align))
    for channels in (0, 9, 65_535, 1 << 31, 1 << 62):
        data = matroska(matroska_track(channels=channels), matroska_cluster(b"\x81\0\0\x80" + SOUND))
        yield Hostile(f"channels/{channels}.mkv", data)
    for channels in (0, 3, 255):
        head = ogg_page(opus_head(channels), serial=1, number=0, granule=0, flags=2)
        yield Hostile(f"channels/{channels}.opus", head + _opus(3)[len(head) :])
    yield Hostile("channels/many.au", b".snd" + struct.pack(">IIIII", 24, 0xFFFFFFFF, 3, 44_100, 1 << 20) + SOUND)


def _empty_packets(good: dict[str, bytes]) -> Iterator[Hostile]:
    yield Hostile("empty-packets/blocks.mkv", matroska(matroska_track(), matroska_cluster(*[b"\x81\0\0\x80"] * 50_000)))
    for codec in (b"A_FLAC", b"A_OPUS", b"A_AAC", b"A_MPEG/L3", b"A_AC3", b"A_VORBIS", b"A_ALAC", b"A_TTA1"):
        data = matroska(matroska_track(codec=codec), matroska_cluster(*[b"\x81\0\0\x80"] * 200, b"\x81\0\0\x80\0"))
        yield Hostile(f"empty-packets/{codec.decode().replace('/', '-')}.mkv", data)
    yield Hostile("empty-packets/pages.opus", _opus(20_000, packet=b""))
    lacing = bytes(255)
    pages = b"".join(ogg_page(b"", serial=1, number=at + 2, granule=at, lacing=lacing) for at in range(500))
    yield Hostile("empty-packets/lacing.opus", _opus(0) + pages)
    song = good["m4a"]
    at = song.index(b"stsz") + 8
    count = int.from_bytes(song[at + 4 : at + 8])
    yield Hostile("empty-packets/sizes.m4a", song[: at + 8] + bytes(4 * count) + song[at + 8 + 4 * count :])
    yield Hostile("empty-packets/chunks.avi", good["avi"] + chunk(b"01wb", b"") * 50_000)
    yield Hostile("empty-packets/tags.flv", good["flv"] + (b"\x08" + bytes(10) + struct.pack(">I", 11)) * 50_000)
    yield Hostile(
        "empty-packets/transport.ts", good["ts"] + (b"\x47\x41\0\x10\0\0\x01\xc0\0\0" + b"\xff" * 178) * 2_000
    )


def _numbers() -> Iterator[Hostile]:
    """Floats that are no sound."""
    for name, value in {"nan": math.nan, "inf": math.inf, "most": 3e38, "denormal": 1e-44}.items():
        for suffix, code in {"f32": "<f4", "f64": "<f8"}.items():
            kind = np.dtype(code)
            samples = np.full(4_000, value, kind)
            samples[1::2] *= -1
            data = wav(samples.tobytes(), form=3, bits=8 * kind.itemsize)
            yield Hostile(f"numbers/{name}-{suffix}.wav", data, "heard")
    draws = _draws("floats")
    yield Hostile("numbers/noise.wav", wav(draws.bytes(40_000), form=3, bits=32), "heard")
    floats = matroska_track(codec=b"A_PCM/FLOAT/IEEE", more=b"").replace(
        ebml_number(0x6264, 16), ebml_number(0x6264, 32)
    )
    block = b"\x81\0\0\x80" + np.full(2_000, math.nan, "<f4").tobytes()
    yield Hostile("numbers/nan.mkv", matroska(floats, matroska_cluster(block)))
    body = b".snd" + struct.pack(">IIIII", 24, 0xFFFFFFFF, 6, 44_100, 2)
    yield Hostile("numbers/nan.au", body + np.full(2_000, math.nan, ">f4").tobytes(), "heard")


def _pictures(good: dict[str, bytes], bait: Bait) -> Iterator[Hostile]:
    """Covers that are larger than they look."""
    covers = {
        "png": (b"image/png", png(20_000, 20_000, rows=bytes(8_000_000))),
        "png-most": (b"image/png", png(0x7FFFFFFF, 0x7FFFFFFF)),
        "png-real": (b"image/png", png(4_000, 4_000, rows=bytes(16_001 * 4_000))),
        "jpeg": (b"image/jpeg", jpeg(65_500, 65_500)),
        "gif": (
            b"image/gif",
            b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0xF7, 0, 0) + bytes(768) + b"," + bytes(9),
        ),
        "bmp": (b"image/bmp", b"BM" + struct.pack("<IIIIiiHHI", 54, 0, 54, 40, 60_000, 60_000, 1, 32, 0) + bytes(20)),
        "svg": (b"image/svg+xml", f'<svg><image href="file://{bait.file}"/></svg>'.encode()),
        "link": (b"-->", targets(bait)["http"].encode()),
        "large": (b"image/png", png(8, 8) + bytes(4 << 20)),
    }
    song = good["m4a"]
    movie = song.index(b"moov") - 4
    size = int.from_bytes(song[movie : movie + 4])
    for name, (kind, data) in covers.items():
        picture = (
            struct.pack(">II", 3, len(kind))
            + kind
            + struct.pack(">IIIIII", 0, 0xFFFFFFFF, 0xFFFFFFFF, 32, 0, len(data))
            + data
        )
        part = b"\x86" + len(picture).to_bytes(3)
        yield Hostile(f"pictures/{name}.flac", flac(0.0005, more=part + picture), "heard")
        tag = id3(id3_frame(b"APIC", b"\0" + kind + b"\0\x03\0" + data))
        yield Hostile(f"pictures/{name}.mp3", tag + good["mp3"])
        cover = box(
            b"udta", box(b"meta", bytes(4) + box(b"ilst", box(b"covr", box(b"data", struct.pack(">II", 14, 0) + data))))
        )
        moved = (
            song[:movie]
            + (size + len(cover)).to_bytes(4)
            + song[movie + 4 : movie + size]
            + cover
            + song[movie + size :]
        )
        yield Hostile(f"pictures/{name}.m4a", moved)
        attached = ebml(0x1941A469, ebml(0x61A7, ebml(0x466E, b"cover") + ebml(0x4660, kind) + ebml(0x465C, data)))
        block = b"\x81\0\0\x80" + SOUND
        yield Hostile(
            f"pictures/{name}.mkv", matroska(matroska_track(), matroska_cluster(block), more=attached), "heard"
        )
    lying = b"\x86\0\0\x30" + struct.pack(">III", 3, 0xFFFFFFFF, 0) + bytes(36)
    yield Hostile("pictures/lying.flac", flac(0.0005, more=lying))
    video = png(16_000, 16_000, rows=bytes(1_000_000))
    track = ebml(0xAE, ebml_number(0xD7, 2) + ebml_number(0x83, 1) + ebml(0x86, b"V_MS/VFW/FOURCC"))
    yield Hostile(
        "pictures/film.mkv",
        matroska(matroska_track() + track, matroska_cluster(b"\x82\0\0\x80" + video, b"\x81\0\0\x80" + SOUND)),
    )


def _polyglots(good: dict[str, bytes], bait: Bait) -> Iterator[Hostile]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../etc/passwd"), "root")
    archive_bytes = packed.getvalue()
    page = f'<html><img src="{targets(bait)["http"]}"><script>1</script>'.encode()
    yield Hostile("polyglots/wav-zip.wav", good["wav"] + archive_bytes, "heard")
    yield Hostile("polyglots/zip-wav.wav", archive_bytes + good["wav"], "refused")
    for name, head in {
        "html": page,
        "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n",
        "shell": b"#!/bin/sh\ncat /etc/passwd\nexit\n",
        "elf": b"\x7fELF\x02\x01\x01" + bytes(57),
        "gif": b"GIF89a" + bytes(20),
        "png": png(8, 8),
        "jpeg": jpeg(8, 8),
        "pickle": b"\x80\x04cos\nsystem\n",
        "gzip": b"\x1f\x8b\x08\0" + bytes(6),
        "list": b"ffconcat version 1.0\nfile " + bait.file.name.encode() + b"\n",
        "m3u": b"#EXTM3U\n" + targets(bait)["http"].encode() + b"\n",
    }.items():
        yield Hostile(f"polyglots/{name}.mp3", head + good["mp3"])
        yield Hostile(f"polyglots/{name}-tagged.mp3", id3() + head + good["mp3"])
    for suffix in ("flac", "wav", "opus", "m4a", "mkv"):
        yield Hostile(f"polyglots/id3.{suffix}", id3(id3_frame(b"TIT2", b"\0x")) + good[suffix])
    yield Hostile("polyglots/movie-in-wav.wav", wav(SOUND, before=chunk(b"JUNK", good["m4a"])), "heard")
    yield Hostile("polyglots/wav-in-movie.m4a", box(b"free", good["wav"]) + good["m4a"])


def _trivial() -> Iterator[Hostile]:
    for name, data in {
        "empty": b"",
        "zero": b"\0",
        "one": b"\xff",
        "newline": b"\n",
        "text": b"no song\n" * 200,
        "zeros": bytes(100_000),
        "percent": b"%s%n" * 500,
        "brackets": b"[" * 100_000,
        "braces": b'{"a":' * 50_000,
    }.items():
        for suffix in ("wav", "mp3"):
            yield Hostile(f"trivial/{name}.{suffix}", data, "refused")
    for name, magic in {
        "riff": b"RIFF",
        "wave": b"RIFF\xff\xff\xff\xffWAVE",
        "flac": b"fLaC",
        "ogg": b"OggS",
        "id3": b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
        "mp3": b"\xff\xfb",
        "adts": b"\xff\xf1",
        "ftyp": b"\0\0\0\x18ftypisom",
        "ebml": b"\x1a\x45\xdf\xa3",
        "caf": b"caff\0\x01",
        "form": b"FORM\0\0\0\0AIFF",
        "snd": b".snd",
        "ac3": b"\x0b\x77",
        "wvpk": b"wvpk",
        "tta": b"TTA1",
        "asf": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
        "ape": b"MAC ",
        "flv": b"FLV\x01",
        "dts": b"\x7f\xfe\x80\x01",
    }.items():
        yield Hostile(f"trivial/{name}-only", magic, "refused")
        yield Hostile(f"trivial/{name}-noise", magic + _draws(name).bytes(20_000))
        yield Hostile(f"trivial/{name}-ones", magic + b"\xff" * 5_000)


def _nested(good: dict[str, bytes]) -> Iterator[Hostile]:
    for name in (b"moov", b"udta", b"trak", b"meta"):
        data = b""
        for _ in range(3_000):
            data = box(name, data)
        yield Hostile(f"nested/{name.decode()}.m4a", box(b"ftyp", b"isom" + bytes(4)) + data, "refused")
    endless = box(b"moov", b"", size=1 << 30) * 20_000
    yield Hostile("nested/endless.m4a", box(b"ftyp", b"isom" + bytes(4)) + endless)
    for identity in (0x1654AE6B, 0xAE, 0x1941A469, 0x1254C367):
        data = b""
        for _ in range(3_000):
            data = ebml(identity, data)
        yield Hostile(f"nested/{identity:x}.mkv", matroska(data))
    tags = b""
    for _ in range(2_000):
        tags = ebml(0x67C8, ebml(0x45A3, b"a") + ebml(0x4487, b"b") + tags)
    yield Hostile("nested/tags.mkv", matroska(matroska_track(), more=ebml(0x1254C367, ebml(0x7373, tags))))
    riff = b""
    for _ in range(3_000):
        riff = chunk(b"LIST", b"INFO" + riff)
    yield Hostile("nested/list.wav", wav(SOUND, before=riff))
    yield Hostile("nested/list.avi", good["avi"][:12] + riff + good["avi"][12:])


def _matroska_tricks() -> Iterator[Hostile]:
    block = b"\x81\0\0\x80" + SOUND
    bomb = b"\x81\0\0\x80" + zlib.compress(zlib.compress(bytes(64 << 20)), 9)
    packing = ebml(
        0x6D80, ebml(0x6240, ebml_number(0x5031, 0) + ebml_number(0x5033, 0) + ebml(0x5034, ebml_number(0x4254, 0)))
    )
    single = b"\x81\0\0\x80" + zlib.compress(bytes(64 << 20))
    yield Hostile("matroska/packed.mkv", matroska(matroska_track(more=packing), matroska_cluster(single)))
    yield Hostile("matroska/packed-twice.mkv", matroska(matroska_track(more=packing * 2), matroska_cluster(bomb)))
    yield Hostile("matroska/packed-often.mkv", matroska(matroska_track(more=packing), matroska_cluster(*[single] * 20)))
    header = ebml(0x6D80, ebml(0x6240, ebml(0x5034, ebml_number(0x4254, 3) + ebml(0x4255, bytes(1 << 20)))))
    yield Hostile(
        "matroska/prefixed.mkv", matroska(matroska_track(more=header), matroska_cluster(*[b"\x81\0\0\x80\0"] * 400))
    )
    sizes = {"unknown": (1 << 56) - 1, "most": (1 << 56) - 2, "none": 0, "large": 1 << 40}
    for name, size in sizes.items():
        yield Hostile(f"matroska/segment-{name}.mkv", matroska(matroska_track(), matroska_cluster(block), size=size))
        private = ebml(0x63A2, b"\0" * 40, size=size)
        yield Hostile(f"matroska/private-{name}.mkv", matroska(matroska_track(more=private), matroska_cluster(block)))
        void = ebml(0xEC, b"", size=size)
        yield Hostile(f"matroska/void-{name}.mkv", matroska(matroska_track(), matroska_cluster(block), more=void))
    for lacing in (0x02, 0x04, 0x06):
        lying = b"\x81\0\0" + bytes([0x80 | lacing]) + b"\xff" + b"\xff" * 300
        yield Hostile(f"matroska/lacing-{lacing}.mkv", matroska(matroska_track(), matroska_cluster(*[lying] * 50)))
    seek = ebml(0x114D9B74, ebml(0x4DBB, ebml(0x53AB, b"\x11\x4d\x9b\x74") + ebml_number(0x53AC, 0)) * 2_000)
    yield Hostile("matroska/seek-itself.mkv", matroska(matroska_track(), matroska_cluster(block), more=seek))
    yield Hostile("matroska/no-tracks.mkv", matroska(b"", matroska_cluster(block)), "refused")
    yield Hostile("matroska/no-number.mkv", matroska(ebml(0xAE, b""), matroska_cluster(block)), "refused")
    yield Hostile("matroska/clusters.mkv", matroska(matroska_track(), ebml(0x1F43B675, b"") * 50_000))
    far = [matroska_cluster(block, time=at << 40) for at in range(100)]
    yield Hostile("matroska/times.mkv", matroska(matroska_track(), b"".join(far)))
    scale = ebml(0x1549A966, ebml_number(0x2AD7B1, (1 << 64) - 1) + ebml(0x4489, struct.pack(">d", math.nan)))
    yield Hostile("matroska/scale.mkv", matroska(matroska_track(), matroska_cluster(block), more=scale))
    for codec in (
        b"A_REAL/COOK",
        b"A_QUICKTIME",
        b"A_MS/ACM",
        b"A_ATRAC/AT1",
        b"A_DTS",
        b"A_TRUEHD",
        b"A_WAVPACK4",
        b"A_UNKNOWN",
    ):
        yield Hostile(
            f"matroska/{codec.decode().replace('/', '-')}.mkv",
            matroska(matroska_track(codec=codec), matroska_cluster(block)),
        )


def _ogg_tricks(good: dict[str, bytes]) -> Iterator[Hostile]:
    yield Hostile("ogg/chained.opus", _opus(30) + _opus(30, serial=2), "heard")
    yield Hostile("ogg/chains.opus", b"".join(_opus(2, serial=each) for each in range(1, 400)))
    mono = _opus(30, serial=2).replace(opus_head(), opus_head(1))
    yield Hostile("ogg/other-channels.opus", _opus(30) + mono)
    yield Hostile("ogg/vorbis-then-opus.ogg", good["ogg"] + good["opus"])
    yield Hostile("ogg/opus-then-vorbis.opus", good["opus"] + good["ogg"])
    one, two = (_pages(good["opus"]), _pages(_opus(20, serial=2)))
    mixed = [page for pair in zip(one, two, strict=False) for page in pair]
    yield Hostile("ogg/multiplexed.opus", b"".join(mixed))
    pages = _pages(good["opus"])
    yield Hostile("ogg/backwards.opus", b"".join([*pages[:2], *reversed(pages[2:])]))
    yield Hostile("ogg/one-page-often.opus", b"".join([*pages[:2], *pages[2:3] * 300]))
    yield Hostile("ogg/no-head.opus", b"".join(pages[1:]))
    yield Hostile("ogg/heads.opus", b"".join(pages[:1] * 3_000))
    for name, granule in {"most": (1 << 63) - 1, "least": -(1 << 63), "back": -1}.items():
        packets = [ogg_page(b"\xf8\xff\xfe", serial=1, number=at + 2, granule=granule) for at in range(50)]
        yield Hostile(f"ogg/granule-{name}.opus", _opus(0) + b"".join(packets))
    yield Hostile(
        "ogg/continued.opus",
        _opus(0)
        + b"".join(
            ogg_page(bytes(65_025), serial=1, number=at + 2, granule=-1, flags=1, lacing=b"\xff" * 255)
            for at in range(10)
        ),
    )
    yield Hostile("ogg/comment.opus", _opus(3).replace(OPUS_TAGS[8:12], struct.pack("<I", 0xFFFFFFFF)))


def _pages(data: bytes) -> list[bytes]:
    parts = data.split(b"OggS")
    return [b"OggS" + part for part in parts[1:]]
