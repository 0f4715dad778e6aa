"""Skew: by how much the clock of this process differs from the database's. It does no harm, but should be mended.

Logs, traces, certificates and other programs of the machine go by its clock.
"""

from __future__ import annotations

import asyncio
import logging

from services.database.engine import Sessions
from services.observability import metrics

MAX_SKEW = 5.0  # seconds that clocks may differ
_CHECK_EVERY = 10.0  # seconds
_log = logging.getLogger("motes.clock")


class SkewCheck:
    """Warns once when the clocks differ, and says when they agree again."""

    def __init__(self, sessions: Sessions) -> None:
        self._clock = sessions.clock
        self._warned = False

    async def run(self) -> None:
        """Check now and then. Never returns."""
        while True:
            try:
                await self.check()
            except Exception:  # the database is down, which others report
                _log.debug("the clock of the database cannot be read", exc_info=True)
            await asyncio.sleep(_CHECK_EVERY)

    async def check(self) -> None:
        """Ask the database for its time, and compare."""
        await self._clock.ask()
        skew = self._clock.skew
        metrics.CLOCK_SKEW.set(skew)
        if (warning := skew_warning(skew)) is not None and not self._warned:
            _log.warning("%s", warning)
        elif self._warned and warning is None:
            _log.warning("the clock of this process and the database's agree again")
        self._warned = warning is not None


def skew_warning(skew: float) -> str | None:
    """What to say of a skew, in seconds; None if it is small."""
    if abs(skew) <= MAX_SKEW:
        return None
    return (
        f"the clock of this process is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the database's: leases "
        "and ages go by the database's and are safe, but one of the two is wrong; check the time on both machines"
    )
