"""Clients generated from the OpenAPI document upload, render, follow and download, and parse errors as Problem."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.media import read_video
from tests.service import MOTES, ROOT, Service, environment_of, serving

EXAMPLES = ROOT / "examples" / "generated_clients"
KEYS = {"MOTES_AUTH": "required"}

pytestmark = pytest.mark.campaign


@dataclass(frozen=True)
class Client:
    """An example with its generated client: how to run it, and where."""

    command: tuple[str, ...]
    folder: Path

    def run(self, service: Service, *arguments: str, key: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MOTES_API_KEY": key, "no_proxy": "127.0.0.1"}
        return subprocess.run(
            (*self.command, service.url, *arguments),
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def made(*command: str, cwd: Path) -> str:
    """What a command printed; it must succeed without a warning."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service"), environment=KEYS) as running:
        yield running


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    command = (*MOTES, "keys", "create", "--owner", "alice")
    environment = environment_of(service.folder, KEYS)
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return next(word for word in done.stdout.split() if word.startswith("motes_"))


def python_client(service: Service, folder: Path) -> Client:
    shutil.copytree(EXAMPLES / "python", folder, dirs_exist_ok=True)
    (folder / "config.yaml").write_text("post_hooks: []\n")  # these only format the code
    generate = (sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning")
    where = ("--meta", "none", "--output-path", "motes_client", "--config", "config.yaml")
    made(*generate, "--url", f"{service.url}/openapi.json", *where, cwd=folder)
    made(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / ".mypy"), "render.py", cwd=folder)
    return Client((sys.executable, "render.py"), folder)


def typescript_client(service: Service, folder: Path) -> Client:
    npm = shutil.which("npm")
    if npm is None:
        assert os.environ.get("CI") != "true", "npm is missing: .ci/run must install nodejs and npm"
        pytest.skip("NOT TESTED: the TypeScript client needs node and npm: apt-get install nodejs npm")
    ignored = shutil.ignore_patterns("node_modules", "out", "motes.d.ts")
    shutil.copytree(EXAMPLES / "typescript", folder, dirs_exist_ok=True, ignore=ignored)
    made(npm, "ci", "--no-audit", "--no-fund", cwd=folder)
    made(npm, "run", "generate", "--", f"{service.url}/openapi.json", cwd=folder)
    made(npm, "run", "build", cwd=folder)  # tsc with "strict"
    return Client(("node", "out/render.js"), folder)


@pytest.fixture(scope="module", params=[python_client, typescript_client], ids=["python", "typescript"])
def client(request: pytest.FixtureRequest, service: Service, tmp_path_factory: pytest.TempPathFactory) -> Client:
    generated: Client = request.param(service, tmp_path_factory.mktemp("client"))
    return generated


@pytest.mark.debian("redis-server")
def test_video_of_a_song(client: Client, service: Service, key: str, demo_song: Path, tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    done = client.run(service, str(demo_song), str(video), "enhanced", key=key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "completed: 100 %"
    assert len(read_video(video).pts) == 180  # six seconds at the default 30 frames a second


@pytest.mark.debian("redis-server")
def test_errors_are_problems(client: Client, service: Service, key: str, demo_song: Path, tmp_path: Path) -> None:
    arguments = (str(demo_song), str(tmp_path / "video.mp4"))
    wrong_type = client.run(service, *arguments, "rain", key=key)
    assert wrong_type.returncode == 1
    assert wrong_type.stderr.startswith("400 Bad Request: Invalid particle type: rain. Available types: [")
    wrong_key = client.run(service, *arguments, "snow", key="motes_wrong")
    assert wrong_key.returncode == 1
    assert wrong_key.stderr.startswith("401 Unauthorized: A valid API key is needed")
    not_a_song = client.run(service, str(Path(__file__)), arguments[1], "snow", key=key)
    assert not_a_song.returncode == 1
    assert not_a_song.stderr.startswith("415 ")
