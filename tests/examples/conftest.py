"""One service for all examples, as ``motes serve`` runs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import Service, serving


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, demo_song: Path) -> Iterator[Service]:
    """A service that knows the song ``path/to/audio.wav``."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "media/path/to").mkdir(parents=True)
    shutil.copy(demo_song, folder / "media/path/to/audio.wav")
    with serving(folder, environment={"MOTES_MEDIA_ROOT": str(folder / "media")}) as service:
        yield service
