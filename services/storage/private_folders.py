"""Folders that only this user may use, wherever they lie: what is in them is trusted, and may be confidential."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from ecs_core.errors import MotesError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def private_folder(path: Path) -> Path:
    """Create a folder for this user alone, or check that it is one.

    Raises:
        MotesError: it is another user's, or others can write to it.
        OSError: it cannot be created.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    if wrong := _what_is_wrong(path):
        raise MotesError(f"the folder {path} {wrong}: remove it, as others may have put files there")
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def private_temporary_folders(name: str) -> list[Path]:
    """The folders of this user for temporary files of this name; one is created if there is none.

    Their names end at random, so nobody can prepare one; what others have prepared is left alone. The first one is for
    new files. There are several only if processes were started at the same moment.
    """
    parent = Path(tempfile.gettempdir())
    prefix = f"{name}-{os.geteuid()}-"
    found = [path for path in sorted(parent.glob(f"{prefix}*")) if _what_is_wrong(path) is None]
    return found or [Path(tempfile.mkdtemp(prefix=prefix, dir=parent))]


def _what_is_wrong(path: Path) -> str | None:
    facts = path.lstat()  # a link could be another user's
    if not stat.S_ISDIR(facts.st_mode):
        return "is a link or a file"
    if facts.st_uid != os.geteuid():
        return f"belongs to user {facts.st_uid}, not to {os.geteuid()}"
    if facts.st_mode & _OTHERS_WRITE:
        return f"can be written to by other users (mode {stat.S_IMODE(facts.st_mode):o})"
    return None
