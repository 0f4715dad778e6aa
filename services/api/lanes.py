"""Lanes: what requests compute or read from storage waits for others of the same owner, and not for other owners.

Threads share one interpreter, so work is done in pieces in a few threads. Each owner has a queue of pieces; a free
thread takes the next piece of the owner whose turn it is. An owner has at most ``each`` pieces in threads at once, and
so many waiting; whatever is more is refused, at the owner's own cost.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from services.auth.limits import QuotaError

T = TypeVar("T")
WAITING = 64  # pieces of an owner that wait; each holds a request in memory
_RETRY_AFTER = 1.0  # seconds after which a queue has usually shrunk
_owner: ContextVar[str] = ContextVar("owner", default="")


def use_lane_of(owner: str) -> None:
    """Whatever the current request computes from now on is this owner's."""
    _owner.set(owner)


class Lanes:
    """Runs pieces of work in ``threads`` threads, one owner after the other."""

    def __init__(self, *, threads: int, each: int = 1, waiting: int = WAITING) -> None:
        self._free, self._each, self._bound = threads, each, waiting
        self._limiter = CapacityLimiter(threads)
        self._running = Counter[str]()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # in the order of the owners' turns

    async def run(self, work: Callable[[], T]) -> T:
        """Run work in a thread when it is the turn of the request's owner.

        Raises:
            QuotaError: too many requests of this owner are waiting.
        """
        return await self.run_as(_owner.get(), lambda: to_thread.run_sync(work, limiter=self._limiter))

    async def run_async(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run asynchronous work when it is the turn of the request's owner.

        Raises:
            QuotaError: too many requests of this owner are waiting.
        """
        return await self.run_as(_owner.get(), work)

    async def run_as(self, owner: str, work: Callable[[], Awaitable[T]]) -> T:
        """Run work when it is this owner's turn.

        Raises:
            QuotaError: too many requests of this owner are waiting.
        """
        await self._enter(owner)
        try:
            return await work()
        finally:
            self._leave(owner)

    async def _enter(self, owner: str) -> None:
        if self._free and self._running[owner] < self._each and owner not in self._waiting:
            self._take(owner)
            return
        queue = self._waiting.setdefault(owner, deque())
        if len(queue) >= self._bound:
            problem = f"{len(queue)} of your requests are waiting"
            raise QuotaError("waiting_requests", self._bound, problem, seconds=_RETRY_AFTER)
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it got a thread at the same moment
                self._leave(owner)
            else:
                self._forget(owner, turn)
            raise

    def _take(self, owner: str) -> None:
        self._free -= 1
        self._running[owner] += 1

    def _leave(self, owner: str) -> None:
        """Free a thread, and give it to whose turn it is."""
        self._free += 1
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        if owner in self._waiting:
            self._waiting[owner] = self._waiting.pop(owner)  # behind all others
        while self._free and (after := self._next()) is not None:
            queue = self._waiting.pop(after)
            turn = queue.popleft()
            if queue:
                self._waiting[after] = queue
            if not turn.done():  # otherwise the client has gone
                self._take(after)
                turn.set_result(None)

    def _next(self) -> str | None:
        return next((owner for owner in self._waiting if self._running[owner] < self._each), None)

    def _forget(self, owner: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(owner, deque())
        if turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[owner]
