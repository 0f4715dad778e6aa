"""The application with a watchdog: GET /slowest tells how long one callback held the event loop at most, and where."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from services.api import create_app

_SUSPICIOUS = 0.03  # seconds after which it is noted where the callback is


class Watchdog:
    """Times every callback of the event loop; a thread looks where a slow one is.

    Time in which the thread of the loop was ready to run and others had the cores does not count.
    """

    def __init__(self) -> None:
        self.seconds, self.where = 0.0, ""
        self._began: float | None = None
        self._seen = ""
        self._main = threading.get_ident()
        self._scheduler = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").open("rb", buffering=0)  # noqa: SIM115 - as long as the process
        run = asyncio.Handle._run

        def timed(handle: Any) -> None:
            if threading.get_ident() != self._main:  # migrations have a loop of their own
                run(handle)
                return
            queued = self._queued()
            self._seen, self._began = "", (began := time.perf_counter())
            run(handle)
            spent = time.perf_counter() - began
            self._began = None
            if spent > self.seconds and (spent := spent - (self._queued() - queued)) > self.seconds:
                self.seconds, self.where = spent, self._seen or repr(handle)

        asyncio.Handle._run = timed
        threading.Thread(target=self._look, daemon=True).start()

    def _queued(self) -> float:
        """Seconds for which the loop's thread has waited for a core so far."""
        self._scheduler.seek(0)
        return int(self._scheduler.read().split()[1]) / 1e9

    def _look(self) -> None:
        while True:
            time.sleep(_SUSPICIOUS / 10)
            began = self._began
            if began is not None and time.perf_counter() - began > _SUSPICIOUS and not self._seen:
                stack = traceback.extract_stack(sys._current_frames()[self._main])
                self._seen = " < ".join(f"{each.filename[-40:]}:{each.lineno} {each.name}" for each in stack[:-12:-1])


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
