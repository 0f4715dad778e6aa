"""A worker's metrics for Prometheus: its counters, and gauges of itself and its child processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import start_http_server

from services.observability import metrics

_log = logging.getLogger("motes.metrics")


@contextmanager
def serve_metrics(
    *, host: str, port: int | None, slots: int, busy: Callable[[], int], children: Callable[[], Iterable[int]]
) -> Iterator[None]:
    """Serve the worker's metrics from a thread while the context lasts; without a port, only set the gauges.

    ``children`` returns the pids of the worker's child processes.
    """
    metrics.SLOTS.set(slots)
    metrics.BUSY.set_function(busy)
    metrics.MEMORY.labels("worker").set_function(lambda: _memory("self"))
    metrics.MEMORY.labels("children").set_function(lambda: sum(_memory(child) for child in children()))
    if port is None:
        yield
        return
    try:
        server, _ = start_http_server(port, host, registry=metrics.WORKER)
    except OSError as error:  # a worker without metrics is better than none
        _log.error("metrics are not available: cannot listen on %s port %d: %s", host, port, error.strerror)
        yield
        return
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _memory(process: int | str) -> int:
    """Proportional set size of a process in bytes; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
