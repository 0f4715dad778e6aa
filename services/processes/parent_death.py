"""end_with_parent(): end a process when its parent dies, in whatever way."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Let the kernel send this signal when the parent dies. Call it in the child, with the parent's pid."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it died before prctl() took effect
        os._exit(1)
