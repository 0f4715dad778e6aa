"""Writing small files: all or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ecs_core.rendering.run import check_output, output_error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` so that ``path`` holds all of it or what it held before.

    Raises:
        OutputError: the file cannot be written.
    """
    write_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file that ``path`` then holds whole, or what it held before.

    Raises:
        OutputError: the file cannot be written.
    """
    check_output(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        os.replace(part, path)
    except OSError as error:
        raise output_error(path, error) from None
    finally:
        part.unlink(missing_ok=True)
