"""enter_sandbox(): limits a process that decodes untrusted files, in case FFmpeg has a vulnerability."""

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

_FILES = 16  # open at a time
_GRACE = 1  # seconds from SIGXCPU, which can be caught, to SIGKILL
_PAGE = resource.getpagesize()
_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_FILTER = 38, 22, 2  # prctl(2)
# System calls that are denied, by machine: those that create sockets (io_uring can, too), start programs or access
# other processes, and parts of the kernel that are not needed here and have been used for escapes.
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
# seccomp's architecture number, and the column of system call numbers above.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1), "riscv64": (0xC00000F3, 1)}
_OTHER_NUMBERS = 0x40000000  # from here on, numbers of the x32 interface
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # bpf(4)
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
_CAPABILITIES_VERSION = 0x20080522  # capset(2)
# landlock(7); its system calls have the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE = 1 << 2
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # number of file rights by Landlock version
_TCP, _TCP_SINCE = 0b11, 4  # bind and connect
_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract Unix sockets, and signals to processes outside


def enter_sandbox(*, memory: int, seconds: int, reads: Sequence[Path] = ()) -> tuple[str, ...]:
    """Restrict this process for good: ``memory`` more bytes, ``seconds`` of CPU time, and hardly any system calls.

    It can write no file, open only those in ``reads``, connect to nothing (not even this machine), start no program,
    signal no process outside, dump no core, and has no privileges, not even root's. Open files stay open. Exceeding
    the limits ends in MemoryError or death (memory), SIGXCPU (time) or SIGXFSZ (writing).

    Returns what the kernel cannot restrict: "network" needs seccomp, "files" Landlock. Call it in a process with one
    thread; it cannot be undone.

    Raises:
        OSError: a limit that every kernel supports cannot be set; then nothing must be decoded.
    """
    _limit(resource.RLIMIT_AS, _mapped() + memory)
    _limit(resource.RLIMIT_CPU, seconds, seconds + _GRACE)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot set no_new_privs")
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
    """Bytes of address space in use, including what was inherited from the parent."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE


def _restrict_syscalls() -> bool:
    """Let seccomp deny new sockets and other system calls that decoding does not need."""
    # A network namespace would also work, but takes 0.1 s to remove and needs root or user namespaces.
    if platform.machine() not in _MACHINES:
        return False
    machine, column = _MACHINES[platform.machine()]
    numbers = [each[column] for each in _DENIED_SYSCALLS.values()]
    # Jumps skip this many instructions if true or false; the last instruction denies the call.
    program = [(_LOAD, 0, 0, 4), (_IF_EQUAL, 0, len(numbers) + 3, machine)]
    program += [(_LOAD, 0, 0, 0), (_IF_AT_LEAST, len(numbers) + 1, 0, _OTHER_NUMBERS)]
    program += [(_IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _DENY)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    return bool(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, header, 0, 0) == 0)


def _restrict_files(reads: Sequence[Path]) -> bool:
    """Let Landlock deny all files but ``reads``, TCP where seccomp does not, and signals to other processes."""
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
        for path in filter(Path.exists, reads):
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
    """Drop all capabilities, also as root."""
    with suppress(AttributeError):
        _libc.capset(struct.pack("=Ii", _CAPABILITIES_VERSION, 0), bytes(24))
