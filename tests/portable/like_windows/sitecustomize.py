"""Takes from this process, and from all that it starts, what Windows does not have; Python imports it at its start.

This folder has to be on ``PYTHONPATH``. The standard library, whose own files differ on Windows, keeps what it imported
before; ``os.uname`` and the like stay, as NumPy calls them wherever ``sys.platform`` says Linux.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing.connection
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

# Words of one text each.
MODULES = "_posixsubprocess fcntl grp posix pty pwd readline resource select syslog termios tty"
OF_OS = """
    WNOHANG chown chroot confstr ctermid fchmod fchown fork forkpty getegid geteuid getgid getgroups getloadavg getpgid
    getpgrp getpriority getresuid getsid getuid killpg lchown lockf login_tty mkfifo mknod nice openpty pathconf
    pidfd_open posix_fadvise posix_fallocate posix_spawn posix_spawnp pread preadv pwrite pwritev register_at_fork
    sched_getaffinity sched_getscheduler sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups
    setpgid setpriority setsid setuid statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname wait wait3 wait4 waitid"""
OF_SIGNAL = """
    ITIMER_PROF ITIMER_REAL ITIMER_VIRTUAL SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPOLL
    SIGPROF SIGPWR SIGQUIT SIGSTOP SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH alarm
    getitimer pause pidfd_send_signal pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait
    sigwait sigwaitinfo"""
OF_SOCKET = "AF_UNIX recv_fds send_fds"
KILL = int(signal.SIGKILL)
USERS = (logging, multiprocessing.connection, pathlib, random, tempfile)  # of what is taken away


def take_away() -> None:
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL), (socket, OF_SOCKET)):
        for name in names.split():
            vars(module).pop(name, None)
    for name in MODULES.split():
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    if sys.version_info >= (3, 13):
        os.process_cpu_count = os.cpu_count  # where the affinity is not known
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    change(subprocess.Popen, "__init__", popen)
    change(ctypes.CDLL, "__init__", cdll)
    subprocess.Popen.kill = lambda process: process.send_signal(KILL)  # type: ignore[method-assign]
    sys.addaudithook(refuse)


def change(kind: type, name: str, by: Callable[..., None]) -> None:
    before = getattr(kind, name)
    setattr(kind, name, lambda self, *words, **options: by(before, self, *words, **options))


def popen(before: Callable[..., None], self: Any, *words: Any, **options: Any) -> None:
    assert not options.get("pass_fds"), "pass_fds not supported on Windows."
    if options.get("preexec_fn") is not None:
        raise ValueError("preexec_fn is not supported on Windows platforms")
    before(self, *words, **options)


def cdll(before: Callable[..., None], self: Any, name: str | None = None, *words: Any, **options: Any) -> None:
    if name is None and type(self) is ctypes.CDLL:
        raise TypeError("argument of type 'NoneType' is not iterable")
    before(self, name, *words, **options)


def refuse(event: str, facts: tuple[Any, ...]) -> None:
    """There is no /proc, and what this process holds open or mapped can be neither removed nor replaced."""
    if event in ("open", "os.listdir", "os.scandir") and isinstance(facts[0], str):
        if facts[0].startswith(("/proc/", "/sys/")) and not looking:
            raise FileNotFoundError(2, "No such file or directory", facts[0])
    elif event in ("os.remove", "os.rename", "os.rmdir"):
        for path in facts[: 2 if event == "os.rename" else 1]:
            if os.path.realpath(path) in held():
                raise PermissionError(13, "The process cannot access the file because it is being used", path)


looking: list[bool] = []


def held() -> set[str]:
    """The files that this process holds open or mapped."""
    looking.append(True)
    try:
        found = set()
        for number in os.listdir("/proc/self/fd"):
            try:
                found.add(os.readlink(f"/proc/self/fd/{number}"))
            except FileNotFoundError:  # that of the listing
                continue
        with open("/proc/self/maps") as maps:
            found |= {line.split(maxsplit=5)[5].strip() for line in maps if line.count("/")}
        return found
    finally:
        looking.pop()


if __name__ == "sitecustomize":
    take_away()
