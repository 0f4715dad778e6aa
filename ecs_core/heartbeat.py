"""Heartbeats: signs that work advances, from within whatever takes long, for whoever must tell slow work from hung.

They come from the code that works, between two of its steps, never from a thread beside it, which would go on while the
work hangs. Nobody listens unless they are asked to (the service's task processes are).
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Heart:
    """Counts the steps of this process's work."""

    def __init__(self) -> None:
        self._count, self._every, self._due = 0, 0.0, 0.0
        self._listener: Callable[[int], None] | None = None

    def beat(self) -> None:
        """Say that a step is done. Cheap: call it a few times a frame, or for every block of a file."""
        self._count += 1
        if self._listener is not None and (now := time.monotonic()) >= self._due:
            self._due = now + self._every
            self._listener(self._count)

    def listen(self, listener: Callable[[int], None] | None, *, every: float = 0.0) -> None:
        """Have the listener called with the number of steps, ``every`` so many seconds at most; None: no longer.

        It is called by the thread that works, of which there may be several.
        """
        self._listener, self._every, self._due = listener, every, 0.0


_heart = Heart()
beat, listen = _heart.beat, _heart.listen
