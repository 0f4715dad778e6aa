"""Looking up names that clients chose: a silent name server holds up nobody but those who named it.

A look-up is a thread of its own: the system's resolver cannot be interrupted, and waits for half a minute. Whoever asks
gives up long before; the thread goes on and counts among its owner's, not among everybody's.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future

_PER_OWNER = 8  # threads
_MOST = 512  # threads of all owners: a thread costs memory


class TooManyLookupsError(OSError):
    """Too many names of an owner are being looked up."""


class _Lookups:
    """The look-ups under way in this process, by host and port: one thread for all who ask for the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[str, int], Future[list[str]]] = {}
        self._owners = Counter[str]()  # threads of each

    def start(self, owner: str, host: str, port: int) -> Future[list[str]]:
        with self._lock:
            found = self._found.get((host, port))
            if found is not None:
                return found
            if self._owners[owner] >= _PER_OWNER or len(self._found) >= _MOST:
                number = self._owners[owner]
                raise TooManyLookupsError(f"cannot be looked up now: the name servers of {number} others are silent")
            found = self._found[host, port] = Future()
            self._owners[owner] += 1
        found.set_running_or_notify_cancel()  # the caller may give up waiting, the thread cannot
        threading.Thread(target=self._run, args=(owner, host, port, found), name="look-up", daemon=True).start()
        return found

    def _run(self, owner: str, host: str, port: int, found: Future[list[str]]) -> None:
        addresses: list[str] | None = None
        error: Exception | None = None
        try:
            addresses = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except Exception as failure:  # the waiting must hear of it, whatever it is
            error = failure
        with self._lock:  # before the answer: the next one to ask does not find this one in the way
            del self._found[host, port]
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(addresses or [])


_lookups = _Lookups()


async def look_up(owner: str, host: str, port: int) -> Sequence[str]:
    """The addresses of a host, according to the system.

    Raises:
        TooManyLookupsError: too many names of this owner are being looked up.
        OSError, UnicodeError: as the system's resolver does.
    """
    return await asyncio.wrap_future(_lookups.start(owner, host, port))
