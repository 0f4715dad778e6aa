"""Where a file of a format ends: one that goes on is another file as well (a polyglot), one that stops is cut off.

For the sandboxed process: this walks through a client's bytes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from services.media.assets.kinds import AssetError

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # not stuffed, not a restart
_NO_LENGTH = (0x01, 0xD8)
_START, _SCAN, _END, _APP2 = 0xD8, 0xDA, 0xD9, 0xE2
_BOXES = frozenset(
    b"ftyp styp moov mdat free skip wide meta uuid pnot moof mfra sidx ssix prft emsg idat udta PICT pdin meco".split()
)
_MOST_SCANS = 100  # of a JPEG; progressive ones have about ten, and each costs as much as a picture
_EBML, _SEGMENT, _VOID = 0x1A45DFA3, 0x18538067, 0xEC


def check_end(data: bytes, form: str, path: Path) -> None:
    """Refuse a picture that is cut off, or that something follows; zeros may.

    Raises:
        AssetError: says so.
    """
    if form == "JPEG" and (scans := data.count(b"\xff\xda")) > _MOST_SCANS:
        raise AssetError(f"{path}: has {scans} scans; allowed: at most {_MOST_SCANS}")
    end = {"PNG": _end_of_png, "JPEG": _end_of_jpeg, "WEBP": _end_of_riff, "AVIF": _end_of_boxes}[form](data)
    _check(end, len(data), data[end:].strip(b"\0") != b"" if end is not None else False, path)


def check_video_end(file: BinaryIO, size: int, form: str, path: Path) -> None:
    """The same for a video, of which only the outer structure is read."""
    end = (_end_of_boxes_in if form == "MP4" else _end_of_matroska)(file, size)
    rest = 0
    if end is not None and end < size:
        file.seek(end)
        while chunk := file.read(1 << 20):
            rest += len(chunk.strip(b"\0"))
    _check(end, size, rest > 0, path)


def _check(end: int | None, size: int, more: bool, path: Path) -> None:
    if end is None or end > size:
        raise cut_off(path)
    if more:
        raise two_at_once(path, size - end)


def cut_off(path: Path) -> AssetError:
    """The error if the end of a file is missing."""
    return AssetError(f"{path}: is cut off: its end is missing")


def two_at_once(path: Path, size: int) -> AssetError:
    """The error if so many bytes follow the end of a file."""
    return AssetError(f"{path}: goes on for {size} bytes after its end, as files do that are two at once")


def _end_of_png(data: bytes) -> int | None:
    at = 8
    while at + 12 <= len(data):
        size, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        at += 12 + size
        if name == b"IEND":
            return at
    return None


def _end_of_jpeg(data: bytes) -> int | None:
    """The end of the picture; or of the last one, where an index of several (MPF) says so."""
    at, several = 2, False
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = found[0][1], found.end()
        if marker == _END:
            following = data.find(b"\xff\xd8", at) if several else -1
            if following < 0 or data[at:following].strip(b"\0"):
                return at
            at = following + 2
            continue
        if marker in _NO_LENGTH:
            continue
        size = int.from_bytes(data[at : at + 2])
        several = several or (marker == _APP2 and data[at + 2 : at + 6] == b"MPF\0")
        at += max(2, size)
    return None


def _end_of_riff(data: bytes) -> int | None:
    size = int.from_bytes(data[4:8], "little")
    return 8 + size + size % 2 if 8 + size + size % 2 <= len(data) else 8 + size


def _end_of_boxes(data: bytes) -> int | None:
    at = 0
    while at + 8 <= len(data):
        size, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if name not in _BOXES or (at and name == b"ftyp"):
            return at
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        at = len(data) if size == 0 else at + max(8, size)
    return at


def _end_of_boxes_in(file: BinaryIO, size: int) -> int | None:
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, name = int.from_bytes(head[:4]), head[4:8]
        if name not in _BOXES or (at and name == b"ftyp"):
            return at
        if length == 1:
            length = int.from_bytes(head[8:16])
        at = size if length == 0 else at + max(8, length)
    return at


def _end_of_matroska(file: BinaryIO, size: int) -> int | None:
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(12)
        name, used = _number(head, keep=True)
        length, more = _number(head[used:], keep=False)
        if name not in (_EBML, _SEGMENT, _VOID) or not more:
            return at
        if length == (1 << 7 * more) - 1:  # unknown: to the end
            return size
        at += used + more + length
    return at


def _number(data: bytes, *, keep: bool) -> tuple[int, int]:
    """A number of EBML, with or without the bit that tells its length; and that length in bytes, 0 if it is none."""
    if not data or not data[0]:
        return 0, 0
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return 0, 0
    value = int.from_bytes(data[:length])
    return (value if keep else value & ((1 << 7 * length) - 1)), length
