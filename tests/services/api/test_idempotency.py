"""A request with an Idempotency-Key: answered once, repeated at once after a failure, refused while it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import HTTPException, Request, Response
from pydantic import BaseModel
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from services.api import idempotency
from services.api.dependencies import Answering, Service
from services.api.idempotency import Answer, idempotent
from services.auth.api_keys import ANONYMOUS
from services.database.engine import Sessions, open_database
from services.database.models import IdempotencyRow
from tests.services.moments import now
from tests.waiting import eventually

pytestmark = pytest.mark.anyio
Make = Callable[[str], Awaitable[Answer]]


class Made(BaseModel):
    id: str


async def make(made: str) -> Answer:
    return Answer(Made(id=made), 201)


@pytest.fixture
async def sessions(database: str) -> AsyncIterator[Sessions]:
    engine, sessions = open_database(database)
    yield sessions
    await engine.dispose()


def process(sessions: Sessions) -> Service:
    """A process that serves the API."""

    async def compute(work: Callable[[], Any]) -> Any:
        return work()

    return cast("Service", SimpleNamespace(sessions=sessions, answering=Answering(), compute=compute))


async def ask(service: Service, make: Make = make, *, body: bytes = b"{}") -> Response:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/create", "headers": [], "query_string": b"", "root_path": ""}
    return await idempotent(service, ANONYMOUS, Request(scope, receive), "key", make)


def failing(error: BaseException, ids: list[str]) -> Make:
    async def failed(made: str) -> Answer:
        ids.append(made)
        raise error

    return failed


class Held:
    """An answer that takes until a test says that it may ``go_on``; an error in its place, if there is one."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, made: str) -> Answer:
        self.begun.set()
        await self.go_on.wait()
        if self._error is not None:
            raise self._error
        return await make(made)

    async def asked(self, service: Service) -> asyncio.Task[Response]:
        """The request, which is being answered."""
        task = asyncio.create_task(ask(service, self))
        await self.begun.wait()
        return task


async def renewed_last(sessions: Sessions, ago: timedelta) -> None:
    """Let requests that are being answered have been renewed so long ago."""
    async with sessions.begin() as session:
        await session.execute(update(IdempotencyRow).values(created_at=now() - ago))


@pytest.mark.parametrize(
    "error", [OperationalError("INSERT", {}, Exception("gone")), OSError("disk"), asyncio.CancelledError()]
)
async def test_failed_request_can_be_repeated_at_once_anywhere(sessions: Sessions, error: BaseException) -> None:
    first, second, ids = process(sessions), process(sessions), list[str]()
    for service in (first, second, second, first):
        with pytest.raises(type(error)):
            await ask(service, failing(error, ids))
    answer = await ask(second)
    assert set(ids) == {str(Made.model_validate_json(answer.body).id)}  # it may have been created the first time
    assert (await ask(first)).body == answer.body
    assert first.answering.keys == second.answering.keys == set()


async def test_refused_request_leaves_nothing(sessions: Sessions) -> None:
    service, ids = process(sessions), list[str]()
    with pytest.raises(HTTPException, match="404"):
        await ask(service, failing(HTTPException(404), ids))
    assert (await ask(service, body=b'{"other": 1}')).status_code == 201


async def test_repeated_request_is_refused_while_somebody_answers(sessions: Sessions) -> None:
    """However long that takes; and other requests with its key are refused for another reason."""
    first, second, held = process(sessions), process(sessions), Held()
    answering = await held.asked(first)
    for _ in range(2):
        for service in (first, second):
            with pytest.raises(HTTPException, match="still in progress") as refused:
                await ask(service)
            assert refused.value.status_code == 409
            with pytest.raises(HTTPException, match="another request"):
                await ask(service, body=b'{"other": 1}')
    held.go_on.set()
    answer = await answering
    assert (await ask(first)).body == (await ask(second)).body == answer.body


async def test_record_is_renewed_while_somebody_answers(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, held = process(sessions), process(sessions), Held()
    monkeypatch.setattr(idempotency, "_RENEW_EVERY", 0.01)
    answering = await held.asked(first)
    await renewed_last(sessions, timedelta(hours=1))

    async def is_renewed() -> bool:
        async with sessions() as session:
            return (await session.get_one(IdempotencyRow, "key")).created_at > now() - timedelta(minutes=30)

    await eventually(is_renewed)
    with pytest.raises(HTTPException, match="still in progress"):
        await ask(second)
    held.go_on.set()
    assert (await answering).status_code == 201


async def test_request_of_a_killed_process_can_be_repeated_when_it_is_no_longer_renewed(sessions: Sessions) -> None:
    first, second = process(sessions), process(sessions)
    answering = await Held().asked(first)
    with pytest.raises(HTTPException, match="still in progress"):
        await ask(second)
    await renewed_last(sessions, timedelta(seconds=11))
    assert (await ask(second)).status_code == 201
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    assert (await ask(first)).status_code == 201


async def test_first_of_many_at_once_is_answered(sessions: Sessions) -> None:
    services = [process(sessions), process(sessions)]
    ids: set[str] = set()

    async def counted(made: str) -> Answer:
        ids.add(made)
        return await make(made)

    answers = await asyncio.gather(*(ask(services[n % 2], counted) for n in range(12)), return_exceptions=True)
    for answer in answers:
        assert isinstance(answer, Response) or (isinstance(answer, HTTPException) and answer.status_code == 409)
    assert len(ids) == 1


async def test_process_that_was_taken_for_dead_changes_nothing_any_more(sessions: Sessions) -> None:
    first, second = process(sessions), process(sessions)
    refused, held = Held(HTTPException(404)), Held()
    stalled = await refused.asked(first)
    await renewed_last(sessions, timedelta(seconds=11))
    answering = await held.asked(second)
    refused.go_on.set()
    with pytest.raises(HTTPException, match="404"):
        await stalled
    held.go_on.set()
    answered = await answering
    assert (await ask(first)).body == answered.body
