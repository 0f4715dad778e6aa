"""The watchdog of a task's process: finds that it hangs, by its heartbeats, and that a task takes absurdly long.

A process that waits for what never comes – it was stopped, its file system is dead – hangs if it has sent no heartbeat
for ``stall`` seconds. One that computes may only be slow, or get little of a busy machine: for that, its own processor
time counts instead, so it hangs once it has used ``stall`` seconds of that without a heartbeat. A task of any kind may
take ``deadline`` seconds, which are counted likewise. So verdicts do not depend on how busy the machine is, nor on
pauses of the worker itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from services.processes.process_activity import Activity, activity_of

LOOK_EVERY = 0.4  # seconds
_LONGEST_LOOK = 2.0  # seconds that may pass between two looks; beyond that, we did not run ourselves


@dataclass(frozen=True)
class Verdict:
    """Why a process must be killed. ``is_waiting``: for something outside, so it is no fault of its job."""

    reason: str
    is_waiting: bool = False


class Watchdog:
    """Watches one task. It begins paused, until :meth:`messages` is read."""

    def __init__(
        self,
        *,
        stall: float,
        deadline: float,
        activity: Callable[[int], Activity] = activity_of,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stall, self._deadline, self._activity, self._clock = stall, deadline, activity, clock
        self._seen, self._looked = Activity(), clock()
        self._silent = self._busy = self._lasted = 0.0
        self._paused = True

    async def messages(self, messages: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        """Pass on a process's messages, each of which is a heartbeat; that alone are some of them, which end here.

        While a message is handled, for instance by a database that is down, the process may wait for us.
        """
        self._paused = False
        try:
            async for message in messages:
                self._silent = self._busy = 0.0
                if message.keys() == {"beat"}:
                    continue
                self._paused = True
                yield message
                self._paused = False
        finally:
            self._paused = True

    def look(self, pid: int) -> Verdict | None:
        """Look at the process, every ``LOOK_EVERY`` seconds; says if it must be killed."""
        now, seen = self._clock(), self._activity(pid)
        passed, used = min(now - self._looked, _LONGEST_LOOK), max(0.0, seen.cpu - self._seen.cpu)
        self._looked, self._seen = now, seen
        if self._paused:
            return None
        spent = min(passed, used) if used or seen.is_ready else passed
        self._silent += spent
        self._busy += min(passed, used)
        self._lasted += spent
        if self._silent > self._stall:
            is_waiting = self._busy < self._silent / 2
            doing = "waits for something" if is_waiting else "computes"
            return Verdict(f"no progress for {self._stall:g} s, while it {doing}", is_waiting)
        if self._lasted > self._deadline:
            return Verdict(f"not done after {self._deadline:.0f} s")
        return None
