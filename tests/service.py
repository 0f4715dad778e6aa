"""``motes serve`` as a user runs it: processes of its own, on a free port, in an empty folder."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.redis_process import redis_server
from tests.fork_server import HANG, ROOT

_held: list[socket.socket] = []
MOTES = (sys.executable, "-m", "services.cli.main")


def wait_for(
    what: Callable[[], Any], seconds: float = HANG, *, why: Callable[[], object] = lambda: "it never happened"
) -> Any:
    """What it says, as soon as that is true; an answer that does not come is not. ``why`` says what was instead."""
    end = time.monotonic() + seconds
    while True:
        try:
            if found := what():
                return found
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, why()
        time.sleep(0.05)


def children(pid: int) -> dict[str, int]:
    """The processes that a process started, by what they run."""
    found = {}
    for child in forked(pid):
        words = command_of(child)
        tell_tale = {"fork_server": "fork server", " api --fd": "api", " worker ": "worker"}
        found[next((name for part, name in tell_tale.items() if part in words), "?")] = child
    return found


def command_of(pid: int) -> str:
    """What a process runs; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def forked(pid: int) -> list[int]:
    """The processes that a process started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def descendants(pid: int, *, without: Collection[int] = ()) -> list[int]:
    """Every process below a process, but some of them and what is below those."""
    found = [child for child in forked(pid) if child not in without]
    return [each for child in found for each in (child, *descendants(child, without=without))]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def cpu_of_tree(pid: int) -> float:
    """Seconds of CPU that a process and all below it have used, those that it has waited for included."""
    ticks = 0
    for each in (pid, *descendants(pid)):
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Service:
    """A service that runs: where it is, its process, and what it says on standard error."""

    url: str
    process: subprocess.Popen[str]
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"{self.url}/particles", timeout=HANG, trust_env=False)


def environment_of(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment, with no settings but these."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MOTES_")}
    return {**own, "MOTES_DATA": str(folder / "data"), **(more or {})}


def redis_or_skip() -> str:
    """A redis-server; skips the test, loudly (see the marker), where there is none."""
    if (found := redis_server()) is None:
        pytest.skip("no redis-server: apt install redis-server")
    return found


def reserved_port() -> int:
    """A port for a process that cannot be given a socket; nothing else is given this one while the tests run."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))  # bound, not listening: who connects reaches the process, or nobody
    _held.append(held)
    return int(held.getsockname()[1])


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """The URL of a Redis of its own."""
    with tempfile.TemporaryDirectory(prefix="motes-", dir="/tmp") as private:  # the path of a socket must be short
        where = ("--port", "0", "--unixsocket", f"{private}/redis", "--dir", str(folder))
        process = subprocess.Popen((redis_or_skip(), *where, "--save", ""), stdout=subprocess.DEVNULL)
        try:
            yield f"unix://{private}/redis"
        finally:
            process.terminate()
            process.wait()


@contextmanager
def serving(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
) -> Iterator[Service]:
    """``motes serve`` until the end of the context; ``prefix`` is a command that runs it."""
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            (*prefix, *MOTES, "serve", "--port", "0", "--workers", "1", *arguments),
            env=environment_of(folder, environment),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    service = Service("", process, folder)
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], HANG)
        said = process.stdout.readline() if ready else ""
        assert said.startswith("Motes is ready: "), (said, service.log)
        service.url = said.split()[3].removesuffix("/particles")
        yield service
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(HANG)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        process.stdout.close()
