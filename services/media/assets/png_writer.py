"""PngWriter: pixels, as they arrive, into a PNG file. They are only numbers here; nothing is decoded."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {3: 2, 4: 6}  # RGB, and RGB with alpha
_UP = 2  # the filter: each row as its difference from the one above, which compresses well and is quick
_LEVEL = 3  # larger ones take several times as long for some per cent


class PngWriter:
    """A PNG with 8 bits a channel in sRGB; ``channels`` is 3, or 4 with straight alpha. Blocking."""

    def __init__(self, file: BinaryIO, width: int, height: int, channels: int) -> None:
        self._file, self._row = file, width * channels
        self._above: NDArray[np.uint8] = np.zeros(self._row, np.uint8)
        self._rest, self._packer = b"", zlib.compressobj(_LEVEL)
        file.write(_SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0))
        self._chunk(b"sRGB", b"\0")

    def write(self, pixels: bytes) -> None:
        """Add pixels; they need not be whole rows."""
        data = self._rest + pixels
        whole = len(data) // self._row * self._row
        self._rest = data[whole:]
        if not whole:
            return
        rows = np.frombuffer(data, np.uint8, whole).reshape(-1, self._row)
        filtered = np.empty((len(rows), self._row + 1), np.uint8)
        filtered[:, 0] = _UP
        np.subtract(rows[0], self._above, out=filtered[0, 1:])
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        self._above = rows[-1].copy()
        self._data(self._packer.compress(filtered.data))

    def close(self) -> None:
        """Write the end; the file stays open."""
        self._data(self._packer.flush())
        self._chunk(b"IEND", b"")

    def _data(self, packed: bytes) -> None:
        if packed:
            self._chunk(b"IDAT", packed)

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + name + data)
        self._file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))
