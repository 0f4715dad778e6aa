"""A wheel and a source distribution of the files that Git tracks, built once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.demo import copy_tracked

ROOT = Path(__file__).parents[2]
_BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


@dataclass(frozen=True)
class Built:
    """What a release consists of, and the folder that it was built from."""

    sources: Path
    wheel: Path
    sdist: Path


def build(what: str, sources: Path, folder: Path) -> Path:
    """``what`` is build_wheel or build_sdist. The build backend is that of the lock: nothing is downloaded."""
    command = (sys.executable, "-c", _BUILD, what, str(folder))
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    sources = folder / "sources"
    copy_tracked(ROOT, sources)
    return Built(sources, build("build_wheel", sources, folder), build("build_sdist", sources, folder))
