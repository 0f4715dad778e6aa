"""confine(): what a process that decodes a client's file may still do, whatever is found in FFmpeg one day."""

from __future__ import annotations

import ctypes
import resource

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # unshare(2)
_PR_SET_NO_NEW_PRIVS = 38  # prctl(2)
_FILES = 64  # open at the same time
_libc = ctypes.CDLL(None)


def confine(*, memory: int, seconds: int, written: int | None = None, network: bool = False) -> None:
    """From now on this process has at most so many bytes of memory, seconds of the processor, and bytes for a file.

    It leaves no core behind, gains no rights, and unless ``network`` says so reaches no other machine and not this one
    either, where the kernel lets a process give that up. What was opened before stays open. Beyond the limits, memory
    ends in MemoryError or the process's death, time in SIGKILL, and writing in SIGXFSZ.
    """
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_CPU, seconds)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    if written is not None:
        _limit(resource.RLIMIT_FSIZE, written)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if not network:
        leave_network()


def leave_network() -> bool:
    """Move this process into a network of its own, in which there is nothing; False where the kernel refuses."""
    # As root the first will do; as anybody else the second, unless a container or an old kernel keeps that to root.
    return any(_libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))


def _limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))
