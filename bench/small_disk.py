"""A disk of its own for a bench, which can be filled and emptied at any time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SmallDisk:
    """A file system in memory. It is filled by making it as small as what is in it, which takes no memory."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size

    def fill(self) -> bool:
        """Leave no room; False if more was written meanwhile."""
        found = os.statvfs(self._folder)
        return self._resize((found.f_blocks - found.f_bfree) * found.f_frsize)

    def empty(self) -> None:
        """Give it back its size."""
        if not self._resize(self._size):
            raise SystemExit(f"{self._folder}: cannot be made larger again")

    def _resize(self, size: int) -> bool:
        command = ("mount", "-o", f"remount,size={max(4096, size)}", self._folder)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk | None]:
    """A disk of so many bytes, in an empty folder; None where none may be made, as only root may mount."""
    command = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield SmallDisk(folder, size)
    finally:
        subprocess.run(("umount", "--lazy", folder), check=True)
