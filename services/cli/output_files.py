"""Writing small files: all or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ecs_core.errors import OutputError
from ecs_core.rendering.output_file import check_output, output_error

# What people may ask for by a name and would not get.
_OTHERS = {
    "MP4": frozenset((".avi", ".mkv", ".webm", ".mov", ".gif", ".wmv", ".flv", ".ogv")),
    "PNG": frozenset((".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".pdf")),
}


def check_outputs(*paths: Path | None, song: Path | None = None, form: str | None = None) -> None:
    """Refuse, before any work is done, outputs that cannot be written or of which one would replace another.

    The first is an MP4 or a PNG, where ``form`` says so.

    Raises:
        OutputError: names the output, and what is wrong with it.
    """
    named = [path for path in paths if path is not None]
    for path in named:
        check_output(path, song)
    if form is not None and named[0].suffix.lower() in _OTHERS[form]:
        raise OutputError(f"{named[0]}: Motes writes {form} here; give a name that ends in .{form.lower()}")
    whole = [path.absolute() for path in named]
    for path, after in zip(named, range(1, len(named) + 1), strict=True):
        if path.absolute() in whole[after:]:
            raise OutputError(f"{path} is to be written twice; give two names")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` so that ``path`` holds all of it or what it held before.

    Raises:
        OutputError: the file cannot be written.
    """
    write_pieces(path, [text])


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Write a text that is too long to be held, likewise.

    Raises:
        OutputError: the file cannot be written.
    """

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(pieces)

    write_file(path, write)


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
        with suppress(OSError):  # where nothing can be written nothing is left behind
            part.unlink(missing_ok=True)
