"""enter_sandbox(): what a process that decodes a client's file may still do, whatever is found in FFmpeg one day."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_FILES = 16  # open at the same time
_GRACE = 1  # seconds between SIGXCPU, which can be caught, and SIGKILL, which cannot
_PAGE = resource.getpagesize()
_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_FILTER = 38, 22, 2  # prctl(2)
# System calls that are refused, by machine: what makes sockets (io_uring can, too), starts programs, reaches into other
# processes, and parts of the kernel that nothing here needs and others have got out by.
_DENIED_SYSCALLS = {
    "socket": (41, 198),
    "io_uring_setup": (425, 425),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
}
# What seccomp calls a machine, and which of the numbers are its own.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1), "riscv64": (0xC00000F3, 1)}
_OTHER_NUMBERS = 0x40000000  # from here on, those of a second interface of x86_64
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # bpf(4)
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
_CAPABILITIES_VERSION = 0x20080522  # capset(2)
# landlock(7); the numbers of its system calls are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE = 1 << 2
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # since which version there are how many rights to files
_TCP, _TCP_SINCE = 0b11, 4  # to bind, to connect
_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract Unix sockets and signals, of processes that are not confined with it


def enter_sandbox(*, memory: int, seconds: int, reads: Sequence[Path] = ()) -> tuple[str, ...]:
    """From now on this process may take so many bytes of memory more, and seconds of the processor, and little else.

    It writes no file, opens none but those that it ``reads``, reaches no other machine and not this one either, starts
    no program, sends no signal to others, leaves no core behind and has no privileges, not even root's. What is open
    stays open. Beyond the limits memory ends in MemoryError or death, time in SIGXCPU, writing in SIGXFSZ.

    Returns what the kernel cannot take away: of "network" and "files", which need seccomp and Landlock. To be called in
    a process of one thread; it cannot be undone.

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
    closed = {"files": _restrict_files(reads), "network": _restrict_syscalls()}
    _drop_capabilities()
    return tuple(name for name, done in closed.items() if not done)


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    highest = resource.getrlimit(which)[1]
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    resource.setrlimit(which, (soft, hard))


def _mapped() -> int:
    """Bytes of address space that this process has; what it was forked from is part of it."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE


def _restrict_syscalls() -> bool:
    """Let seccomp refuse new sockets, and what else nobody needs who decodes a song."""
    # A network namespace would do, too, but costs a tenth of a second to remove, and root or user namespaces to make.
    if platform.machine() not in _MACHINES:
        return False
    machine, column = _MACHINES[platform.machine()]
    numbers = [each[column] for each in _DENIED_SYSCALLS.values()]
    # Jumps go so many instructions further, if true or else; the last instruction is the refusal.
    program = [(_LOAD, 0, 0, 4), (_IF_EQUAL, 0, len(numbers) + 3, machine)]
    program += [(_LOAD, 0, 0, 0), (_IF_AT_LEAST, len(numbers) + 1, 0, _OTHER_NUMBERS)]
    program += [(_IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _DENY)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    return bool(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, header, 0, 0) == 0)


def _restrict_files(reads: Sequence[Path]) -> bool:
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
    """Be as weak as anybody, also as root."""
    with suppress(AttributeError):
        _libc.capset(struct.pack("=Ii", _CAPABILITIES_VERSION, 0), bytes(24))
