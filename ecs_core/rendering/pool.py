"""Pool: child processes that render segments in parallel and are replaced when they die.

They are plain subprocesses rather than multiprocessing's: they never import the caller's ``__main__``, so ``render()``
works in a short script without a guard, and they hold no copy of the caller's memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecs_core.errors import OutputError, RenderError
from ecs_core.portability import FORKS, kill_all, start_apart
from ecs_core.rendering.environment import ENVIRONMENT
from ecs_core.rendering.messages import Advanced, Begin, Failed, Ready, SegmentReport, Work
from ecs_core.rendering.standard_streams import Input, connection_from
from ecs_core.signals import signals_deferred

if TYPE_CHECKING:
    from ecs_core.rendering.simulation import SceneSnapshot

_EXIT_TIMEOUT = 2.0  # seconds to wait for a killed process to exit
ATTEMPTS = 3  # a segment whose process dies this often fails the render
_START = (
    "import json,sys; sys.path[:] = json.loads(sys.argv[3]); from ecs_core.rendering.child import main; "
    "main(json.loads(sys.argv[1]), sys.argv[2])"
)


class _Child:
    """A render process, its connection and its current work; started by us, or forked by its ``origin``."""

    def __init__(
        self,
        origin: subprocess.Popen[bytes],
        connection: Connection[Any, Any],
        *,
        told: Input | None = None,
        forked: bool = False,
    ) -> None:
        self.connection = connection
        self.origin = origin
        self.pid: int | None = None  # until it is ready
        self.work: Work | None = None
        self._told = told  # through which it is told what to do, unless that is the connection
        self._forked = forked
        self._begun: Begin | None = None

    def prepare(self, first: Begin) -> None:
        """Send what to load; a process that will be forked comes with what its origin has loaded."""
        self._begun = first
        if not self._forked:
            with contextlib.suppress(OSError):  # it just died; Pool.messages() handles that
                (self._told or self.connection).send(first)

    def send(self, begin: Begin, work: Work | None) -> None:
        """Send work, preceded by what it shares with other work if that has changed."""
        told = self._told or self.connection
        with contextlib.suppress(OSError):  # it just died; Pool.messages() handles that
            if begin is not self._begun:
                self._begun = begin
                told.send(begin)
            if work is not None:
                told.send(work)

    @property
    def is_origin(self) -> bool:
        """Whether we started this process ourselves. Another one may have become it, as in virtual environments."""
        return self._told is not None or self.pid == self.origin.pid

    def how_it_died(self) -> str:
        """How the process ended; the system tells us only about processes that we started ourselves."""
        code = self.origin.wait() if self.is_origin or self.pid is None else None
        if code is None:
            return "killed, or short of memory"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """Kill the process."""
        with contextlib.suppress(ProcessLookupError):
            if self.pid is None or self.is_origin:
                self.origin.kill()
            else:
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Wait for the killed process to exit."""
        with contextlib.suppress(EOFError, OSError):
            while self.connection.poll(_EXIT_TIMEOUT):
                self.connection.recv()
        self.connection.close()


def _start(folder: Path, count: int) -> list[_Child]:
    """Start ``count`` processes: one that forks the others once it is loaded, or, without ``fork``, each by itself."""
    if not FORKS:
        return [_start_alone(folder) for _ in range(count)]
    pairs = [socket.socketpair() for _ in range(count)]
    origin = _popen(folder, [theirs.fileno() for _, theirs in pairs])
    for _, theirs in pairs:
        theirs.close()
    return [_Child(origin, Connection(ours.detach()), forked=number > 0) for number, (ours, _) in enumerate(pairs)]


def _start_alone(folder: Path) -> _Child:
    """Start a process that talks through its standard streams."""
    origin = _popen(folder)
    assert origin.stdin is not None
    return _Child(origin, connection_from(origin), told=Input(origin.stdin))


