"""Program: a process that the supervisor forks and keeps running."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from services.processes.parent_death import end_with_parent
from services.processes.process_title import set_process_title

_log = logging.getLogger("motes.serve")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)  # handled by the supervisor
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before a process is restarted, by the number of failures in a row
_STABLE_AFTER = 30.0  # seconds after which the failures of a running process are forgotten


@dataclass
class Program:
    """Runs ``run`` in a forked process and restarts it whenever it exits.

    The process gets ``environment``, the standard streams and the file descriptors in ``inherited``; ``title`` is its
    name in ``ps``. Its standard output goes to standard error. ``run`` returns the exit code.
    """

    name: str
    run: Callable[[], int]
    environment: Mapping[str, str]
    title: str
    inherited: Collection[int] = ()
    pid: int | None = field(default=None, init=False)  # None unless it is running
    failures: int = field(default=0, init=False)  # in a row
    due: float = field(default=0.0, init=False)  # when to start it, by the monotonic clock
    _began: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Fork the process; if that fails, schedule another try."""
        self._began = time.monotonic()
        try:
            self.pid = forked(self._main)
        except OSError as error:
            self._start_later(f"cannot be started: {error.strerror}")

    def check(self) -> None:
        """Schedule a restart if the process has exited."""
        code = self.exit_code()
        if code is not None:
            killed = code < 0
            self._start_later(f"was killed by {signal.Signals(-code).name}" if killed else f"exited with code {code}")

    def exit_code(self) -> int | None:
        """The exit code, or minus the number of the signal that killed it; None while it runs or was never started."""
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal if it is running."""
        if self.pid is not None:
            os.kill(self.pid, number)  # never another process: only we wait for this pid

    def _start_later(self, why: str) -> None:
        """Schedule the next start; the delay grows with each failure in a row."""
        moment = time.monotonic()
        self.failures = 0 if moment - self._began > _STABLE_AFTER else self.failures + 1
        wait = _BACKOFF[min(self.failures, len(_BACKOFF) - 1)]
        self.due = moment + wait
        _log.warning("%s %s; restarting it in %g s", self.name, why, wait)

    def _main(self) -> int:
        close_all_but(self.inherited)
        os.dup2(2, 1)  # standard output carries only the supervisor's ready message
        os.environ.clear()
        os.environ.update(self.environment)
        set_process_title(self.title)
        return self.run()


def forked(run: Callable[[], int]) -> int:
    """Fork a process that calls ``run`` in a process group of its own and ends with this one; returns its pid.

    The calling process must have one thread.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _become(run, parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    return pid


def _become(run: Callable[[], int], parent: int) -> NoReturn:
    """Call ``run`` and exit with its code; never return to the caller."""
    code = 1
    try:
        atexit._clear()  # the parent's exit handlers are for the parent
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, 0)  # only the parent handles Ctrl-C
        end_with_parent(parent, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        code = run()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)


def close_all_but(kept: Collection[int]) -> None:
    """Close all file descriptors but the standard ones and ``kept``."""
    for file in map(int, os.listdir("/proc/self/fd")):
        if file > 2 and file not in kept:
            with suppress(OSError):  # the descriptor that listed the folder is closed already
                os.close(file)
