"""Disks small enough to be filled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def disk_of(size: int, folder: Path) -> Iterator[Path]:
    """A disk of its own, of so many bytes, in an empty folder; skips the test where none may be made."""
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"only root may mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", folder), check=True)
