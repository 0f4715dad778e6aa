"""signals_deferred(): delay SIGINT and SIGTERM while an exception would do harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Handle SIGINT and SIGTERM at the end of the block.

    An exception between starting a process and storing its handle would leave nobody to stop the process; within the
    import of some native libraries it would crash Python.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs signal handlers only in the main thread
        return
    arrived: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Handlers rather than a signal mask: with a mask, the kernel would deliver the signal to a thread of OpenBLAS.
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
        for first in arrived[:1]:
            signal.raise_signal(first)
