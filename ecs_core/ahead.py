"""Ahead: an iterator whose items a thread makes in advance."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Iterates over ``items`` in a thread, at most ``limit`` items ahead of whoever takes them; for one taker.

    What ``items`` raises is raised to the taker, after the items before it. Call :meth:`stop` before closing what the
    items are made from.
    """

    def __init__(self, items: Iterator[T], *, limit: int) -> None:
        self._items, self._limit = items, limit
        self._held: deque[T] = deque()
        self._changed = threading.Condition()
        self._stopped = self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped or len(self._held) < self._limit)
                    if self._stopped:
                        return
                    self._held.append(item)
                    self._changed.notify_all()
        except BaseException as error:  # raised to the taker
            self._error = error
        finally:
            if isinstance(self._items, Generator):  # in the thread that ran it
                self._items.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._ended)
            if self._held:
                self._changed.notify_all()
                return self._held.popleft()
        if self._error is not None:
            raise self._error
        raise StopIteration

    def stop(self) -> None:
        """Make no more items, and wait for the one that is being made."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()
