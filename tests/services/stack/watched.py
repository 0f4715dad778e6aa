"""The application with a watchdog: GET /slowest tells how long one callback held the event loop at most, and where."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from services.api import create_app

_SUSPICIOUS = 0.03  # seconds after which the stack of a callback is recorded
_SAMPLE = 0.02  # seconds between samples of how long threads have waited for a core


class Watchdog:
    """Times every callback of the event loop; a thread records where a slow one is.

    Time in which a thread of this process waited for a core does not count: the loop may be waiting for that thread,
    which holds the interpreter's lock or is just being started. Time in which the loop's thread ran always counts.
    """

    def __init__(self) -> None:
        self.seconds, self.where = 0.0, ""
        self._began: float | None = None
        self._seen = ""
        self._main = threading.get_ident()
        self._samples = deque([(0.0, 0.0)], maxlen=500)  # when, and seconds for which threads had waited for a core
        run = asyncio.Handle._run

        def timed(handle: Any) -> None:
            if threading.get_ident() != self._main:  # migrations have a loop of their own
                run(handle)
                return
            ran = time.thread_time()
            self._seen, self._began = "", (began := time.perf_counter())
            run(handle)
            spent = time.perf_counter() - began
            self._began = None
            if spent > self.seconds:
                spent = max(time.thread_time() - ran, spent - self._waited_since(began))
                if spent > self.seconds:
                    self.seconds, self.where = spent, self._seen or repr(handle)

        asyncio.Handle._run = timed
        threading.Thread(target=self._look, daemon=True).start()

    def _waited_since(self, began: float) -> float:
        """Seconds for which threads have waited for a core since the last sample before ``began``."""
        before = next(waited for moment, waited in reversed(self._samples) if moment <= began)
        return max(0.0, _waited() - before)

    def _look(self) -> None:
        while True:
            time.sleep(_SUSPICIOUS / 10)
            if time.perf_counter() - self._samples[-1][0] > _SAMPLE:
                self._samples.append((time.perf_counter(), _waited()))
            began = self._began
            if began is not None and time.perf_counter() - began > _SUSPICIOUS and not self._seen:
                stack = traceback.extract_stack(sys._current_frames()[self._main])
                self._seen = " < ".join(f"{each.filename[-40:]}:{each.lineno} {each.name}" for each in stack[:-12:-1])


def _waited() -> float:
    """Seconds for which the threads of this process have waited for a core so far."""
    total = 0
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended
            total += int((thread / "schedstat").read_bytes().split()[1])
    return total / 1e9


def create_watched_app() -> FastAPI:
    """As ``services.api.create_app``; only for the loop ``asyncio``, whose callbacks can be timed."""
    watchdog = Watchdog()
    app = create_app()

    @app.get("/particles/slowest")
    async def told(*, reset: bool = False) -> dict[str, Any]:
        found = {"seconds": watchdog.seconds, "where": watchdog.where}
        if reset:
            watchdog.seconds, watchdog.where = 0.0, ""
        return found

    app.openapi()  # once and for all, as create_app() does; a further route made that void
    return app
