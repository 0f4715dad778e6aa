"""Webhooks: signed messages (Standard Webhooks) that tell a client's server that a job is over.

A message is stored when its job ends, and delivered by any worker, one worker at a time. It is delivered at least once,
always with the same ``webhook-id``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import ssl
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import select, update
from standardwebhooks import Webhook

from services.database.clock import db_now, time_in
from services.database.engine import Sessions, on_commit
from services.database.models import DeliveryRow
from services.observability import metrics
from services.settings import ServiceSettings
from services.webhooks.ssrf_guard import Resolve, TargetRefusedError, parse_url, post, resolve, resolve_public

_log = logging.getLogger("motes.webhooks")
_MINUTE, _HOUR = 60.0, 3600.0
BACKOFF = (5.0, 30.0, 2 * _MINUTE, 10 * _MINUTE, _HOUR, 6 * _HOUR, 24 * _HOUR)  # seconds before each retry
_JITTER = 0.1  # fraction added at random, so that retries spread out
_CONCURRENCY = 8
_TIMEOUT = 10.0  # seconds
_READ = 4096  # bytes of a response that are read, and ignored
_OUTCOMES = {"pending": "retried", "delivered": "delivered", "failed": "failed"}  # as metrics call them
_GONE = 410  # the receiver wants no more messages


async def check_target(url: str, settings: ServiceSettings, *, resolve: Resolve = resolve) -> None:
    """Refuse a ``webhook_url`` that cannot or must not be called.

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
    """Delivers due messages. Several may run at once: each claims a message for ``lease`` seconds.

    ``timeout`` limits each step of a request in seconds, twice that the whole request. ``trust`` holds the accepted
    certificates: certifi's, unless ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` says otherwise.
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
        """Deliver for ever, but nothing without a secret or without usable certificates. Never returns."""
        if self._settings.webhook_secret is not None:
            await self._run(self._settings.webhook_secret.get_secret_value())
        await asyncio.Event().wait()

    async def _run(self, secret: str) -> None:
        """Deliver for ever; returns at once without usable certificates."""
        signer = Webhook(secret)
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
                _log.exception("the outcome of webhook %s cannot be stored; it will be delivered again", row.id)
            finally:
                slots.release()

        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()  # a slow receiver holds one slot and nobody else up
                try:
                    row = await self._claim()
                except Exception:
                    _log.exception("looking for webhooks failed; it will be tried again")
                    row = None
                if row is None:
                    slots.release()
                    await asyncio.sleep(self._look_every)
                else:
                    group.create_task(deliver(row))

    async def _claim(self) -> DeliveryRow | None:
        """Claim the message that is due first, until its lease expires."""
        due = select(DeliveryRow).where(DeliveryRow.status == "pending", DeliveryRow.next_at <= db_now())
        async with self._sessions() as session:  # usually nothing is due, and writers need not wait
            if await session.scalar(due.limit(1)) is None:
                return None
        async with self._sessions.begin() as session:
            first = due.order_by(DeliveryRow.next_at).limit(1).with_for_update(skip_locked=True)
            row = (await session.scalars(first)).one_or_none()
            if row is not None:
                row.next_at = await time_in(session) + self._lease
            return row

    async def _attempt(self, row: DeliveryRow, signer: Webhook, trust: ssl.SSLContext) -> dict[str, Any]:
        """Send a message once and describe the outcome, whatever it is, so that no message is retried for ever."""
        at, began = await self._sessions.clock.now(), time.monotonic()
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
                async for _ in response.aiter_raw(_READ):  # hanging up without reading would be rude
                    break
        except TargetRefusedError as refused:
            error = str(refused)
        except Exception as failure:
            # The type as well: many errors have no text.
            error = f"{type(failure).__name__}: {failure}".removesuffix(": ")
        if status is not None:  # the status counts, even if the body never arrived
            error = None if 200 <= status < 300 else f"answered {status}"
        return {"at": at.isoformat(), "status": status, "error": error, "seconds": round(time.monotonic() - began, 3)}

    async def _record(self, row: DeliveryRow, attempt: dict[str, Any]) -> None:
        """Record an attempt, unless another worker has claimed the message meanwhile."""
        attempts = [*row.attempts, attempt]
        status, wait = self._next_state(attempts)
        mine = update(DeliveryRow).where(
            DeliveryRow.id == row.id, DeliveryRow.status == "pending", DeliveryRow.next_at == row.next_at
        )
        async with self._sessions.begin() as session:
            noted: Any = await session.execute(mine.values(attempts=attempts, status=status, next_at=db_now(wait)))
            if noted.rowcount:
                on_commit(session, lambda: metrics.webhook_attempted(_OUTCOMES[status]))
        if status == "failed":
            _log.warning("webhook %s of job %s was not delivered: %s", row.id, row.job_id, attempt["error"])

    def _next_state(self, attempts: list[dict[str, Any]]) -> tuple[str, timedelta]:
        """The status of a message after these attempts, and how long until the next one."""
        last = attempts[-1]
        if last["error"] is None:
            return "delivered", timedelta(0)
        if last["status"] == _GONE or len(attempts) > len(self._backoff):
            return "failed", timedelta(0)
        wait = self._backoff[len(attempts) - 1]
        return "pending", timedelta(seconds=wait * (1 + _JITTER * secrets.randbelow(1000) / 1000))
