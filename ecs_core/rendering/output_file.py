"""Output files: checked before any work is done, written completely or not at all, and errors in words."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ecs_core.errors import OutputError

# What is not complete yet has a name of its own: with a suffix, a name that is as long as the file system allows would
# be too long.
TEMPORARY = ".motes-"
_LONGEST_TEMPORARY = 48  # bytes, with the segments in a folder of that name


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
    try:
        path.absolute().with_name("x" * _LONGEST_TEMPORARY).lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # the path as a whole
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


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` create a file and move it to ``path``; on failure ``path`` keeps its old content.

    Raises:
        OutputError: the file cannot be written.
    """
    # Absolute: FFmpeg takes what stands before a colon in a bare name for a protocol.
    part = path.absolute().with_name(f"{TEMPORARY}{secrets.token_hex(8)}.part")
    try:
        write(part)
        os.replace(part, path)
    except OSError as error:
        raise output_error(path, error) from None
    finally:
        with suppress(OSError):  # if the folder is not writable, nothing was left behind
            part.unlink(missing_ok=True)


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
