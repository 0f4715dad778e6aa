"""How a script that ``tests.services.servers`` runs stops the servers and starts them again."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Listener
from pathlib import Path

WHERE = "MOTES_SERVERS"  # the variable that names the socket
_PATIENCE = 60.0  # seconds until killed processes are gone


@dataclass
class Server:
    """A server's process, with those that it has started. It can be stopped, and started again on the same data."""

    launch: Callable[[], subprocess.Popen[bytes]]
    wait: Callable[[subprocess.Popen[bytes]], None]  # until it answers

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = self.launch()
        self.wait(self.process)

    def pause(self) -> None:
        """Stop it and its processes where they are."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """Kill them."""
        self.process.send_signal(signal.SIGSTOP)  # it starts no more
        gone = self._send(signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + _PATIENCE
        while any(_is_running(pid) for pid in gone) and time.monotonic() < end:
            time.sleep(0.02)

    def _send(self, number: signal.Signals) -> list[int]:
        """Send all a signal; returns the pids of the others."""
        self.process.send_signal(number)
        pid = self.process.pid
        with suppress(OSError):
            others = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            for other in others:
                with suppress(ProcessLookupError):
                    os.kill(other, number)
            return others
        return []


def _is_running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@dataclass(frozen=True)
class Servers:
    """The servers, as a script sees them."""

    socket: str
    names: tuple[str, ...]

    @staticmethod
    def given() -> Servers | None:
        """Those that this script was started with; None if there are none."""
        if not (value := os.environ.get(WHERE)):
            return None
        socket, *names = value.split(",")
        return Servers(socket, tuple(names))

    def tell(self, name: str, what: str) -> None:
        """Have a server ``pause``, ``resume``, be killed (``kill``), or ``start``; returns when it has.

        Raises:
            RuntimeError: it failed.
        """
        with Client(self.socket, "AF_UNIX") as connection:
            connection.send((name, what))
            if failed := connection.recv():
                raise RuntimeError(f"{name}: {what}: {failed}")


@contextmanager
def obeying(servers: Mapping[str, Server], socket: Path) -> Iterator[dict[str, str]]:
    """Do what scripts tell servers, in threads; yields the variable with which they find them."""
    listener = Listener(str(socket), "AF_UNIX")

    def answer(connection: object) -> None:
        with connection:  # type: ignore[attr-defined]
            name, what = connection.recv()  # type: ignore[attr-defined]
            server = servers[name]
            actions = {"pause": server.pause, "resume": server.resume, "kill": server.kill, "start": server.start}
            try:
                actions[what]()
            except Exception as error:
                connection.send(repr(error))  # type: ignore[attr-defined]
            else:
                connection.send("")  # type: ignore[attr-defined]

    def listen() -> None:
        with suppress(OSError):  # it was closed
            while True:
                threading.Thread(target=answer, args=(listener.accept(),), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    with listener:
        yield {WHERE: ",".join((str(socket), *servers))}
