"""Arrays in an ``.npz`` that processes map, so that each reads only the pages that it looks at.

It is an ordinary ``.npz`` without compression, as ``numpy.savez`` writes and ``numpy.load`` reads it, except that its
arrays begin at multiples of 64 bytes: kernels want aligned memory.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.stored_rows import FileRows, write_npy

_ALIGNMENT = 64  # bytes, as in the header of an .npy
_HEADER = struct.Struct("<26sHH")  # of a member of a zip file: the rest, and the lengths of its name and extra fields
_PADDING = 0xD935  # the extra field that Android's zipalign uses


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any] | FileRows]) -> None:
    """Write arrays by name; not objects, which only pickle could write. Rows of files are written in parts.

    Raises:
        OSError: the file cannot be written.
    """
    with ZipFile(path, "w", ZIP_STORED) as file:
        for name, array in arrays.items():
            member = ZipInfo(f"{name}.npy")
            assert file.fp is not None
            begins = file.fp.tell() + _HEADER.size + len(member.filename.encode()) + 4
            member.extra = struct.pack("<HH", _PADDING, -begins % _ALIGNMENT) + bytes(-begins % _ALIGNMENT)
            member.file_size = array.nbytes + _ALIGNMENT * 4  # roughly: zipfile wants to know whether it is huge
            with file.open(member, "w") as target:
                if isinstance(array, FileRows):
                    write_npy(target, array)
                else:
                    np.lib.format.write_array(target, np.asanyarray(array), allow_pickle=False)


def map_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, read-only; ``path`` may be deleted then. What cannot be mapped is read.

    Checksums of what is mapped are not looked at, as that would read all of it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds objects.
        zipfile.BadZipFile: it was cut off.
    """
    with path.open("rb") as file, ZipFile(file) as kept:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return {member.filename.removesuffix(".npy"): _array(file, kept, member, mapped) for member in kept.infolist()}


def _array(file: IO[bytes], kept: ZipFile, member: ZipInfo, mapped: mmap.mmap) -> NDArray[Any]:
    if member.compress_type == ZIP_STORED:
        _, name, extra = _HEADER.unpack_from(mapped, member.header_offset)
        file.seek(member.header_offset + _HEADER.size + name + extra)
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, in_columns, kind = np.lib.format.read_array_header_1_0(file)
            begins = file.tell()
            if not kind.hasobject and begins % kind.alignment == 0:
                found = np.ndarray(shape, kind, mapped, begins, order="F" if in_columns else "C")
                return found
    with kept.open(member) as source:  # numpy.savez aligns nothing
        read: NDArray[Any] = np.lib.format.read_array(source, allow_pickle=False)
    return read
