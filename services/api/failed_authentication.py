"""Failed authentication is limited: so many wrong keys a minute and client address; more are not even looked up.

Keys that this process has found before are not held to it, so those who share the address with whoever guesses keep
working. A request without a key costs no look-up, and does not count.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection

from services.api.middleware.rate_headers import client_network
from services.api.rate_limit import RateLimiter
from services.auth.limits import QuotaError

_NAME = "wrong_keys_per_minute"  # as in the settings


class WrongKeys:
    """The wrong keys that came from a client's address lately."""

    def __init__(self, rates: RateLimiter, limit: int, connection: HTTPConnection) -> None:
        self._rates, self._limit = rates, limit
        self._who = f"wrong keys from {client_network(connection)}"

    async def count(self) -> None:
        """Count a key that may be wrong, before it is looked up.

        Raises:
            QuotaError: there were too many in the last minute.
        """
        try:
            await self._rates.hit(self._who, self._limit)
        except QuotaError as error:
            raise QuotaError(_NAME, self._limit, "Too many wrong API keys a minute", seconds=error.seconds) from None

    async def forgive(self) -> None:
        """The key that was counted last is right."""
        await self._rates.give_back(self._who)
