"""Webhooks: signed messages (Standard Webhooks) that tell a client's server that a job is over.

A message is stored when its job ends, and delivered by any worker, one worker at a time. It is delivered at least once,
always with the same ``webhook-id``. Which message is sent next: ``services.webhooks.fair_claims``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from standardwebhooks import Webhook

from services.database.clock import db_now, time_in
from services.database.engine import Sessions, on_commit
from services.database.models import DeliveryRow
from services.observability import metrics
from services.observability.masking import masked
from services.settings import ServiceSettings
from services.webhooks import circuit_breaker
from services.webhooks.fair_claims import Claimed, FairClaims, Lane
from services.webhooks.name_lookup import look_up
from services.webhooks.owner_secrets import OwnerSecrets
from services.webhooks.ssrf_guard import (
    Resolve,
    SilentNameServerError,
    TargetRefusedError,
    parse_url,
    post,
    resolve_public,
)

_log = logging.getLogger("motes.webhooks")
_MINUTE, _HOUR = 60.0, 3600.0
BACKOFF = (5.0, 30.0, 2 * _MINUTE, 10 * _MINUTE, _HOUR, 6 * _HOUR, 24 * _HOUR)  # seconds before each retry
_JITTER = 0.1  # fraction added at random, so that retries spread out
_CONCURRENCY = 64  # messages of a worker under way
_TIMEOUT = 10.0  # seconds
_READ = 4096  # bytes of a response that are read, and ignored
_OUTCOMES = {"pending": "retried", "delivered": "delivered", "failed": "failed"}  # as metrics call them
_GONE = 410  # the receiver wants no more messages
_KEEP_TRYING = 3 * 24 * _HOUR  # seconds for which a message waits for a receiver that answers nothing
_GIVEN_UP_AT_ONCE = 100  # messages


async def check_target(url: str, settings: ServiceSettings, *, owner: str = "", resolve: Resolve | None = None) -> None:
    """Refuse a ``webhook_url`` of an owner that cannot or must not be called.

    Raises:
        TargetRefusedError: says why.
    """
    if settings.webhook_secret is None:
        raise TargetRefusedError(
            "webhook_url: this server sends no webhooks; its operator must set MOTES_WEBHOOK_SECRET"
        )
    try:
        await resolve_public(
            parse_url(url), private=settings.webhook_private_targets, resolve=resolve or partial(look_up, owner)
        )
    except TargetRefusedError as error:
        raise TargetRefusedError(f"webhook_url: {error}; a public http or https address is allowed") from None


@dataclass(frozen=True)
class _Outcome:
    """What came of an attempt, as it is stored, and whether the receiver answered; None: it was not even asked."""

    attempt: dict[str, Any]
    answered: bool | None


class Deliverer:
    """Delivers due messages. Several may run at once: each claims messages for ``lease`` seconds.

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
        resolve: Resolve | None = None,
    ) -> None:
        self._sessions, self._settings = sessions, settings
        self._backoff, self._timeout = backoff, timeout
        self._look_every, self._trust, self._resolve = look_every, trust, resolve
        self._claims = FairClaims(sessions, lease=timedelta(seconds=lease))
        self._secrets = OwnerSecrets(sessions, settings.webhook_secret)

    async def run(self) -> None:
        """Deliver for ever, but nothing without a secret or without usable certificates. Never returns."""
        if self._settings.webhook_secret is not None:
            await self._run()
        await asyncio.Event().wait()

    async def _run(self) -> None:
        """Deliver for ever; returns at once without usable certificates."""
        try:
            trust = self._trust or httpx.create_ssl_context()
        except OSError:
            _log.exception("no webhooks are sent: the certificates in SSL_CERT_FILE or SSL_CERT_DIR cannot be used")
            return
        under_way, done = set[asyncio.Task[None]](), asyncio.Event()

        def end(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            done.set()

        async with asyncio.TaskGroup() as group:
            while True:
                done.clear()
                claimed = await self._claim(_CONCURRENCY - len(under_way))
                for each in claimed:
                    task = group.create_task(self._deliver(each, trust))
                    under_way.add(task)
                    task.add_done_callback(end)
                if not claimed:  # until there may be a new message, or one that may be sent now
                    with suppress(TimeoutError):
                        await asyncio.wait_for(done.wait(), self._look_every)

    async def _claim(self, most: int) -> Sequence[Claimed]:
        if not most:
            return []
        try:
            return await self._claims.claim(most)
        except Exception:
            _log.exception("looking for webhooks failed; it will be tried again")
            return []

    async def _deliver(self, claimed: Claimed, trust: ssl.SSLContext) -> None:
        try:
            await self._record(claimed, await self._attempt(claimed, trust))
        except Exception:
            _log.exception("the outcome of webhook %s cannot be stored; it will be delivered again", claimed.row.id)

    async def _attempt(self, claimed: Claimed, trust: ssl.SSLContext) -> _Outcome:
        """Send a message once and describe the outcome, whatever it is, so that no message is retried for ever."""
        row, at, began = claimed.row, claimed.at, time.monotonic()
        secrets_of_owner = await self._secrets.signing(claimed.lane.owner)
        status: int | None = None
        error: str | None = None
        answered: bool | None = False
        try:
            content = json.dumps(row.payload, separators=(",", ":"))
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "Motes",
                "webhook-id": row.id,
                "webhook-timestamp": str(int(at.timestamp())),
                # One for each valid secret, as Standard Webhooks has it: a receiver may have either.
                "webhook-signature": " ".join(Webhook(each).sign(row.id, at, content) for each in secrets_of_owner),
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
                    resolve=self._resolve or partial(look_up, claimed.lane.owner),
                ) as response,
            ):
                status = response.status_code
                async for _ in response.aiter_raw(_READ):  # hanging up without reading would be rude
                    break
        except TargetRefusedError as refused:
            error, answered = str(refused), False if isinstance(refused, SilentNameServerError) else None
        except Exception as failure:
            # The type as well: many errors have no text.
            error = f"{type(failure).__name__}: {failure}".removesuffix(": ")
        if status is not None:  # the status counts, even if the body never arrived
            error, answered = None if 200 <= status < 300 else f"answered {status}", True
        error = None if error is None else masked(error)
        return _Outcome(_attempt_of(at, status, error, time.monotonic() - began), answered)

    async def _record(self, claimed: Claimed, outcome: _Outcome) -> None:
        """Record an attempt, unless another worker has claimed the message meanwhile."""
        row, is_open = claimed.row, False
        attempts = [*row.attempts, outcome.attempt]
        status, next_at = self._next_state(attempts)
        mine = update(DeliveryRow).where(
            DeliveryRow.id == row.id, DeliveryRow.status == "pending", DeliveryRow.next_at == row.next_at
        )
        async with self._sessions.begin() as session:
            if outcome.answered is False:
                is_open = await circuit_breaker.note_failure(session, *claimed.lane)
            elif outcome.answered:
                await circuit_breaker.note_answer(session, *claimed.lane)
            values = {"attempts": attempts, "status": status, "next_at": next_at, "lease_until": None}
            noted: Any = await session.execute(mine.values(values))
            if noted.rowcount:
                on_commit(session, lambda: metrics.webhook_attempted(_OUTCOMES[status]))
            if is_open:
                await self._give_up(session, claimed.lane)
        if status == "failed":
            _log.warning("webhook %s of job %s was not delivered: %s", row.id, row.job_id, outcome.attempt["error"])

    def _next_state(self, attempts: list[dict[str, Any]]) -> tuple[str, ColumnElement[datetime]]:
        """The status of a message after these attempts, and the time of the next one."""
        last = attempts[-1]
        if last["error"] is None:
            return "delivered", db_now()
        if last["status"] == _GONE or len(attempts) > len(self._backoff):
            return "failed", db_now()
        wait = self._backoff[len(attempts) - 1]
        return "pending", db_now(timedelta(seconds=wait * (1 + _JITTER * secrets.randbelow(1000) / 1000)))

    async def _give_up(self, session: AsyncSession, lane: Lane) -> None:
        """Give up messages that have waited too long for a receiver that answers nothing."""
        at = await time_in(session)
        old = select(DeliveryRow).where(
            DeliveryRow.status == "pending",
            DeliveryRow.owner == lane.owner,
            DeliveryRow.host == lane.host,
            DeliveryRow.next_at <= at,  # nobody sends it
            DeliveryRow.created_at < at - timedelta(seconds=_KEEP_TRYING),
        )
        error = f"given up: the receiver answered nothing for {_KEEP_TRYING / 3600:.0f} hours"
        for row in await session.scalars(old.limit(_GIVEN_UP_AT_ONCE).with_for_update(skip_locked=True)):
            row.attempts = [*row.attempts, _attempt_of(at, None, error, 0.0)]
            row.status, row.next_at = "failed", at
            on_commit(session, lambda: metrics.webhook_attempted("failed"))


def _attempt_of(at: datetime, status: int | None, error: str | None, seconds: float) -> dict[str, Any]:
    return {"at": at.isoformat(), "status": status, "error": error, "seconds": round(seconds, 3)}