def _popen(folder: Path, sockets: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    return start_apart(
        [sys.executable, "-c", _START, json.dumps(sockets), str(folder), json.dumps(sys.path)],
        environment={**os.environ, **ENVIRONMENT},
        stdin=subprocess.PIPE,
        stdout=None if sockets else subprocess.PIPE,
        files=sockets,
    )


class Pool:
    """``workers`` processes that work in ``folder``. Use as a context manager; leaving it kills them.

    They are started at once, and load what every render needs until they are told what to :meth:`prepare`.
    """

    def __init__(self, workers: int, folder: Path) -> None:
        self._folder = folder
        self._begin: Begin | None = None
        self._attempts: dict[int, int] = {}
        self._waiting: list[Work] = []  # segments whose process died
        self._ends: dict[int, SceneSnapshot] = {}  # of finished segments, by frame, from which others may begin
        self._origins: list[subprocess.Popen[bytes]] = []
        self._children: list[_Child] = []
        try:
            self._children = self._start(workers)
        except BaseException:
            self.close()
            raise

    def prepare(self, first: Begin) -> None:
        """Let the children load what a scene needs; ``first`` is a tiny one of the same type."""
        self._begin = first
        for child in self._children:
            child.prepare(first)

    def begin(self, begin: Begin) -> None:
        """Set what the following segments share, once all those of before are done."""
        self._begin = begin
        self._attempts.clear()
        self._ends.clear()

    @property
    def size(self) -> int:
        """Number of children."""
        return len(self._children)

    @property
    def has_room(self) -> bool:
        """Whether a child is idle and no segment is waiting."""
        return not self._waiting and any(child.work is None for child in self._children)

    @property
    def pids(self) -> list[int]:
        """Process ids of the children that are ready."""
        return [child.pid for child in self._children if child.pid is not None]

    def give(self, work: Work) -> None:
        """Give a segment to an idle child."""
        self._waiting.append(work)
        self._hand_out()

    def messages(self, timeout: float) -> Iterator[Advanced | SegmentReport]:
        """Reports of the children within ``timeout`` seconds; replaces dead ones and hands out their segments again.

        Raises:
            OutputError: the disk is full.
            RenderError: a child reported an error, or a segment killed its process three times.
        """
        by_connection = {child.connection: child for child in self._children}
        for ready in wait(list(by_connection), timeout):
            child = by_connection[ready]  # type: ignore[index]  # we passed connections, we get connections
            try:
                message = child.connection.recv()
            except (EOFError, OSError):  # OSError: it died in the middle of a message
                self._replace(child)
                continue
            if isinstance(message, Ready):
                child.pid = message.pid
                continue
            if isinstance(message, Failed):
                if message.kind == "full":
                    raise OutputError(f"the disk is full: {self._folder.parent} has no space left for the video")
                failure = RenderError(f"rendering failed: {message.reason}")
                failure.add_note(message.trace)
                raise failure
            if isinstance(message, SegmentReport):
                child.work = None
                self._ends[message.end.frame] = message.end
                self._forget_ends()
            yield message
        self._hand_out()

    def _hand_out(self) -> None:
        for child in self._children:
            if not self._waiting:
                return
            if child.work is None and self._begin is not None:
                child.work = self._nearer(self._waiting.pop(0))
                child.send(self._begin, child.work)

    def _nearer(self, work: Work) -> Work:
        """The work, from the last snapshot before its segment that there is: a new process has to catch up from it."""
        near = max((frame for frame in self._ends if frame <= work.segment.start), default=0)
        return replace(work, snapshot=self._ends[near]) if near > work.snapshot.frame else work

    def _forget_ends(self) -> None:
        """Keep the ends that a segment may need which is being rendered or waits, or is given later."""
        working = [child.work for child in self._children if child.work is not None]
        starts = [work.segment.start for work in (*self._waiting, *working)]
        needed = {max((end for end in self._ends if end <= start), default=0) for start in starts}
        newest = max(self._ends, default=0)
        self._ends = {frame: end for frame, end in self._ends.items() if frame in needed or frame == newest}

    def _replace(self, child: _Child) -> None:
        child.kill()
        how = child.how_it_died()
        child.close()
        if child.work is None:
            number, frames = -1, "before its first segment"
        else:
            segment = child.work.segment
            number, frames = segment.number, f"on frames {segment.start}–{segment.stop - 1}"
            self._waiting.append(child.work)
        self._attempts[number] = self._attempts.get(number, 0) + 1
        [new] = self._start(1)
        self._children[self._children.index(child)] = new
        if self._attempts[number] >= ATTEMPTS:
            raise RenderError(f"a render process died {ATTEMPTS} times {frames} ({how})")

    def _start(self, count: int) -> list[_Child]:
        with signals_deferred():
            children = _start(self._folder, count)
            self._origins += dict.fromkeys(child.origin for child in children)
        if self._begin is not None:  # to replace one that died
            for child in children:
                child.prepare(self._begin)
        return children

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill all processes and wait for them to exit."""
        for origin in self._origins:
            kill_all(origin)  # including forked processes that are not ready yet
            if origin.stdin is not None:
                with contextlib.suppress(OSError):  # something could not be sent
                    origin.stdin.close()  # if it is dead already, its forked processes exit on this
        for child in self._children:
            child.kill()
        for child in self._children:
            child.close()
        for origin in self._origins:
            origin.wait()
