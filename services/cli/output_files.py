"""Writing output files: completely, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ecs_core.errors import OutputError
from ecs_core.formats import FACTS
from ecs_core.rendering.output_file import check_output, write_atomically

# Mistakes in names that would otherwise go unnoticed.
_OTHERS = {
    "MP4": frozenset((".avi", ".mkv", ".wmv", ".flv", ".ogv", ".png", ".apng", ".jpg", ".jpeg")),
    "PNG": frozenset((".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".pdf")),
}


def check_outputs(*paths: Path | None, song: Path | None = None, form: str | None = None) -> None:
    """Refuse, before any work is done, outputs that cannot be written or that would overwrite each other.

    ``form`` says whether the first is a video ("MP4") or a PNG.

    Raises:
        OutputError: names the output and the problem.
    """
    named = [path for path in paths if path is not None]
    for path in named:
        check_output(path, song)
    if form is not None and named[0].suffix.lower() in _OTHERS[form]:
        endings = ", ".join(facts.suffix for facts in FACTS.values()) if form == "MP4" else ".png"
        what = "videos" if form == "MP4" else form
        raise OutputError(f"{named[0]}: Motes writes {what} here; give a name that ends in {endings}")
    whole = [path.absolute() for path in named]
    for path, after in zip(named, range(1, len(named) + 1), strict=True):
        if path.absolute() in whole[after:]:
            raise OutputError(f"{path} is the name of two outputs; give two names")


def write_text(path: Path, text: str) -> None:
    """Write a text; on failure ``path`` keeps its old content.

    Raises:
        OutputError: the file cannot be written.
    """
    write_pieces(path, [text])


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """Write a text in pieces; on failure ``path`` keeps its old content.

    Raises:
        OutputError: the file cannot be written.
    """

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(pieces)

    check_output(path)
    write_atomically(path, write)
