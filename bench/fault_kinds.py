"""The kinds of faults that bench/faults.py causes, one method each.

A fault returns what it interrupts, or None if it was not possible. Those that last end by themselves after some
seconds, in a thread of their own, as the database may not answer before.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url
from served import Stack, command_line
from server_control import Servers
from small_disk import SmallDisk
from wrong_clock import EVERYBODY, set_clock

TASK = tuple[str, int]  # a task's id and attempt
LEASE, STALL = 5.0, 8.0  # seconds: MOTES_LEASE_SECONDS and MOTES_STALL_SECONDS, short
STOP = (1.5 * STALL, 3.0 * STALL)  # seconds that a process stands still: longer than either
OUTAGE = (3.0, 10.0)  # seconds without a database, object store, Redis, or room on the disk
WRONG = (5.0, 20.0)  # seconds until a wrong clock is set right
SKEWS = (-31 * 86400.0, -3600.0, -20.0, 20.0, 3600.0, 31 * 86400.0)  # seconds by which clocks are wrong
MAX_LOST = 2  # files that a scene may lose: a job that loses four fails, as it should
DISCONNECT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid != pg_backend_pid()"""


@dataclass(eq=False)
class Outage:
    """What a fault interrupts. ``over`` is since when its tasks can be begun again, by the monotonic clock.

    ``held`` may go on all the same unless it ``kills`` them. While it is ``shared``, nobody can work.
    """

    held: Iterable[TASK] = ()
    kills: bool = False
    shared: bool = False
    over: float | None = field(default_factory=time.monotonic)


