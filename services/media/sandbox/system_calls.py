"""The system calls of a sandboxed decoder: all that Python, FFmpeg and the C library need to read a file and answer.

Found by tracing all files of ``tests/hostile`` and the formats that Motes reads. What is absent matters as much:

- ``sched_getaffinity``: FFmpeg finds one processor, and starts no threads; so nothing may start threads or processes.
- ``fcntl`` to set a file's owner and ``ioctl``: they make the kernel send signals to other processes.
- memory that can be executed: an exploit has to do with the code that is there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_PROT_EXEC = 4
_O_TMPFILE = 0o20000000  # without O_DIRECTORY, which it includes
_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | _O_TMPFILE
_FUTEX_OPERATIONS = (128, 129, 137, 138, 393)  # private: wait, wake, and with bits, also by the clock of the day
_F_GETFD, _F_SETFD, _F_GETFL = 1, 2, 3
_ALL_BITS = (1 << 64) - 1


@dataclass(frozen=True)
class Condition:
    """Bits of an argument that must have a value."""

    argument: int
    value: int
    bits: int = _ALL_BITS


@dataclass(frozen=True)
class Rule:
    """A system call that is allowed if all conditions hold."""

    name: str
    conditions: tuple[Condition, ...] = ()


_ANY_ARGUMENTS = (
    *("read", "readv", "pread64", "write", "writev", "lseek", "close"),
    # These tell of any file whether it exists and how large it is; Landlock does not change that.
    *("stat", "lstat", "fstat", "newfstatat", "getcwd"),
    *("brk", "munmap", "mremap", "madvise"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("clock_gettime", "clock_getres", "gettimeofday", "time", "getrandom", "sysinfo", "getpid", "gettid"),
    *("exit", "exit_group"),
)


def allowed_system_calls(pid: int) -> list[Rule]:
    """Rules for the process with this pid; everything else is denied."""
    return [
        *map(Rule, _ANY_ARGUMENTS),
        Rule("open", (Condition(1, 0, _WRITING),)),
        Rule("openat", (Condition(2, 0, _WRITING),)),
        Rule("mmap", (Condition(2, 0, _PROT_EXEC),)),
        Rule("mprotect", (Condition(2, 0, _PROT_EXEC),)),
        *(Rule("fcntl", (Condition(1, command),)) for command in (_F_GETFD, _F_SETFD, _F_GETFL)),
        *(Rule("futex", (Condition(1, operation),)) for operation in _FUTEX_OPERATIONS),
        Rule("tgkill", (Condition(0, pid),)),  # abort() and raise()
        Rule("prlimit64", (Condition(0, 0), Condition(2, 0))),  # reads its own limits
    ]
