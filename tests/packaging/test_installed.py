"""Motes as people install it: in a new environment, with pip, uv or pipx, from its sources or a wheel.

What is missing comes from the index, in the versions of the lock.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, Built

pytestmark = pytest.mark.campaign
SMALL = ("--size", "160x90", "--duration", "1", "--quality", "draft")
BIN = Path(sys.executable).parent
TYPES = {"bouncing", "continuous_spawning", "enhanced", "no_music", "petals", "snow", "zen"}


def environment(**more: str | Path) -> dict[str, str]:
    """That of a person who has set nothing for Motes, Python or numba."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MOTES_", "NUMBA_"))}
    lock = str(ROOT / "requirements.lock")
    return kept | {"PIP_CONSTRAINT": lock, "UV_CONSTRAINT": lock} | {name: str(value) for name, value in more.items()}


def run(*command: str | Path, cwd: Path, **more: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment(**more), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done


def assert_renders(motes: Path, song: Path, folder: Path) -> str:
    """A first video in a folder that holds no sources; returns what was said on stderr."""
    done = run(motes, "render", song, *SMALL, "-o", folder / "first.mp4", "--json", cwd=folder)
    assert json.loads(done.stdout)["frames"] == 30
    assert (folder / "first.mp4").stat().st_size > 3000
    return done.stderr


def types_of(motes: Path, folder: Path) -> set[str]:
    return {each["type"] for each in json.loads(run(motes, "types", "--json", cwd=folder).stdout)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, built: Built) -> Path:
    """One with an environment in which pip installed Motes from its sources."""
    folder = tmp_path_factory.mktemp("pip")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    run(folder / "venv/bin/python", "-m", "pip", "install", "--no-compile", ".", cwd=built.sources)
    (folder / "elsewhere").mkdir()
    return folder


class TestFromSources:
    def test_first_render_works_and_announces_compilation(self, folder: Path, demo_song: Path) -> None:
        motes = folder / "venv/bin/motes"
        assert "ompil" in assert_renders(motes, demo_song, folder / "elsewhere")
        assert "ompil" not in assert_renders(motes, demo_song, folder / "elsewhere")

    def test_service_is_an_extra_that_can_be_added_later(self, folder: Path, built: Built, demo_song: Path) -> None:
        python, motes = folder / "venv/bin/python", folder / "venv/bin/motes"
        refused = subprocess.run(
            [motes, "serve"], cwd=folder, env=environment(), capture_output=True, text=True, check=False
        )
        assert "the service is not installed" in refused.stderr
        run(python, "-m", "pip", "install", "--no-compile", ".[service]", cwd=built.sources)
        run(python, "-m", "pip", "check", cwd=folder)
        with subprocess.Popen(
            [motes, "serve", "--port", "0", "--data", folder / "data"],
            cwd=folder / "elsewhere",
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as service:
            try:
                assert service.stdout is not None
                found = re.search(r"http://\S+(?=/particles)", service.stdout.readline())
                assert found is not None
                with urllib.request.urlopen(f"{found[0]}/particles/health") as answer:
                    assert answer.status == 200
            finally:
                service.send_signal(signal.SIGTERM)
        assert service.returncode == 0


class TestFromTheWheel:
    def test_uv_installs_it_as_a_tool(self, built: Built, tmp_path: Path, demo_song: Path) -> None:
        places = {"UV_TOOL_DIR": tmp_path / "tools", "UV_TOOL_BIN_DIR": tmp_path / "bin"}
        run(BIN / "uv", "tool", "install", "--python", sys.executable, built.wheel, cwd=tmp_path, **places)
        assert types_of(tmp_path / "bin/motes", tmp_path) == TYPES
        assert_renders(tmp_path / "bin/motes", demo_song, tmp_path)

    def test_pipx_installs_it_with_the_service(self, built: Built, tmp_path: Path) -> None:
        places = {"PIPX_HOME": tmp_path / "pipx", "PIPX_BIN_DIR": tmp_path / "bin", "PIPX_MAN_DIR": tmp_path / "man"}
        pipx = (sys.executable, "-m", "pipx", "install", "--python", sys.executable)
        run(*pipx, f"motes[service] @ {built.wheel.as_uri()}", cwd=tmp_path, **places)
        assert types_of(tmp_path / "bin/motes", tmp_path) == TYPES
        assert (
            " none → " in run(tmp_path / "bin/motes", "db", "upgrade", "--data", tmp_path / "data", cwd=tmp_path).stdout
        )
