"""StoredRows: a table that is written from its start to its end and read in parts; a long one lies in a file."""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ecs_core.errors import OutputError

IN_MEMORY = 1 << 20  # bytes: a minute and a half of mel bands; what grows in memory leaves holes there


class Rows(Protocol):
    """What can be read in parts, (rows, width): an array, or StoredRows."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> NDArray[Any]: ...


class StoredRows:
    """Rows of ``width`` values. A slice of them is an array of its own, (rows, width).

    The file is one without a name in the folder for temporary files (TMPDIR), and is gone with the object.
    """

    def __init__(self, width: int, dtype: DTypeLike) -> None:
        self._width, self._dtype, self._count = width, np.dtype(dtype), 0
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the object
        weakref.finalize(self, self._file.close)

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

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice, /) -> NDArray[Any]:
        first, stop, step = part.indices(self._count)
        rows = np.empty((max(0, stop - first), self._width), self._dtype)
        self._file.seek(first * self._width * self._dtype.itemsize)
        self._file.readinto(rows.reshape(-1).view(np.uint8).data)
        return rows[::step]
