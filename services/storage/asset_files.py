"""Files of assets in storage, as paths for the time of a piece of work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ecs_core.errors import MotesError, SceneError
from services.storage.object_keys import asset_key
from services.storage.object_store import Storage


@contextmanager
def asset_files(storage: Storage, assets: Mapping[str, str]) -> Iterator[dict[str, Path]]:
    """Yield the files of assets, whose digests are given, by their sha256. Blocking.

    Errors within do not reveal where they are stored.

    Raises:
        SceneError: one was deleted; a job may be retried months later.
    """
    with ExitStack() as held:
        files = {}
        for sha256, digest in assets.items():
            try:
                files[sha256] = held.enter_context(storage.file(asset_key(sha256, digest)))
            except FileNotFoundError:
                raise SceneError(f"asset:{sha256} is gone; upload it again") from None
        try:
            yield files
        except MotesError as error:
            text = _without_paths(str(error), files)
            if text == str(error):
                raise
            raise SceneError(text) from None


def _without_paths(text: str, files: Mapping[str, Path]) -> str:
    """An error with references instead of paths, also of those that were cut off."""
    for sha256, path in files.items():
        whole = str(path)
        for length in range(len(whole), len(whole) // 4, -1):
            if (part := whole[:length]) in text:
                text = text.replace(f"{part}…", f"asset:{sha256}'").replace(part, f"asset:{sha256}")
                break
    return text
