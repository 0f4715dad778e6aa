"""What only some systems have, and what Motes does elsewhere.

All but the service asks this module rather than which system it runs on. It looks for functions, not for names of
systems, so that the tests in ``tests/portable``, which take the functions away, run what runs on Windows.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

# Otherwise this is Windows: processes have no groups and are not signalled, and a file that is open or mapped can be
# neither removed nor replaced.
POSIX = hasattr(os, "killpg")
# macOS has it, but its own libraries may crash in a process that was forked and not started anew.
FORKS = hasattr(os, "fork") and sys.platform != "darwin"

_LOOK_EVERY = 0.1  # seconds between attempts to get a lock
_LONGEST_WAIT = 600.0  # seconds for a lock
_SOON = 0.01  # seconds


def start_apart(
    command: Sequence[str], *, environment: Mapping[str, str], stdin: int, stdout: int | None, files: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a process that Ctrl-C in a terminal does not reach; it inherits ``files`` where processes are forked."""
    return subprocess.Popen(
        command,
        env=environment,
        stdin=stdin,
        stdout=stdout,
        pass_fds=files,
        process_group=0,  # ignored on Windows, which has the next line
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started apart, with all that it forked, unless it has ended."""
    if process.poll() is not None:
        return
    if POSIX:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file; ``waiting`` is called ten times a second while another process holds it.

    It is SQLite's: the only lock in the standard library that all systems have and that ends with its process. Where
    files cannot be locked, nobody waits, or at most ten minutes: SQLite takes some file systems without locks for busy.
    """
    try:
        import sqlite3  # noqa: PLC0415 - needed once per machine
    except ImportError:  # Python was built without it
        yield
        return
    begun = time.monotonic()
    try:
        database = sqlite3.connect(path, timeout=0, isolation_level=None)
    except sqlite3.DatabaseError:  # the file cannot be opened
        database = sqlite3.connect(":memory:", isolation_level=None)
    with closing(database):
        while True:
            try:
                database.execute("BEGIN EXCLUSIVE")
            except sqlite3.DatabaseError as error:
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() - begun > _LONGEST_WAIT:
                    break
                waiting()
                time.sleep(_LOOK_EVERY)
            else:
                break
        yield


def interrupt_soon(handler: Callable[[int, FrameType | None], object]) -> None:
    """Call a handler of signals in a moment, in the main thread, also if that waits for something."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, _SOON)
    else:
        signal.signal(signal.SIGINT, handler)
        threading.Timer(_SOON, signal.raise_signal, (signal.SIGINT,)).start()


def is_closed_pipe(error: OSError) -> bool:
    """Whether an error says that nobody reads what is written any more."""
    is_windows_way = not POSIX and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or is_windows_way
