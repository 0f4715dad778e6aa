"""Webhooks: tell a client's server that a job is over, signed as Standard Webhooks has it, until it has heard.

What is to be told stands in the database since the moment the job was over; any worker may deliver it, one at a time.
A message is delivered at least once, always under the same ``webhook-id``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import ssl
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import select, update
from standardwebhooks import Webhook

from services.database.engine import Sessions, on_commit
from services.database.models import DeliveryRow, now
from services.observability import metrics
from services.settings import ServiceSettings
from services.webhooks.ssrf_guard import Resolve, TargetRefusedError, parse_url, post, resolve, resolve_public

_log = logging.getLogger("motes.webhooks")
_MINUTE, _HOUR = 60.0, 3600.0
BACKOFF = (5.0, 30.0, 2 * _MINUTE, 10 * _MINUTE, _HOUR, 6 * _HOUR, 24 * _HOUR)  # seconds before each further attempt
_JITTER = 0.1  # of that, so that many messages do not all come back at the same moment
_CONCURRENCY = 8
_TIMEOUT = 10.0  # seconds
_READ = 4096  # bytes of an answer, which nobody looks at
_OUTCOMES = {"pending": "retried", "delivered": "delivered", "failed": "failed"}  # as metrics say it
_GONE = 410  # the receiver wants nothing any more


async def check_target(url: str, settings: ServiceSettings, *, resolve: Resolve = resolve) -> None:
    """Refuse a ``webhook_url`` that could not be called, or must not be.

    Raises:
        TargetRefusedError: says why.
    """
    if settings.webhook_secret is None:
        raise TargetRefusedError(
            "webhook_url: this server sends no webhooks; its operator must set MOTES_WEBHOOK_SECRET"
        )
    try:
        await resolve_public(parse_url(url), private=settings.webhook_private_targets, resolve=resolve)
    except TargetRefusedError as error:
        raise TargetRefusedError(f"webhook_url: {error}; a public http or https address is allowed") from None


class Deliverer:
    """Delivers what is due. Several may run at once: a message is taken by one, which has ``lease`` seconds for it.

    A step of a request may take ``timeout`` seconds, all of it twice that. ``trust`` is whose certificates are
    believed: those of certifi, unless ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` says otherwise.
    """

    def __init__(
        self,
        sessions: Sessions,
        settings: ServiceSettings,
        *,
        backoff: Sequence[float] = BACKOFF,
        timeout: float = _TIMEOUT,
        lease: float = 60.0,
        look_every: float = 1.0,
        trust: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._sessions, self._settings = sessions, settings
        self._backoff, self._timeout, self._lease = backoff, timeout, timedelta(seconds=lease)
        self._look_every, self._trust, self._resolve = look_every, trust, resolve

    async def run(self) -> None:
        """Deliver for ever; without a secret there is nothing to do, without certificates nothing can be done."""
        if self._settings.webhook_secret is None:
            return
        signer = Webhook(self._settings.webhook_secret.get_secret_value())
        try:
            trust = self._trust or httpx.create_ssl_context()
        except OSError:
            _log.exception("no webhooks are sent: the certificates in SSL_CERT_FILE or SSL_CERT_DIR cannot be used")
            return
        slots = asyncio.Semaphore(_CONCURRENCY)

        async def deliver(row: DeliveryRow) -> None:
            try:
                await self._record(row, await self._attempt(row, signer, trust))
            except Exception:
                _log.exception("what came of webhook %s cannot be noted; it is delivered again", row.id)
            finally:
                slots.release()

        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()  # whoever is slow to answer holds one, and nobody else up
                try:
                    row = await self._claim()
                except Exception:
                    _log.exception("looking for webhooks failed; trying again")
                    row = None
                if row is None:
                    slots.release()
                    await asyncio.sleep(self._look_every)
                else:
                    group.create_task(deliver(row))

    async def _claim(self) -> DeliveryRow | None:
        """What is due first; nobody else takes it until the lease is over."""
        due = select(DeliveryRow).where(DeliveryRow.status == "pending", DeliveryRow.next_at <= now())
        async with self._sessions() as session:  # mostly there is nothing, and no need to keep writers waiting
            if await session.scalar(due.limit(1)) is None:
                return None
        async with self._sessions.begin() as session:
            first = due.order_by(DeliveryRow.next_at).limit(1).with_for_update(skip_locked=True)
            row = (await session.scalars(first)).one_or_none()
            if row is not None:
                row.next_at = now() + self._lease
            return row

    async def _attempt(self, row: DeliveryRow, signer: Webhook, trust: ssl.SSLContext) -> dict[str, Any]:
        """Send a message once; says what came of it, whatever that is: no message is tried for ever."""
        at, began = now(), time.monotonic()
        status, error = None, None
        try:
            content = json.dumps(row.payload, separators=(",", ":"))
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "Motes",
                "webhook-id": row.id,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": signer.sign(row.id, at, content),
            }
            async with (
                asyncio.timeout(2 * self._timeout),
                post(
                    row.url,
                    content=content.encode(),
                    headers=headers,
                    trust=trust,
                    timeout=self._timeout,
                    private=self._settings.webhook_private_targets,
                    resolve=self._resolve,
                ) as response,
            ):
                status = response.status_code
                async for _ in response.aiter_raw(_READ):  # nobody wants it, but to hang up on it would be rude
                    break
        except TargetRefusedError as refused:
            error = str(refused)
        except Exception as failure:
            # Not its text alone: many have none.
            error = f"{type(failure).__name__}: {failure}".removesuffix(": ")
        if status is not None:  # that counts, even if the rest of the answer never came
            error = None if 200 <= status < 300 else f"answered {status}"
        return {"at": at.isoformat(), "status": status, "error": error, "seconds": round(time.monotonic() - began, 3)}

    async def _record(self, row: DeliveryRow, attempt: dict[str, Any]) -> None:
        """Keep what came of an attempt, unless the message was taken by somebody else meanwhile."""
        attempts = [*row.attempts, attempt]
        status, next_at = self._next_state(attempts)
        mine = update(DeliveryRow).where(
            DeliveryRow.id == row.id, DeliveryRow.status == "pending", DeliveryRow.next_at == row.next_at
        )
        async with self._sessions.begin() as session:
            noted: Any = await session.execute(mine.values(attempts=attempts, status=status, next_at=next_at))
            if noted.rowcount:
                on_commit(session, lambda: metrics.webhook_attempted(_OUTCOMES[status]))
        if status == "failed":
            _log.warning("webhook %s of job %s was not delivered: %s", row.id, row.job_id, attempt["error"])

    def _next_state(self, attempts: list[dict[str, Any]]) -> tuple[str, datetime]:
        """What becomes of a message after these attempts, and when it is tried again if it is."""
        last = attempts[-1]
        if last["error"] is None:
            return "delivered", now()
        if last["status"] == _GONE or len(attempts) > len(self._backoff):
            return "failed", now()
        wait = self._backoff[len(attempts) - 1]
        return "pending", now() + timedelta(seconds=wait * (1 + _JITTER * secrets.randbelow(1000) / 1000))
