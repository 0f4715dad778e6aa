"""confine(): what a process that decodes a client's file may still do, whatever is found in FFmpeg one day."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_FILES = 16  # open at the same time
_GRACE = 1  # seconds between SIGXCPU, which can be caught, and SIGKILL, which cannot
_PAGE = resource.getpagesize()
_libc = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # unshare(2)
_PR_SET_NO_NEW_PRIVS = 38  # prctl(2)
_CAPABILITIES_VERSION = 0x20080522  # capset(2)
# landlock(7); the numbers of its system calls are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE = 1 << 2
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # since which version there are how many rights to files
_TCP, _TCP_SINCE = 0b11, 4  # to bind, to connect
_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract Unix sockets and signals, of processes that are not confined with it


def confine(*, memory: int, seconds: int, reads: Sequence[Path] = ()) -> tuple[str, ...]:
    """From now on this process may take so many bytes of memory more, and seconds of the processor, and little else.

    It writes no file, opens none but those that it ``reads``, reaches no other machine and not this one either, sends
    no signal to others, leaves no core behind and has no privileges, not even root's. What is open stays open.
    Beyond the limits memory ends in MemoryError or the process's death, time in SIGXCPU, writing in SIGXFSZ.

    Returns what the kernel refuses to take away: of "network" and "files", which need user namespaces (or root) and
    Landlock. To be called in a process of one thread; it cannot be undone.

    Raises:
        OSError: a limit that every kernel has cannot be set; nothing must be decoded then.
    """
    _limit(resource.RLIMIT_AS, _mapped() + memory)
    _limit(resource.RLIMIT_CPU, seconds, seconds + _GRACE)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot give up new privileges")
    lacking = [] if _leave_network() else ["network"]
    if not _leave_files(reads):
        lacking.append("files")
    _drop_capabilities()
    return tuple(lacking)


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    highest = resource.getrlimit(which)[1]
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    resource.setrlimit(which, (soft, hard))


def _mapped() -> int:
    """Bytes of address space that this process has; what it was forked from is part of it."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE


def _leave_network() -> bool:
    """Move into a network of its own, in which there is nothing."""
    # As root the first will do; as anybody else the second, unless a container or an old kernel keeps that to root.
    return any(_libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))


def _leave_files(reads: Sequence[Path]) -> bool:
    """Let Landlock refuse all files but some, TCP where there is still a network, and signals to others."""
    version = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    if version < 1:
        return False
    rights = max(count for since, count in _RIGHTS.items() if since <= version)
    rules = struct.pack("=Q", (1 << rights) - 1)
    rules += struct.pack("=Q", _TCP) if version >= _TCP_SINCE else b""
    rules += struct.pack("=Q", _SCOPES) if version >= _SCOPES_SINCE else b""
    ruleset = _libc.syscall(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for path in reads:
            file = os.open(path, os.O_PATH)
            try:
                rule = struct.pack("=Qi", _READ_FILE, file)
                if _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, ctypes.c_uint32(0)) != 0:
                    return False
            finally:
                os.close(file)
        return bool(_libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)


def _drop_capabilities() -> None:
    """Be as weak as anybody, also as root or in a user namespace; a kernel may have none to drop."""
    with suppress(AttributeError):
        _libc.capset(struct.pack("=Ii", _CAPABILITIES_VERSION, 0), bytes(24))
