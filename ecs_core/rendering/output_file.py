"""Output files: check that one can be written before any work is done, and word the errors."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ecs_core.errors import OutputError


def check_output(path: Path, song: Path | None = None) -> None:
    """Check, before any work is done, that the output can be written and may be replaced.

    Raises:
        OutputError: ``path`` is a folder, a device or the song itself, its folder does not exist or is not writable, or
            its name is invalid.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise output_error(path, error) from None
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file to write")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is not a regular file; give the name of a file to write")
    if song is not None and path.exists() and song.exists() and path.samefile(song):
        raise OutputError(f"{path} is the song itself; give another name to write")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {path}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: nothing may be written into the folder {folder}")


def output_error(path: Path, error: OSError | ValueError) -> OutputError:
    """The error for a failure to write ``path``, in words for the user."""
    number, folder = getattr(error, "errno", None), path.absolute().parent
    if number == errno.ENOSPC:
        return OutputError(f"the disk is full: no space left to write {path}")
    if number in (errno.ENOENT, errno.ENOTDIR) and folder.exists():
        why = f"nothing can be written into the folder {folder}" if folder.is_dir() else f"{folder} is not a folder"
        return OutputError(f"cannot write {path}: {why}")
    if number == errno.ENOENT:
        return OutputError(f"cannot write {path}: the folder {folder} does not exist")
    return OutputError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}")
