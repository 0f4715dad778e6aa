"""Hostile assets: every one is refused in one line, or becomes an asset within all limits; and touches nothing else."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecs_core import MotesError
from ecs_core.raster.video_file import video_index
from services.media.assets.checking import CheckedAsset, check_asset
from services.media.assets.limits import LONGEST_SIDE, LONGEST_VIDEO, MOST_PIXELS, STORED_VIDEO_SIDE
from services.media.sandbox.decoding_processes import decoding_server
from tests.hostile.bait import Bait, laid
from tests.services.media.asset_examples import examples, picture, video

CUTS, FLIPS = 12, 24  # of each example
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Hostile:
    """A file, and whether it must be refused."""

    name: str
    data: bytes
    refused: bool = False

    @property
    def family(self) -> str:
        return self.name.partition("/")[0]


def corpus(bait: Bait) -> Iterator[Hostile]:
    """All files, always the same ones."""
    for name, data in examples().items():
        draws = np.random.default_rng(zlib.crc32(name.encode()))
        for number, at in enumerate(sorted(draws.integers(1, len(data), CUTS))):
            yield Hostile(f"truncated/{number}-{name}", data[:at], refused=not name.startswith("lyrics"))
        for number in range(FLIPS):
            flipped = bytearray(data)
            for at in draws.integers(0, len(data), 1 + number // 3):
                flipped[at] ^= 1 << int(draws.integers(8))
            yield Hostile(f"flipped/{number}-{name}", bytes(flipped))
        for other, more in examples().items():
            if other != name and not name.startswith("lyrics"):
                yield Hostile(f"polyglots/{other}-behind-{name}", data + more, refused=True)
    yield from _bombs()
    yield from _references(bait)
    yield from _headers()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(wide: int, high: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, depth, colour, 0, 0, 0))
    return PNG + header + b"".join(chunks) + _chunk(b"IEND", b"")


def _bombs() -> Iterator[Hostile]:
    """A few bytes that become many."""
    packed = zlib.compress(bytes(100 << 20), 9)
    yield Hostile("bombs/pixels.png", _png(8192, 6000, _chunk(b"IDAT", packed)))
    yield Hostile("bombs/more-than-the-pixels.png", _png(10, 10, _chunk(b"IDAT", packed)))
    yield Hostile("bombs/claims.png", _png(2**31 - 1, 2**31 - 1, _chunk(b"IDAT", packed)), refused=True)
    text = _chunk(b"zTXt", b"k\0\0" + packed) * 20
    yield Hostile("bombs/text.png", _png(1, 1, text, _chunk(b"IDAT", zlib.compress(bytes(4)))), refused=True)
    profile = _chunk(b"iCCP", b"p\0\0" + packed)
    yield Hostile("bombs/profile.png", _png(1, 1, profile, _chunk(b"IDAT", zlib.compress(bytes(4)))))
    jpeg = bytearray(picture("JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    yield Hostile("bombs/claims.jpg", bytes(jpeg), refused=True)
    made = io.BytesIO()
    Image.new("RGB", (8000, 6250)).save(made, "WEBP", lossless=True, method=0)
    yield Hostile("bombs/black.webp", made.getvalue())
    made = io.BytesIO()
    Image.new("RGB", (8000, 6250)).save(made, "JPEG", progressive=True)
    yield Hostile("bombs/black.jpg", made.getvalue())
    scans = made.getvalue()
    at = scans.index(b"\xff\xda")
    yield Hostile("bombs/scans.jpg", scans[:-2] + scans[at:-2] * 60 + b"\xff\xd9", refused=True)
    yield Hostile("bombs/long.mp4", video(frames=3, apart=5000), refused=True)
    yield Hostile("bombs/far-apart.mp4", video(frames=3, apart=600))
    yield Hostile("bombs/wide.mp4", video(frames=2, wide=4096, high=2))
    data = bytearray(video("webm", "libvpx-vp9", wide=640, high=480, frames=9))
    data[20_000:22_000] = bytes(2000)
    yield Hostile("bombs/hole.webm", bytes(data))
    yield Hostile("bombs/lines.lrc", b"[00:01.00]\n" * 90_000, refused=True)
    yield Hostile("bombs/line.lrc", b"[00:01.00]" + b"a" * 900_000, refused=True)
    yield Hostile("bombs/times.lrc", b"[00:01" * 150_000, refused=True)


def _references(bait: Bait) -> Iterator[Hostile]:
    """Files that name others, or the network."""
    url = f"http://127.0.0.1:{bait.port}/canary"
    for name, text in {
        "link.svg": f'<svg xmlns:xlink="x"><image xlink:href="{url}"/></svg>',
        "entity.svg": f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY e SYSTEM "file://{bait.file}">]><svg>&e;</svg>',
        "list.mp4": f"ffconcat version 1.0\nfile {bait.file}\n",
        "list.m3u8": f"#EXTM3U\n#EXTINF:1,\n{url}\n",
        "page.html": f"<img src={url}>",
        "lyrics.vtt.txt": f"STYLE\n::cue {{ background: url({url}) }}\n",
    }.items():
        yield Hostile(f"references/{name}", text.encode(), refused=True)
    # A QuickTime file whose samples lie in another file.
    data = video()
    at = data.index(b"url \x00\x00\x00\x01")
    alias = data[: at + 4] + b"\0\0\0\0" + data[at + 8 :]
    yield Hostile("references/samples.mp4", alias)


def _headers() -> Iterator[Hostile]:
    """Headers that lie."""
    rows = _chunk(b"IDAT", zlib.compress(bytes(4)))
    for depth, colour in ((3, 2), (8, 5), (255, 255), (16, 3)):
        yield Hostile(f"headers/depth-{depth}-{colour}.png", _png(1, 1, rows, depth=depth, colour=colour), refused=True)
    yield Hostile("headers/no-pixels.png", _png(0, 0, rows), refused=True)
    yield Hostile("headers/no-rows.png", _png(1, 1), refused=True)
    yield Hostile("headers/nothing.png", PNG, refused=True)
    yield Hostile("headers/long-chunk.png", PNG + b"\xff\xff\xff\xffIHDR", refused=True)
    yield Hostile("headers/empty.webp", b"RIFF\x04\0\0\0WEBP", refused=True)
    yield Hostile("headers/empty.avif", b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", refused=True)
    yield Hostile("headers/empty.jpg", b"\xff\xd8\xff\xd9", refused=True)
    yield Hostile("headers/segments.jpg", b"\xff\xd8" + b"\xff\xe1\0\x02" * 100_000 + b"\xff\xd9", refused=True)
    yield Hostile("headers/boxes.mp4", b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08free" * 100_000, refused=True)
    yield Hostile("headers/no-size.mp4", b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\0moov", refused=True)
    yield Hostile("headers/ebml.webm", b"\x1a\x45\xdf\xa3" + b"\xff" * 100, refused=True)
    font = examples()["font.ttf"]
    yield Hostile("headers/tables.ttf", font[:4] + b"\xff\xff" + font[6:], refused=True)
    yield Hostile("headers/nothing.otf", b"OTTO", refused=True)
    yield Hostile("headers/nothing.woff2", b"wOF2" + bytes(60), refused=True)
    exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 14
    jpeg = picture("JPEG")
    yield Hostile("headers/exif.jpg", jpeg[:2] + exif + jpeg[2:])


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    """It ends with the tests of this module."""
    yield
    decoding_server().close()


@dataclass
class Run:
    """What came of each file: the asset, or the line in which it was refused; and how the bait was touched."""

    came: list[tuple[Hostile, CheckedAsset | str, Path]]
    taken: list[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("hostile-assets")
    came: list[tuple[Hostile, CheckedAsset | str, Path]] = []
    with laid(folder) as bait:
        files = list(corpus(bait))
        bait.taken()
        for number, hostile in enumerate(files):
            path, target = folder / f"{number}.file", folder / f"{number}.stored"
            path.write_bytes(hostile.data)
            try:
                found: CheckedAsset | str = check_asset(path, target, name="the file")
            except MotesError as error:
                found = str(error)
            came.append((hostile, found, target))
            path.unlink()
        yield Run(came, bait.taken())


FAMILIES = ("truncated", "flipped", "polyglots", "bombs", "references", "headers")


@pytest.mark.parametrize("family", FAMILIES)
def test_asset_is_checked_or_refused_in_one_line(run: Run, family: str) -> None:
    wrong = []
    mine = [each for each in run.came if each[0].family == family]
    assert mine
    for hostile, found, target in mine:
        if isinstance(found, str):
            if not found.startswith("the file: ") or not found.isprintable() or str(target.parent) in found:
                wrong.append(f"{hostile.name} is refused by another name, or in more than a line: {found!r}")
            if "invalid data" in found:
                wrong.append(f"{hostile.name} makes the decoder break its protocol: {found}")
        elif hostile.refused:
            wrong.append(f"{hostile.name} was taken: {found}")
    assert wrong == []


def test_pictures_that_were_taken_are_whole_and_small_enough(run: Run) -> None:
    for hostile, found, target in run.came:
        if not isinstance(found, str) and found.kind == "image":
            with Image.open(target) as image:
                assert image.format == "PNG", hostile.name
                assert max(image.size) <= LONGEST_SIDE, hostile.name
                assert image.width * image.height <= MOST_PIXELS, hostile.name
                image.load()


def test_videos_that_were_taken_are_ours_and_small_enough(run: Run) -> None:
    taken = [each for each in run.came if not isinstance(each[1], str) and each[1].kind == "video"]
    assert len(taken) > 2
    for hostile, found, target in taken:
        assert not isinstance(found, str)
        index = video_index(target)
        assert max(index.width, index.height) <= STORED_VIDEO_SIDE, hostile.name
        assert (index.width, index.height) == (found.facts["width"], found.facts["height"]), hostile.name
        assert float(index.seconds) == pytest.approx(found.facts["duration"], abs=0.01), hostile.name
        assert index.seconds <= LONGEST_VIDEO + 1, hostile.name
        assert target.read_bytes() != hostile.data


def test_no_other_file_or_connection_was_opened(run: Run) -> None:
    assert run.taken == []
    assert not any("canary" in found for _, found, _ in run.came if isinstance(found, str))