class FaultKinds:
    """Causes faults of each kind in a stack; ``clocks`` is the folder in which its clocks are set."""

    def __init__(
        self,
        stack: Stack,
        chance: random.Random,
        *,
        clocks: Path | None = None,
        disk: SmallDisk | None = None,
        servers: Servers | None = None,
    ) -> None:
        self._stack, self._chance = stack, chance
        self._clocks, self._disk, self._servers = clocks, disk, servers
        self._store: ObjectStore = from_url(stack.settings.storage)
        self._lost: Counter[str] = Counter()  # files, by scene
        self._stopped: set[str] = set()  # programs of which one stands still
        self._outage: Outage | None = None  # the last one of everybody
        self._later: list[threading.Timer] = []

    def kills(self) -> dict[str, Callable[[], Outage | None]]:
        """The kinds that end processes and connections at once, by name."""
        kinds: dict[str, Callable[[], Outage | None]] = {
            name: partial(self._kill, name) for name in ("renderer", "worker", "api", "fork_server")
        }
        if self._stack.redis is not None:
            kinds |= {"redis": self._kill_redis, "flush": self._flush_redis}
        if self._stack.is_on_postgresql:
            kinds["database"] = self._disconnect
        return kinds

    def all(self) -> dict[str, Callable[[], Outage | None]]:
        """All kinds, by name."""
        kinds = self.kills()
        for name in ("renderer", "worker", "api", "fork_server"):
            kinds[f"{name} stopped"] = partial(self._stop, name)
        if self._stack.redis is not None:
            kinds["redis stopped"] = self._stop_redis
        if self._clocks is not None:
            kinds |= {"clock": self._set_one_clock, "all clocks": self._set_all_clocks}
        kinds |= {"file lost": self._lose_file, "file cut": self._cut_file}
        if self._disk is not None:
            kinds["disk full"] = self._fill_disk
        for server in () if self._servers is None else self._servers.names:
            kinds[f"{server} stopped"] = partial(self._interrupt, server, "pause", "resume")
            kinds[f"{server} down"] = partial(self._interrupt, server, "kill", "start")
        return kinds

    def finish(self) -> None:
        """Wait until all faults have ended."""
        for timer in self._later:
            timer.join()

    def _after(self, seconds: float, do: Callable[[], object]) -> None:
        self._later.append(timer := threading.Timer(seconds, do))
        timer.start()

    def _lasting(self, begin: Callable[[], object], end: Callable[[], object]) -> Outage | None:
        """An outage for everybody that ends after some seconds; one at a time, or little would be done."""
        if self._outage is not None and self._outage.over is None:
            return None
        outage = self._outage = Outage(self._running(), shared=True, over=None)
        if begin() is False:
            outage.over = time.monotonic()
            return None

        def over() -> None:
            end()
            outage.over = time.monotonic()

        self._after(self._chance.uniform(*OUTAGE), over)
        return outage

    # --- processes ---

    def _victim(self, name: str) -> tuple[int, list[TASK]] | None:
        """The descriptor of a process of this name, and what that holds; None if there is none."""
        victims = self._stack.renderers() if name == "renderer" else self._stack.programs(name)
        # A third death would fail the job. That is intended behaviour, but not what this tests.
        endangered = self._stack.rows("SELECT 1 FROM tasks WHERE status != 'done' AND deaths >= 2")
        if not victims or (name == "renderer" and endangered):
            return None
        pid, line = self._chance.choice(victims)
        held = self._running() if name == "fork_server" else self._held_by(line)
        with suppress(ProcessLookupError):
            process = os.pidfd_open(pid)
            if command_line(pid) == line:
                return process, held
            os.close(process)
        return None

    def _kill(self, name: str) -> Outage | None:
        if (victim := self._victim(name)) is None:
            return None
        process, held = victim
        _send(process, signal.SIGKILL)
        os.close(process)
        return Outage(held, kills=name != "fork_server")

    def _stop(self, name: str) -> Outage | None:
        """Let a process stand still for longer than a lease; then it goes on, or is killed as if it never did."""
        if name in self._stopped or (victim := self._victim(name)) is None:
            return None
        process, held = victim
        self._stopped.add(name)  # one at a time, as others must take over meanwhile
        last = self._chance.choice((signal.SIGCONT, signal.SIGKILL))
        # Others need not wait for its end where it is noticed: that of a worker by its lease, of a renderer by silence.
        noticed = {"worker": LEASE, "renderer": STALL}.get(name)
        outage = Outage(held, shared=noticed is None, over=noticed and time.monotonic() + noticed)
        _send(process, signal.SIGSTOP)

        def end() -> None:
            _send(process, last)
            os.close(process)
            self._stopped.discard(name)
            outage.over = outage.over or time.monotonic()

        self._after(self._chance.uniform(*STOP), end)
        return outage

    def _running(self) -> list[TASK]:
        return [(id_, attempt) for id_, attempt in self._stack.rows(_RUNNING.format("id, attempt"))]

    def _held_by(self, line: str) -> list[TASK]:
        """The tasks and attempts of the worker, or of the process, with this command line; others have none."""
        worker, task = line.partition("--name ")[2], line.partition("motes task ")[2]
        return [
            (id_, attempt)
            for id_, attempt, of in self._stack.rows(_RUNNING.format("id, attempt, worker"))
            if (worker and f":{worker}:" in f"{of}:") or task == f"{id_}:{attempt}"
        ]

    # --- Redis, database, object store ---

    def _kill_redis(self) -> Outage | None:
        assert self._stack.redis is not None
        return Outage() if self._stack.redis.kill() else None

    def _flush_redis(self) -> Outage | None:
        assert self._stack.redis is not None
        return Outage() if self._stack.redis.flush() else None

    def _stop_redis(self) -> Outage | None:
        redis = self._stack.redis
        assert redis is not None
        return self._lasting(redis.pause, redis.resume)

    def _disconnect(self) -> Outage | None:
        self._stack.rows(DISCONNECT)
        return Outage()

    def _interrupt(self, server: str, begin: str, end: str) -> Outage | None:
        """Stop one of the servers that the bench was started with for some seconds."""
        servers = self._servers
        assert servers is not None
        return self._lasting(partial(servers.tell, server, begin), partial(servers.tell, server, end))

    # --- clocks ---

    def _set_one_clock(self) -> Outage | None:
        """Make the clock of a process wrong; it is set right later, unless another process has taken its place."""
        victims = [*self._stack.programs("worker"), *self._stack.programs("api")]
        return self._set_clock(str(self._chance.choice(victims)[0])) if victims else None

    def _set_all_clocks(self) -> Outage | None:
        """Set the clock of the machine, that of the database apart."""
        return self._set_clock(EVERYBODY)

    def _set_clock(self, name: str) -> Outage:
        assert self._clocks is not None
        set_clock(self._clocks, name, self._chance.choice(SKEWS))
        self._after(self._chance.uniform(*WRONG), partial(set_clock, self._clocks, name, 0.0))
        return Outage()

    # --- files ---

    def _lose_file(self) -> Outage | None:
        if (key := self._any_file()) is None:
            return None
        with suppress(FileNotFoundError, BaseError):
            obstore.delete(self._store, key)
            return Outage()
        return None

    def _cut_file(self) -> Outage | None:
        if (key := self._any_file()) is None:
            return None
        with suppress(FileNotFoundError, BaseError, OSError):
            whole = bytes(obstore.get(self._store, key).bytes())
            obstore.put(self._store, key, whole[: len(whole) // 2])
            return Outage()
        return None

    def _any_file(self) -> str | None:
        """A file that can be made again, of any sort: a song cannot."""
        sorts: dict[str, list[str]] = {}
        try:
            for folder in ("scenes/", "analyses/"):
                for batch in obstore.list(self._store, folder):
                    for each in batch:
                        sort, scene = _sort_of(each["path"])
                        if sort and (not scene or self._lost[scene] < MAX_LOST):
                            sorts.setdefault(sort, []).append(each["path"])
        except (BaseError, OSError):  # it is stopped
            return None
        if not sorts:
            return None
        key = self._chance.choice(sorts[self._chance.choice(sorted(sorts))])
        self._lost[_sort_of(key)[1]] += 1
        return key

    def _fill_disk(self) -> Outage | None:
        assert self._disk is not None
        return self._lasting(self._disk.fill, self._disk.empty)


_RUNNING = "SELECT {} FROM tasks WHERE status = 'running'"


def _sort_of(key: str) -> tuple[str, str]:
    """The sort of a file by its key, empty if it must stay, and its scene.

    >>> _sort_of("scenes/ab/plans/t/snapshots/3.npz"), _sort_of("scenes/ab/video.t.1.mp4")
    (('snapshots', 'ab'), ('result', 'ab'))
    >>> _sort_of("analyses/ab/corrections/d.json")
    ('', '')
    """
    parts = key.split("/")
    if parts[0] == "analyses":
        return ("analysis" if len(parts) == 3 and key.endswith(".npz") else ""), ""
    scene, rest = parts[1], parts[2:]
    if len(rest) == 1:
        return "result", scene
    return (rest[-2] if rest[-2] in ("segments", "snapshots") else "plan"), scene


def _send(process: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, number)
