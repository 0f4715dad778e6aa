"""Rows: tables of songs that are read in parts, as they are long; FileRows and StoredRows lie in files."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ecs_core.errors import OutputError

IN_MEMORY = 1 << 20  # bytes: a minute and a half of mel bands; what grows in memory leaves holes there
_CHUNK = 8192  # rows copied at a time


class Rows(Protocol):
    """What can be read in parts, (rows, width): an array, or FileRows."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> NDArray[Any]: ...


class FileRows:
    """``count`` rows of ``width`` values that lie in ``file`` from byte ``offset`` on; the file stays open.

    A slice of them is an array of its own, (rows, width).
    """

    def __init__(self, file: Any, width: int, dtype: DTypeLike, *, count: int, offset: int = 0) -> None:
        self._file, self._width, self._dtype, self._count, self._offset = file, width, np.dtype(dtype), count, offset
        self._of: FileRows | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice, /) -> NDArray[Any]:
        first, stop, step = part.indices(self._count)
        rows = np.empty((max(0, stop - first), self._width), self._dtype)
        self._file.seek(self._offset + first * self._width * self._dtype.itemsize)
        if self._file.readinto(rows.reshape(-1).view(np.uint8).data) != rows.nbytes:
            raise OSError("the file of a table of rows was cut off")
        return rows[::step]

    @property
    def nbytes(self) -> int:
        """How many bytes all of them are."""
        return self._count * self._width * self._dtype.itemsize

    def part(self, first: int, last: int) -> FileRows:
        """Those from ``first`` up to but not including ``last``, still in the file."""
        first, last, _ = slice(first, last).indices(self._count)
        offset = self._offset + first * self._width * self._dtype.itemsize
        part = FileRows(self._file, self._width, self._dtype, count=max(0, last - first), offset=offset)
        part._of = self  # the file is gone with the rows that made it
        return part


class StoredRows(FileRows):
    """Rows of ``width`` values that are written from the first to the last; many lie in a file.

    That is one without a name in the folder for temporary files (TMPDIR), and is gone with the object.
    """

    def __init__(self, width: int, dtype: DTypeLike) -> None:
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the object
        super().__init__(file, width, dtype, count=0)
        weakref.finalize(self, file.close)

    def append(self, rows: NDArray[Any]) -> None:
        """Write the next rows.

        Raises:
            OutputError: the disk is full, or there is no folder for temporary files.
        """
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write a temporary file, see TMPDIR: {error.strerror or error}") from None
        self._count += len(rows)


def part_of(rows: Rows, first: int, last: int) -> Rows:
    """Rows from ``first`` up to but not including ``last``; nothing is read."""
    return rows.part(first, last) if isinstance(rows, FileRows) else rows[first:last]


def chunks_of(rows: Rows) -> Iterator[NDArray[Any]]:
    """Rows in parts that are small."""
    for first in range(0, len(rows), _CHUNK):
        yield rows[first : first + _CHUNK]


def write_npy(file: IO[bytes], rows: Rows) -> None:
    """Write rows as an ``.npy``, in parts.

    Raises:
        OSError: the file cannot be written.
    """
    like = rows[:0]
    header = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, {**header, "shape": (len(rows), like.shape[1])})
    for chunk in chunks_of(rows):
        file.write(np.ascontiguousarray(chunk).data)


def read_npy(file: Any) -> FileRows:
    """The rows of an ``.npy`` that begins where ``file`` is; they are read when they are looked at.

    Raises:
        ValueError: it is none of rows.
    """
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"version {version} of an .npy")
    shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
    if len(shape) != 2 or in_columns or dtype.hasobject:
        raise ValueError(f"shape {shape} of {dtype}: not rows")
    return FileRows(file, shape[1], dtype, count=shape[0], offset=file.tell())
