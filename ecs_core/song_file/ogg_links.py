"""Links of an Ogg file: songs one behind the other in the same file, each with its own codec, rate and layout.

FFmpeg stops at a link that differs from the first one, so each is opened as a file of its own.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_HEADER = 27  # bytes of a page before its table of segments
_CHUNK = 1 << 16
_FIRST = 2  # flag of the first page of a stream


@dataclass(frozen=True, slots=True)
class Link:
    """Bytes ``start`` up to but not including ``stop`` of a file."""

    start: int
    stop: int

    def open(self, path: Path) -> io.BufferedReader:
        """The link as a file."""
        return io.BufferedReader(_Part(path, self))


class _Part(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, path: Path, link: Link) -> None:
        self._file = path.open("rb")
        self._link, self._at = link, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._link.stop - self._link.start}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._file.seek(self._link.start + self._at)
        left = max(0, self._link.stop - self._link.start - self._at)
        data = self._file.read(min(len(buffer), left))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def links_of(path: Path) -> list[Link]:
    """The links of a chained Ogg file; empty if it is no Ogg file, or has one link alone."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return []
        starts, at, began, end = [0], 0, True, file.seek(0, io.SEEK_END)
        while at + _HEADER <= end:
            file.seek(at)
            head = file.read(_HEADER)
            if head[:4] != b"OggS":
                at = _next_page(file, at)  # damaged
                continue
            first = bool(head[5] & _FIRST)
            if first and not began:
                starts.append(at)
            began = first
            at += _HEADER + head[26] + sum(file.read(head[26]))
    stops = [*starts[1:], end]
    return [Link(*each) for each in zip(starts, stops, strict=True)] if len(starts) > 1 else []


def _next_page(file: IO[bytes], at: int) -> int:
    """Where the next page begins, or the end of the file."""
    while True:
        file.seek(at)
        data = file.read(_CHUNK)
        if (found := data.find(b"OggS")) >= 0:
            return at + found
        if len(data) < _CHUNK:
            return at + len(data)
        at += len(data) - 3
