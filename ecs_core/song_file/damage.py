"""Damage of a song's file that FFmpeg does not tell of."""

from __future__ import annotations

import os
from pathlib import Path

_UNKNOWN_SIZE = 0x7FFFFFFF  # from here on: placeholders of programs that did not know the size
_OGG_PAGE = 65_307  # bytes of the longest page


def breaks_off(path: Path) -> bool:
    """Whether a WAV, W64 or Ogg file is shorter than its last chunk or page claims; FFmpeg does not check that."""
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
        elif head[:4] == b"riff":  # W64: names of 16 bytes, and sizes of 8 that count themselves and the name
            file.seek(40)
            while len(chunk := file.read(24)) == 24 and (size := int.from_bytes(chunk[16:], "little")) >= 24:
                if chunk[:4] == b"data":
                    return file.tell() - 24 + size > end
                file.seek((size - 24 + 7) // 8 * 8, os.SEEK_CUR)
        elif head[:4] == b"OggS":
            file.seek(max(0, end - _OGG_PAGE))
            tail = file.read()
            page = tail[tail.rfind(b"OggS") :]
            return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
    return False
