"""Webhooks: tell a client's server that a job is over, signed as Standard Webhooks has it, until it has heard.

What is to be told stands in the database since the moment the job was over; any worker may deliver it, one at a time.
A message is delivered at least once, always under the same ``webhook-id``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import select, update
from standardwebhooks import Webhook

from services.database import DeliveryRow, Sessions, now
from services.settings import ServiceSettings
from services.targets import TargetRefused, address_of, parsed, post

_log = logging.getLogger("motes.webhooks")
_MINUTE, _HOUR = 60.0, 3600.0
BACKOFF = (5.0, 30.0, 2 * _MINUTE, 10 * _MINUTE, _HOUR, 6 * _HOUR, 24 * _HOUR)  # seconds before each further attempt
_JITTER = 0.1  # of that, so that many messages do not all come back at the same moment
_AT_ONCE = 8
_TIMEOUT = 10.0  # seconds
_READ = 4096  # bytes of an answer, which nobody looks at
_GONE = 410  # the receiver wants nothing any more


async def check_target(url: str, settings: ServiceSettings) -> None:
    """Refuse a ``webhook_url`` that could not be called, or must not be.

    Raises:
        TargetRefused: says why.
    """
    if settings.webhook_secret is None:
        raise TargetRefused("webhook_url: this server sends no webhooks; its operator must set MOTES_WEBHOOK_SECRET")
    try:
        await address_of(parsed(url), private=settings.webhook_private_targets)
    except TargetRefused as error:
        raise TargetRefused(f"webhook_url: {error}; a public http or https address is allowed") from None


class Deliverer:
    """Delivers what is due. Several may run at once: a message is taken by one, which has ``lease`` seconds for it."""

    def __init__(
        self,
        sessions: Sessions,
        settings: ServiceSettings,
        *,
        backoff: Sequence[float] = BACKOFF,
        timeout: float = _TIMEOUT,
        lease: float = 60.0,
        look_every: float = 1.0,
    ) -> None:
        self._sessions, self._settings = sessions, settings
        self._backoff, self._timeout, self._lease = backoff, timeout, timedelta(seconds=lease)
        self._look_every = look_every

    async def run(self) -> None:
        """Deliver for ever; without a secret there is nothing to do."""
        if self._settings.webhook_secret is None:
            return
        signer = Webhook(self._settings.webhook_secret.get_secret_value())
        # No proxy and no redirect: the request goes where we looked, and nowhere else.
        async with httpx.AsyncClient(timeout=self._timeout, follow_redirects=False, trust_env=False) as client:
            while True:
                try:
                    due = await self._take()
                    await asyncio.gather(*(self._deliver(client, signer, row) for row in due))
                except Exception:
                    _log.exception("delivering webhooks failed; trying again")
                    due = []
                if not due:
                    await asyncio.sleep(self._look_every)

    async def _take(self) -> list[DeliveryRow]:
        """Some of what is due; nobody else takes it until the lease is over."""
        due = select(DeliveryRow).where(DeliveryRow.status == "pending", DeliveryRow.next_at <= now())
        async with self._sessions() as session:
            if await session.scalar(due.limit(1)) is None:
                return []
        async with self._sessions.begin() as session:
            first = due.order_by(DeliveryRow.next_at).limit(_AT_ONCE).with_for_update(skip_locked=True)
            rows = list(await session.scalars(first))
            for row in rows:
                row.next_at = now() + self._lease
            return rows

    async def _deliver(self, client: httpx.AsyncClient, signer: Webhook, row: DeliveryRow) -> None:
        content = json.dumps(row.payload, separators=(",", ":"), ensure_ascii=False)
        at, began = now(), time.monotonic()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Motes",
            "webhook-id": row.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signer.sign(row.id, at, content),
        }
        status, error = None, None
        try:
            private = self._settings.webhook_private_targets
            async with (
                asyncio.timeout(2 * self._timeout),  # each step has its own limit, and all together this one
                post(client, row.url, content=content.encode(), headers=headers, private=private) as response,
            ):
                status = response.status_code
                if not response.is_success:
                    error = f"answered {status}"
                async for _ in response.aiter_raw(_READ):
                    break
        except TargetRefused as refused:
            error = str(refused)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as failure:
            # Not its text alone: many have none.
            error = f"{type(failure).__name__}: {failure}".removesuffix(": ")
        attempt = {
            "at": at.isoformat(),
            "status": status,
            "error": error,
            "seconds": round(time.monotonic() - began, 3),
        }
        await self._note(row, attempt)

    async def _note(self, row: DeliveryRow, attempt: dict[str, Any]) -> None:
        """Keep what came of an attempt, unless the message was taken by somebody else meanwhile."""
        attempts = [*row.attempts, attempt]
        status, next_at = self._after(attempts)
        mine = update(DeliveryRow).where(
            DeliveryRow.id == row.id, DeliveryRow.status == "pending", DeliveryRow.next_at == row.next_at
        )
        async with self._sessions.begin() as session:
            await session.execute(mine.values(attempts=attempts, status=status, next_at=next_at))
        if status == "failed":
            _log.warning("webhook %s of job %s was not delivered: %s", row.id, row.job_id, attempt["error"])

    def _after(self, attempts: list[dict[str, Any]]) -> tuple[str, datetime]:
        """What becomes of a message after these attempts, and when it is tried again if it is."""
        last = attempts[-1]
        if last["error"] is None:
            return "delivered", now()
        if last["status"] == _GONE or len(attempts) > len(self._backoff):
            return "failed", now()
        wait = self._backoff[len(attempts) - 1]
        return "pending", now() + timedelta(seconds=wait * (1 + _JITTER * secrets.randbelow(1000) / 1000))
