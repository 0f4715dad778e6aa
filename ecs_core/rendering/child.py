"""The processes that render segments: ``python -c … main(…)``, started and fed by :mod:`ecs_core.rendering.pool`.

The first process loads everything, renders a tiny frame, and forks the others, which then have everything loaded; where
processes are not forked, each loads for itself. They end with the parent: when its end of their standard input closes,
for whatever reason, each process removes the parent's work folder and exits.
"""

from __future__ import annotations

import errno
import gc
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from ecs_core.errors import MotesError, in_a_line
from ecs_core.rendering.messages import Advanced, Begin, Failed, Ready, Work
from ecs_core.rendering.standard_streams import StandardStreams, take_standard_output

if TYPE_CHECKING:
    from ecs_core.rendering.segment import SegmentRenderer

_REPORT_EVERY = 0.1  # seconds


def main(fds: Sequence[int], folder: str) -> None:
    """Serve the connections ``fds``, one process per connection, until they close; all but the first are forked.

    Before it forks, the process prepares what its first connection sends, and starts no thread. Without connections it
    serves its standard streams.
    """
    gc.disable()  # nothing to be found while everything is loaded
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    outgoing = -1 if fds else take_standard_output()  # before anything is loaded that might print
    if len(fds) > 1:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forked processes are not waited for
    elif fds:
        threading.Thread(target=_leave_with_parent, args=(folder,), daemon=True).start()
    from ecs_core.kernels import jit  # noqa: F401 - while the parent loads and analyses the song
    from ecs_core.plugin_api import particle_types
    from ecs_core.rendering import segment  # noqa: F401 - for the forked processes, and before a thread reads

    particle_types()
    connection: Connection[Any, Any] | StandardStreams
    connection = Connection(fds[0]) if fds else StandardStreams(partial(_leave, folder), outgoing)
    try:
        try:
            renderer = _prepare(connection.recv(), None)
        except Exception as error:
            failed = _failed(error)
            connection.send(failed)
            for fd in fds[1:]:  # whichever is looked at first
                Connection(fd).send(failed)
            return
        gc.freeze()
        gc.enable()
        if len(fds) > 1:
            assert isinstance(connection, Connection)
            connection = _fork(connection, fds[1:])
            threading.Thread(target=_leave_with_parent, args=(folder,), daemon=True).start()
        connection.send(Ready(os.getpid()))
        while True:
            message = connection.recv()
            try:
                if isinstance(message, Begin):
                    renderer = _prepare(message, renderer)
                elif isinstance(message, Work):
                    _render(renderer, message, connection)
            except (EOFError, ConnectionError):
                raise
            except Exception as error:
                connection.send(_failed(error))
    except (EOFError, ConnectionError):
        return


def _fork(connection: Connection[Any, Any], fds: Sequence[int]) -> Connection[Any, Any]:
    """Fork a process for each of ``fds``; returns the connection that is for the process that returns."""
    for number, fd in enumerate(fds, 1):
        if os.fork() == 0:
            connection.close()
            for other in fds[number:]:
                os.close(other)
            return Connection(fd)
        os.close(fd)
    return connection


def _prepare(begin: Begin, before: SegmentRenderer | None) -> SegmentRenderer:
    from ecs_core.plugin_api import particle_types
    from ecs_core.rendering.plan import RenderPlan
    from ecs_core.rendering.segment import SegmentRenderer

    if before is not None:
        before.close()
    plan = RenderPlan(
        particle_types().types[begin.type],
        begin.settings,
        begin.timeline.load(),
        begin.video,
        (),
        gains=begin.gains,
        loop=begin.loop,
    )
    renderer = SegmentRenderer(plan, digests=begin.digests)
    renderer.load()
    return renderer


def _render(renderer: SegmentRenderer, work: Work, connection: Connection[Any, Any] | StandardStreams) -> None:
    reported = time.monotonic()

    def on_frame(done: int) -> None:
        nonlocal reported
        now = time.monotonic()
        if now - reported >= _REPORT_EVERY:
            reported = now
            connection.send(Advanced(work.segment.number, done))

    connection.send(renderer.render(work.segment, work.snapshot, work.path, on_frame=on_frame))


def _failed(error: Exception) -> Failed:
    """The message about the exception that is being handled."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = str(error) if isinstance(error, MotesError) else in_a_line(error)
    return Failed("full" if full else "error", reason, traceback.format_exc())


def _leave_with_parent(folder: str) -> None:
    while os.read(0, 1):
        pass
    _leave(folder)


def _leave(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)
