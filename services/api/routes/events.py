"""Following a job: server-sent events from the events in the database, so that no follower misses one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from anyio import CancelScope
from fastapi import APIRouter, Header, HTTPException, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.api.authentication import Caller, FollowerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import UNREACHABLE, problems
from services.api.route import Route
from services.api.routes.jobs import state_to_schema
from services.database.models import OPEN, EventRow, JobRow
from services.jobs.events import events_since
from services.observability import metrics

_log = logging.getLogger("motes.api")
router = APIRouter(tags=["jobs"], route_class=Route)
_KEY_CHECK_EVERY = 2.0  # seconds between checks whether the key is still valid
_KEEP_ALIVE_EVERY = 15.0  # seconds of silence after which proxies might close the connection
_MAX_ID = 2**63 - 1  # largest id in the database

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Every change of status and progress, until the job is over. Each event has an `id` for "
        "`Last-Event-ID`, the type `job`, and as `data` the job (`Job`, as JSON) as it was then",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},  # what generated clients can read; `itemSchema` comes with OpenAPI 3.2
                "example": 'id: 7\nevent: job\ndata: {"job_id": "…", "status": "rendering", "progress": 42}\n\n',
            }
        },
    },
    204: {"description": "The job is over, and everything was told before `Last-Event-ID`"},
}


@router.get(
    "/jobs/{job_id}/events",
    operation_id="follow_job",
    response_class=StreamingResponse,
    responses={**_STREAM, **problems(400, 404)},
)
async def follow_job(
    job_id: str,
    service: ServiceDep,
    caller: FollowerDep,
    last_event_id: Annotated[str | None, Header(description="go on after this one")] = None,
) -> Response:
    """Follow a job from its beginning, or from where the connection broke off."""
    after = _number(last_event_id)
    row = await service.job_or_404(caller, job_id)
    events = await events_since(service.sessions, job_id, after)
    if row.status not in OPEN and not events:
        return Response(status_code=204)  # a browser would reconnect after any other response
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return _Stream(_stream(service, caller, row, events, after), headers=headers, media_type="text/event-stream")


def _number(last_event_id: str | None) -> int:
    if last_event_id is None or last_event_id == "":
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 20):
        raise HTTPException(400, "Last-Event-ID: is not the id of an event")
    return min(int(last_event_id), _MAX_ID)


class _Stream(StreamingResponse):
    """A stream that ends cleanly if the server stops before the job does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with metrics.track_listener("events"):
                await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _stream(
    service: Service, caller: Caller, row: JobRow, events: list[EventRow], after: int
) -> AsyncIterator[str]:
    """Yield these ``events``, which follow number ``after``, and later ones."""
    yield "retry: 1000\n\n"
    spoke = looked = time.monotonic()
    try:
        while True:
            for event in events:
                after = event.id
                if event is events[-1] and event.data["status"] not in OPEN:
                    row = await service.job(caller, row.id) or row  # for the time of its end
                yield f"id: {event.id}\nevent: job\ndata: {state_to_schema(row, event.data).model_dump_json()}\n\n"
            if events:
                spoke = time.monotonic()
                if events[-1].data["status"] not in OPEN:
                    return
            elif time.monotonic() - spoke > _KEEP_ALIVE_EVERY:
                spoke = time.monotonic()
                yield ": still here\n\n"
            number = await service.event_poller.next(row.id)
            if number is None:  # the job was deleted
                return
            # a client that disconnects in the middle of a query would cost a database connection
            with CancelScope(shield=True):
                events = await events_since(service.sessions, row.id, after) if number > after else []
                if time.monotonic() - looked > _KEY_CHECK_EVERY:
                    looked = time.monotonic()
                    if not await service.keys.still_valid(caller):
                        return
    except UNREACHABLE as error:  # followers reconnect and continue after the last event
        _log.warning("the database does not answer: %s", error)
