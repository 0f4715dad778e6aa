"""signals_deferred(): hold Ctrl-C back for a moment in which an exception would do harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Act on SIGINT and SIGTERM at the end of the block, not within it.

    Between the start of a process and the note of it, an exception would leave nobody to stop the process; within the
    import of some native libraries it would end Python with a segmentation fault.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs handlers in the main thread alone
        return
    arrived: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Handlers rather than a signal mask: the kernel would give the signal to a thread of OpenBLAS instead.
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
