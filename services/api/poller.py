"""Poller: one query per interval serves all followers, however many there are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Set
from typing import Generic, TypeVar

from services.processes.loops import Loops

T = TypeVar("T")
Fetch = Callable[[Set[str]], Awaitable[Mapping[str, T]]]


class Poller(Generic[T]):
    """Polls rows: ``fetch`` returns a value for each id, or nothing if the row does not exist.

    It runs ``every`` so many seconds while there are followers, as one of ``loops``.
    """

    def __init__(self, fetch: Fetch[T], *, every: float, name: str, loops: Loops) -> None:
        self._fetch, self._every = fetch, every
        loops.start(f"polling of {name}", self._run())
        self._wanted: Counter[str] = Counter()
        self._has_followers = asyncio.Event()
        self._next: asyncio.Future[Mapping[str, T]] = asyncio.get_running_loop().create_future()

    async def next(self, of: str) -> T | None:
        """The value of a row at the next poll; None if the row does not exist.

        Raises:
            Exception: any that ``fetch`` raises; if the database does not respond, one of ``UNREACHABLE``.
        """
        self._wanted[of] += 1
        self._has_followers.set()
        try:
            return (await asyncio.shield(self._next)).get(of)
        finally:
            self._wanted[of] -= 1
            if not self._wanted[of]:
                del self._wanted[of]

    async def _run(self) -> None:
        while True:
            await self._has_followers.wait()
            await asyncio.sleep(self._every)
            waiting, self._next = self._next, asyncio.get_running_loop().create_future()
            try:
                waiting.set_result(await self._fetch(self._wanted.keys()) if self._wanted else {})
            except Exception as error:
                waiting.set_exception(error)
                waiting.exception()  # there may be no follower left to retrieve it
            if not self._wanted:
                self._has_followers.clear()
