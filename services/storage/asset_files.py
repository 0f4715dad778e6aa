"""Files of assets in storage, as paths for the time of a piece of work."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ecs_core.errors import MotesError, SceneError
from ecs_core.scene.backdrop_settings import VIDEO_STAND_IN
from services.storage.object_keys import asset_key
from services.storage.object_store import Storage

_HEAD = 4096  # bytes that tell what a file is
_ENDINGS = (
    (b"\x89PNG", ".png"),
    (b"OTTO", ".otf"),
    (b"\0\1\0\0", ".ttf"),
    (b"true", ".ttf"),
    (b"wOF2", ".woff2"),
    (b"\x1a\x45\xdf\xa3", ".webm"),
    (b"\0", ".mp4"),
    (b"WEBVTT", ".vtt"),
)
_SRT = re.compile(rb"^\d{1,3}:[0-5]\d:[0-5]\d[,.]\d{1,3} +--> ", re.MULTILINE)


@contextmanager
def asset_files(
    storage: Storage,
    assets: Mapping[str, str],
    folder: Path,
    *,
    known: Mapping[str, tuple[int, str | None]] | None = None,
) -> Iterator[dict[str, Path]]:
    """Yield the files of assets, whose digests are given, by their sha256. Blocking.

    ``known`` are their sizes in bytes and the sha256 of the files, as far as they are known.

    They are links in a folder within ``folder``, with endings that tell what they are, as the engine goes by them.
    Errors within do not reveal where they are stored.

    Raises:
        SceneError: one was deleted, as a job may be retried months later, or its file was lost.
    """
    with ExitStack() as held:
        files = {}
        links = Path(held.enter_context(tempfile.TemporaryDirectory(dir=folder))) if assets else folder
        for sha256, digest in assets.items():
            size, of_file = (known or {}).get(sha256, (None, None))
            try:
                stored = held.enter_context(storage.file(asset_key(sha256, digest), size=size, digest=of_file))
            except FileNotFoundError:
                raise SceneError(f"asset:{sha256} is gone; upload it again") from None
            files[sha256] = links / f"{sha256}{_ending(stored)}"
            files[sha256].symlink_to(stored.absolute())
        try:
            yield files
        except MotesError as error:
            text = _without_paths(str(error), files)
            if text == str(error):
                raise
            raise SceneError(text) from None


@contextmanager
def video_stand_ins(seconds: Mapping[str, float], folder: Path) -> Iterator[dict[str, Path]]:
    """Yield what stands for videos of these lengths, by their sha256, where a config is checked. Blocking."""
    if not seconds:
        yield {}
        return
    with tempfile.TemporaryDirectory(dir=folder) as made:
        files = {sha256: Path(made) / f"{sha256}.txt" for sha256 in seconds}
        for sha256, path in files.items():
            path.write_text(f"{VIDEO_STAND_IN} {seconds[sha256]!r}\n")
        yield files


def _ending(stored: Path) -> str:
    with stored.open("rb") as file:
        head = file.read(_HEAD)
    return next(
        (ending for start, ending in _ENDINGS if head.startswith(start)), ".srt" if _SRT.search(head) else ".lrc"
    )


def _without_paths(text: str, files: Mapping[str, Path]) -> str:
    """An error with references instead of paths and names of files, also of those that were cut off."""
    for sha256, path in files.items():
        whole = str(path)
        for length in range(len(whole), len(whole) // 4, -1):
            if (part := whole[:length]) in text:
                text = text.replace(f"{part}…", f"asset:{sha256}'").replace(part, f"asset:{sha256}")
                break
        text = text.replace(path.name, f"asset:{sha256}")
    return text
