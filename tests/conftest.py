"""What all tests share: songs, small scenes, and honesty about what could not be tested."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecs_core.kernels.compilation import compile_missing
from tests.fork_server import ForkServer, fork_server
from tests.waiting import HANG

NEVERBALL = Path("/usr/share/games/neverball/bgm")
LONG = ("stack", "deploy", "faults", "hostile", "plugins_installed")  # folders of tests that start whole programs
_missing: dict[str, list[str]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-golden", action="store_true", help="keep the pictures that are drawn now as golden")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in its background without it
    os.environ.setdefault("XDG_CACHE_HOME", str(config.rootpath / ".pytest_cache" / "xdg"))
    if not hasattr(config, "workerinput"):
        compile_missing()  # after a change of a kernel; commands would announce it, and tests wait for it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that take long come first: at the end a core would be idle while the other one still has a long file."""
    items.sort(key=lambda item: not any(folder in item.path.parts for folder in LONG))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that lacks its Debian package is a failure under CI, and is named in the summary elsewhere."""
    report: pytest.TestReport = yield
    marker = item.get_closest_marker("debian")
    if marker is not None and report.skipped:
        report.user_properties.append(("debian", marker.args[0]))
        if os.environ.get("CI") == "true":
            report.outcome = "failed"
            report.longrepr = f"Debian package {marker.args[0]} is missing: .ci/run must install it"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties:
        if name == "debian":
            _missing.setdefault(str(value), []).append(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for package, tests in _missing.items():
        terminalreporter.section("NOT TESTED", red=True, bold=True)
        terminalreporter.line(f"apt-get install {package}   # or {len(tests)} tests do not run: {', '.join(tests)}")


@pytest.fixture
def real_song() -> Path:
    """A real song with a free licence, about a minute and a half long."""
    song = NEVERBALL / "track1.ogg"
    if not song.exists():
        pytest.skip("needs Debian package neverball-data: apt-get install neverball-data")
    return song


@pytest.fixture(scope="session")
def demo_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of the song that Motes composes."""
    from services.cli.demo_song import write_wav

    path = tmp_path_factory.mktemp("song") / "demo.wav"
    write_wav(path, 6.0)
    return path


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """What processes of Motes are forked from."""
    with fork_server() as server:
        yield server


class CommandLine:
    """Runs ``motes`` as a user does: in a process of its own."""

    def __call__(self, *arguments: str | Path, timeout: float = HANG) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli.main", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "services.cli.main", *map(str, arguments)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )


@pytest.fixture
def motes() -> CommandLine:
    return CommandLine()


@pytest.fixture(scope="session", autouse=True)
def _no_leftover_cache() -> Iterator[None]:
    yield
    shutil.rmtree(Path(".pytest_cache") / "xdg", ignore_errors=True)
