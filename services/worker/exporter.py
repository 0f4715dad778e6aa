"""A worker's metrics for Prometheus: its counters, and gauges of itself and its child processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from prometheus_client import start_http_server

from services.observability import metrics

_log = logging.getLogger("motes.metrics")
_WATCH_EVERY = 2.0  # seconds


@contextmanager
def serve_metrics(
    *, host: str, port: int | None, slots: int, busy: Callable[[], int], children: Callable[[], Iterable[int]]
) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
    """Serve the worker's metrics from a thread while the context lasts; without a port, only set the gauges.

    Yields a loop that ends if the thread does.

    ``children`` returns the pids of the worker's child processes.
    """
    metrics.SLOTS.set(slots)
    metrics.BUSY.set_function(busy)
    metrics.MEMORY.labels("worker").set_function(lambda: _memory("self"))
    metrics.MEMORY.labels("children").set_function(lambda: sum(_memory(child) for child in children()))
    if port is None:
        yield partial(_watch, None)
        return
    try:
        server, thread = start_http_server(port, host, registry=metrics.WORKER)
    except OSError as error:  # a worker without metrics is better than none
        _log.error("metrics are not available: cannot listen on %s port %d: %s", host, port, error.strerror)
        yield partial(_watch, None)
        return
    try:
        yield partial(_watch, thread)
    finally:
        server.shutdown()
        server.server_close()


async def _watch(thread: Thread | None) -> None:
    """Wait for ever, or until the thread has ended."""
    while thread is None or thread.is_alive():
        await asyncio.sleep(_WATCH_EVERY)


def _memory(process: int | str) -> int:
    """Proportional set size of a process in bytes; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
