"""Rows that are kept in a file are those that were written, and a full disk is an error in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecs_core.audio import stored_rows
from ecs_core.audio.stored_rows import StoredRows
from ecs_core.errors import OutputError


@pytest.mark.parametrize("in_memory", [1, 50, 10_000], ids=["file", "file later", "memory"])
def test_parts_are_what_was_appended(monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(stored_rows, "IN_MEMORY", in_memory)
    rows = StoredRows(3, np.float16)
    assert rows[:].shape == (0, 3)
    whole = np.arange(60, dtype=np.float32).reshape(20, 3)
    for first, last in ((0, 7), (7, 7), (7, 8), (8, 20)):
        rows.append(whole[first:last])
        np.testing.assert_array_equal(rows[:last], whole[:last])  # reading between does not move where is written
    assert len(rows) == 20
    assert rows[:].dtype == np.float16
    for part in (slice(3, 9), slice(-2, None), slice(15, 99), slice(5, 5), slice(9, 2), slice(1, 18, 4)):
        np.testing.assert_array_equal(rows[part], whole[part])


def test_missing_folder_for_temporary_files_is_an_error_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stored_rows, "IN_MEMORY", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match=r"^cannot write a temporary file, see TMPDIR: No such file"):
        StoredRows(3, np.float32).append(np.zeros((9, 3), np.float32))
