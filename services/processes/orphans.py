"""Orphans: processes below this one whose parent has ended. The kernel gives them to us, and we wait for them."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_LOOK_EVERY = 0.01  # seconds


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(known: Collection[int | None]) -> None:
    """Reap children that have ended, except the ``known`` ones, for whom somebody else waits."""
    for pid in set(_children()).difference(known):
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def end_orphans(seconds: float) -> None:
    """Wait until there are no children left; kill those that are still there after so many seconds."""
    end = time.monotonic() + seconds
    while pids := _children():
        for pid in pids:
            with suppress(ChildProcessError, ProcessLookupError):
                if time.monotonic() > end:
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_LOOK_EVERY)


def _children() -> list[int]:
    pid = os.getpid()  # of the main thread, the only one
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
