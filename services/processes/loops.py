"""Loops that a process lives for: where one ends, the process ends, with the reason in its log and exit code 1."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

_log = logging.getLogger("motes.process")


class LoopEndedError(Exception):
    """A loop ended that should never end; the log says why."""


class Loops:
    """Loops that never end by themselves. Where one does, that is logged, and ``on_end`` is called."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._running: dict[asyncio.Task[Any], str] = {}
        self._ended: str | None = None
        self._stopping = False

    def start(self, name: str, loop: Coroutine[Any, Any, Any]) -> None:
        """Run a loop in the background."""
        task = asyncio.create_task(loop, name=name)
        self._running[task] = name
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()  # retrieved, or asyncio would log it later
        if self._stopping or self._ended is not None:
            return
        self._ended = self._running[task]
        reason = "cancelled" if task.cancelled() else "it returned" if error is None else repr(error)
        _log.critical("the process ends, as its loop %r has ended: %s", self._ended, reason, exc_info=error)
        self._on_end()

    async def stop(self) -> None:
        """End all loops."""
        self._stopping = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def check(self) -> None:
        """Raise where a loop has ended by itself.

        Raises:
            LoopEndedError: names it.
        """
        if self._ended is not None:
            raise LoopEndedError(self._ended)


class ProcessEnd:
    """How this process ends when a loop of the API has ended: whoever runs it may know better than by a signal."""

    def __init__(self) -> None:
        self.end: Callable[[], None] = partial(signal.raise_signal, signal.SIGTERM)
        self.wanted = False

    def __call__(self) -> None:
        """End the process."""
        self.wanted = True
        self.end()


end_process = ProcessEnd()
