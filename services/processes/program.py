"""Program: a process that a supervisor keeps running, forked with all that the supervisor has loaded."""

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
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)  # that a supervisor handles
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before a process that died is started again
_STABLE_AFTER = 30.0  # seconds after which a process counts as working


@dataclass
class Program:
    """Runs ``run`` in a process of its own, and again whenever that ends.

    The process has this environment, the open files of ``inherited`` and the standard ones, and is called ``title``;
    what it prints goes to standard error. ``run`` returns its exit code.
    """

    name: str
    run: Callable[[], int]
    environment: Mapping[str, str]
    title: str
    inherited: Collection[int] = ()
    pid: int | None = field(default=None, init=False)  # None while it is not running
    failures: int = field(default=0, init=False)  # in a row
    due: float = field(default=0.0, init=False)  # when it is to be started, by the monotonic clock
    _began: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Start it; what cannot be started is tried again later."""
        self._began = time.monotonic()
        try:
            self.pid = forked(self._main)
        except OSError as error:
            self._start_later(f"cannot be started: {error.strerror}")

    def check(self) -> None:
        """See whether it has ended, to start it again later."""
        code = self.exit_code()
        if code is not None:
            killed = code < 0
            self._start_later(
                f"was killed by {signal.Signals(-code).name}" if killed else f"ended with exit code {code}"
            )

    def exit_code(self) -> int | None:
        """How it ended, minus a signal's number where one killed it; None while it runs or was not started."""
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.pid is not None:
            os.kill(self.pid, number)  # at worst it is a zombie: nobody else waits for it

    def _start_later(self, why: str) -> None:
        """Later each time, unless it ran for a while."""
        moment = time.monotonic()
        self.failures = 0 if moment - self._began > _STABLE_AFTER else self.failures + 1
        wait = _BACKOFF[min(self.failures, len(_BACKOFF) - 1)]
        self.due = moment + wait
        _log.warning("%s %s; starting it again in %g s", self.name, why, wait)

    def _main(self) -> int:
        close_all_but(self.inherited)
        os.dup2(2, 1)  # on standard output we say that we are ready, and nothing else
        os.environ.clear()
        os.environ.update(self.environment)
        set_process_title(self.title)
        return self.run()


def forked(run: Callable[[], int]) -> int:
    """The pid of a process that does ``run`` and ends with this one, in a process group of its own.

    To be called in a process of one thread.
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
    """What ``run`` does is all that this process does; nothing of what called it goes on."""
    code = 1
    try:
        atexit._clear()  # what the parent wants done is for the parent to do
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, 0)  # Ctrl-C is for the parent to deal with
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
    """Close all files but the standard ones and these."""
    for file in map(int, os.listdir("/proc/self/fd")):
        if file > 2 and file not in kept:
            with suppress(OSError):  # what listed them is closed
                os.close(file)
