"""set_process_title(): the name of a forked process in ``ps`` and ``top``."""

from __future__ import annotations

import ctypes
from pathlib import Path

_PR_SET_NAME = 15  # prctl(2)
_ARG_START, _ARG_END = 45, 46  # fields of proc_pid_stat(5), counted after the name
_libc = ctypes.CDLL(None)


def set_process_title(title: str) -> None:
    """Overwrite this process's command line, as far as it has room, and its name."""
    _libc.prctl(_PR_SET_NAME, title.encode())  # the kernel keeps 15 bytes
    fields = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    start, size = int(fields[_ARG_START]), int(fields[_ARG_END]) - int(fields[_ARG_START])
    if start and size > 1:
        text = title.encode()[: size - 1]
        ctypes.memmove(start, text + bytes(size - len(text)), size)
