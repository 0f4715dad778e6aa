"""Idempotent requests: with an ``Idempotency-Key``, what a request creates is created once.

The request is recorded before it runs, with the id of what it will create and the process that answers, and its
response when it is done. If that failed, or the process died, the next attempt uses the same id and finds what was
created already: at once, or when the process has not renewed the record for a while.

Of an owner the latest answers are kept, ``KEPT`` at most. A long answer is not kept but given anew, of what was created
as it is then.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from anyio import CancelScope
from fastapi import Header, HTTPException, Request, Response
from pydantic import BaseModel
from sqlalchemy import ColumnElement, delete, null, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core import MotesError
from services.api.dependencies import Service
from services.api.errors import UNREACHABLE
from services.api.middleware.forwarded_headers import path_in_app
from services.auth.api_keys import Caller
from services.database.clock import db_now
from services.database.models import IdempotencyRow, new_id

KEPT = 5_000  # answers of an owner
_DROPPED = 100  # at a time
_LONGEST = 4_000  # bytes of an answer that is kept
_ABANDONED_AFTER = timedelta(seconds=10)  # without renewal
_RENEW_EVERY = 2.5  # seconds
_log = logging.getLogger("motes.api")
_NOBODY = ""  # answers: it failed

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="sent again with the same body, it gets the same answer, and nothing is made twice",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]


@dataclass(frozen=True)
class Answer:
    """A response."""

    content: BaseModel | str  # a model, or JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> str:
        """The content as JSON."""
        return self.content if isinstance(self.content, str) else self.content.model_dump_json()


async def idempotent(
    service: Service,
    caller: Caller,
    request: Request,
    key: str | None,
    make: Callable[[str], Awaitable[Answer]],
    again: Callable[[str], Awaitable[Answer]] | None = None,
) -> Response:
    """Run ``make`` with the id to create; with a ``key``, return the first response again.

    ``make`` may be called twice with the same id and must then create one thing. ``again`` answers for what was created
    with an id, where an answer may be long.
    """
    if key is None:
        answer = await make(new_id())
        return _response(answer.status, answer.headers, answer.body)
    key = f"{caller.owner} {key}" if caller.owner else key  # other owners may use the same key
    row = await _reserve(service, key, await _digest(service, request), caller.owner)
    if row.answer is not None:
        if row.answer["body"] is None and again is not None:
            return _response(**row.answer | {"body": (await again(row.made_id)).body})
        return _response(**row.answer)
    mine = (
        IdempotencyRow.key == key,
        IdempotencyRow.made_id == row.made_id,
        IdempotencyRow.holder == service.answering.process,  # otherwise another process has taken it over
        IdempotencyRow.answer.is_(null()),
    )
    renewing = asyncio.create_task(_renew(service, mine))
    try:
        answer = await make(row.made_id)
        body = answer.body
        short = again is None or len(body) <= _LONGEST
        kept = {"status": answer.status, "headers": dict(answer.headers), "body": body if short else None}
        size = len(json.dumps(kept)) + len(key)
        async with service.sessions.begin() as session:
            await session.execute(update(IdempotencyRow).where(*mine).values(answer=kept, size=size))
    except (HTTPException, MotesError):  # nothing was created, so the key can be used again
        async with service.sessions.begin() as session:
            await session.execute(delete(IdempotencyRow).where(*mine))
        raise
    except BaseException:  # something may have been created
        with CancelScope(shield=True):
            await _free(service, mine)
        raise
    finally:
        renewing.cancel()
        service.answering.keys.discard(key)
    return _response(answer.status, answer.headers, body)


async def _reserve(service: Service, key: str, asked: str, owner: str) -> IdempotencyRow:
    """The record of this request: new, answered, or abandoned by whoever was answering it."""
    in_flight = HTTPException(409, "Idempotency-Key: the first request is still in progress", {"Retry-After": "1"})
    this, is_fresh = service.answering, IdempotencyRow.created_at > db_now(-_ABANDONED_AFTER)
    reserved = False
    try:
        async with service.sessions.begin() as session:
            known = select(IdempotencyRow, is_fresh).where(IdempotencyRow.key == key).with_for_update()
            if (found := (await session.execute(known)).one_or_none()) is None:
                row = IdempotencyRow(key=key, owner=owner, request=asked, made_id=new_id(), holder=this.process)
                session.add(row)
                await _drop_oldest(session, owner)
            else:
                row, fresh = found
                if row.request != asked:
                    raise HTTPException(422, "Idempotency-Key: was used for another request")
                if row.answer is not None:
                    return row
                if key in this.keys or (fresh and row.holder not in (_NOBODY, this.process)):
                    raise in_flight
                row.created_at, row.holder = db_now(), this.process
            await session.flush()
            this.keys.add(key)  # before others can read the record
            reserved = True
    except IntegrityError:  # another process was faster
        raise in_flight from None
    except BaseException:
        if reserved:  # but not committed
            this.keys.discard(key)
        raise
    return row


async def _drop_oldest(session: AsyncSession, owner: str) -> None:
    """Delete answers of an owner beyond the latest."""
    mine = select(IdempotencyRow.key).where(IdempotencyRow.owner == owner, IdempotencyRow.size > 0)
    latest = mine.order_by(IdempotencyRow.created_at.desc(), IdempotencyRow.key.desc())
    old = list(await session.scalars(latest.offset(KEPT).limit(_DROPPED)))
    if old:
        await session.execute(delete(IdempotencyRow).where(IdempotencyRow.key.in_(old)))


async def _renew(service: Service, mine: Sequence[ColumnElement[bool]]) -> None:
    """Let other processes know that this one is still answering. Never returns."""
    while True:
        await asyncio.sleep(_RENEW_EVERY)
        try:
            async with service.sessions.begin() as session:
                await session.execute(update(IdempotencyRow).where(*mine).values(created_at=db_now()))
        except Exception:
            _log.exception("renewing the record of a request failed; it will be tried again")


async def _free(service: Service, mine: Sequence[ColumnElement[bool]]) -> None:
    """Let any process answer a request again that has failed; if the database is down, this process can anyway."""
    with suppress(*UNREACHABLE):
        async with service.sessions.begin() as session:
            await session.execute(update(IdempotencyRow).where(*mine).values(holder=_NOBODY))


async def _digest(service: Service, request: Request) -> str:
    body = await request.json() if await request.body() else {}
    where = f"{request.method} {path_in_app(request.scope)}"
    return await service.compute(
        lambda: hashlib.sha256(f"{where}\n{json.dumps(body, sort_keys=True)}".encode()).hexdigest()
    )


def _response(status: int, headers: Mapping[str, str], body: str) -> Response:
    return Response(body, status, dict(headers), "application/json")
