"""Arrays in files: mapped rather than read, aligned, and still ordinary ``.npz`` files."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray

from services.worker.mapped_arrays import map_arrays, save_arrays

ARRAYS: dict[str, NDArray[Any]] = {
    "facts": np.array('{"é": 1}'),
    "feature:bass": np.linspace(0, 1, 1001, dtype=np.float32),
    "nothing": np.zeros(0, np.float32),
    "event:é": np.arange(3, dtype=np.float64),
    "rows": np.arange(12, dtype=np.float32).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(12, dtype=np.int64).reshape(3, 4)),
}


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether an array lies in a mapped file."""
    return isinstance(array.base, mmap.mmap)


def assert_equal(found: dict[str, NDArray[Any]]) -> None:
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_arrays_are_mapped_where_they_lie(tmp_path: Path) -> None:
    file = tmp_path / "arrays.npz"
    save_arrays(file, ARRAYS)
    found = map_arrays(file)
    file.unlink()  # such as a plan whose job was deleted
    assert_equal(found)
    for array in found.values():
        assert is_mapped(array)
        assert array.flags.aligned
        assert array.ctypes.data % 64 == 0 or not array.size
        assert not array.flags.writeable


def test_numpy_reads_what_was_written(tmp_path: Path) -> None:
    save_arrays(tmp_path / "arrays.npz", ARRAYS)
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as kept:
        assert_equal(dict(kept))
    with ZipFile(tmp_path / "arrays.npz") as file:
        assert file.testzip() is None
        assert {member.compress_type for member in file.infolist()} == {ZIP_STORED}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote_is_read(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "arrays.npz", **ARRAYS)  # as versions before this one did
    assert_equal(map_arrays(tmp_path / "arrays.npz"))


def test_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", facts=np.array({"a": 1}, dtype=object))
    with pytest.raises(ValueError, match="Object arrays"):
        map_arrays(tmp_path / "arrays.npz")
    with pytest.raises(ValueError, match="Object arrays"):
        save_arrays(tmp_path / "other.npz", {"facts": np.array({"a": 1}, dtype=object)})


def test_part_of_a_file_is_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "arrays.npz", ARRAYS)
    whole = (tmp_path / "arrays.npz").read_bytes()
    (tmp_path / "arrays.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadZipFile):
        map_arrays(tmp_path / "arrays.npz")
