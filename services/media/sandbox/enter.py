"""enter_sandbox(): limits a process that decodes untrusted files, in case a decoder has a vulnerability."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from collections.abc import Sequence
from pathlib import Path

from services.media.sandbox.landlock import restrict_files
from services.media.sandbox.seccomp import MissingError, SystemCallFilter
from services.media.sandbox.system_calls import allowed_system_calls

_FILES = 16  # open at a time
_GRACE = 1  # seconds from SIGXCPU, which can be caught, to SIGKILL
_PAGE = resource.getpagesize()
_PR_SET_NO_NEW_PRIVS = 38  # prctl(2)
_CAPABILITIES_VERSION = 0x20080522  # capset(2)
_libc = ctypes.CDLL(None, use_errno=True)


def enter_sandbox(*, memory: int, seconds: int, reads: Sequence[Path] = ()) -> tuple[str, ...]:
    """Restrict this process for good: ``memory`` more bytes, ``seconds`` of CPU time, and hardly any system calls.

    It can write no file, open only those in ``reads``, connect to nothing (not even this machine), start no process,
    thread or program, reach no other process, map no code, dump no core, and has no privileges, not even root's. Open
    files stay open. Exceeding the limits ends in MemoryError or death (memory), SIGXCPU (time) or SIGXFSZ (writing).

    Returns what is missing to enforce that: "landlock" (files), "libseccomp" or "seccomp" (system calls).

    Raises:
        OSError: a limit that every kernel supports cannot be set; then nothing must be decoded.
        RuntimeError: there are other threads, which would not be restricted.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a process with several threads cannot enter the sandbox")
    missing = []
    filters = []
    try:
        filters.append(SystemCallFilter(allowed_system_calls(os.getpid())))  # opens a file, so first
    except MissingError as error:
        missing.append(str(error))
    _limit(resource.RLIMIT_AS, _mapped() + memory)
    _limit(resource.RLIMIT_CPU, seconds, seconds + _GRACE)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    _limit(resource.RLIMIT_NPROC, 0)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot set no_new_privs")
    if not restrict_files(reads):
        missing.append("landlock")
    if _libc.capset(struct.pack("=Ii", _CAPABILITIES_VERSION, 0), bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "cannot drop capabilities")
    try:
        for each in filters:
            each.load()  # it forbids the calls above, so last
    except MissingError as error:
        missing.append(str(error))
    return tuple(sorted(missing))


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    highest = resource.getrlimit(which)[1]
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    resource.setrlimit(which, (soft, hard))


def _mapped() -> int:
    """Bytes of address space in use."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
