"""Idempotent requests: with an ``Idempotency-Key``, what a request creates is created once.

The request is recorded before it runs, with the id of what it will create and the process that answers, and its
response when it is done. If that failed, or the process died, the next attempt uses the same id and finds what was
created already: at once, or when the process has not renewed the record for a while.
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

from ecs_core import MotesError
from services.api.dependencies import Service
from services.api.errors import UNREACHABLE
from services.api.middleware.forwarded_headers import path_in_app
from services.auth.api_keys import Caller
from services.database.clock import db_now
from services.database.models import IdempotencyRow, new_id

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

    content: BaseModel
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


async def idempotent(
    service: Service, caller: Caller, request: Request, key: str | None, make: Callable[[str], Awaitable[Answer]]
) -> Response:
    """Run ``make`` with the id to create; with a ``key``, return the first response again.

    ``make`` may be called twice with the same id and must then create one thing.
    """
    if key is None:
        answer = await make(new_id())
        return _response(answer.status, answer.headers, answer.content.model_dump_json())
    key = f"{caller.owner} {key}" if caller.owner else key  # other owners may use the same key
    row = await _reserve(service, key, await _digest(request))
    if row.answer is not None:
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
        kept = {"status": answer.status, "headers": dict(answer.headers), "body": answer.content.model_dump_json()}
        async with service.sessions.begin() as session:
            await session.execute(update(IdempotencyRow).where(*mine).values(answer=kept))
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
    return _response(answer.status, answer.headers, answer.content.model_dump_json())


async def _reserve(service: Service, key: str, asked: str) -> IdempotencyRow:
    """The record of this request: new, answered, or abandoned by whoever was answering it."""
    in_flight = HTTPException(409, "Idempotency-Key: the first request is still in progress", {"Retry-After": "1"})
    this, is_fresh = service.answering, IdempotencyRow.created_at > db_now(-_ABANDONED_AFTER)
    reserved = False
    try:
        async with service.sessions.begin() as session:
            known = select(IdempotencyRow, is_fresh).where(IdempotencyRow.key == key).with_for_update()
            if (found := (await session.execute(known)).one_or_none()) is None:
                row = IdempotencyRow(key=key, request=asked, made_id=new_id(), holder=this.process)
                session.add(row)
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


async def _digest(request: Request) -> str:
    body = json.dumps(await request.json() if await request.body() else {}, sort_keys=True)
    return hashlib.sha256(f"{request.method} {path_in_app(request.scope)}\n{body}".encode()).hexdigest()


def _response(status: int, headers: Mapping[str, str], body: str) -> Response:
    return Response(body, status, dict(headers), "application/json")
