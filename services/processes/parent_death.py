"""end_with_parent(): a process that does not outlive the one that started it, however that dies."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Have the kernel send that signal when the parent dies. To be called in the child, with its parent's pid."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it died before we could ask to be told
        os._exit(1)
