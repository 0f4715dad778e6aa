"""Live systems: a WebSocket that sends a system's status and accepts changes, from whichever process they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from functools import partial
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.exceptions import HTTPException

from ecs_core import MotesError
from services.api import schemas
from services.api.authentication import Caller, identify, require_scope, unauthorized
from services.api.configs import merge_config
from services.api.dependencies import SYSTEM_POLL_INTERVAL, Service, ServiceDep, is_id
from services.api.errors import UNREACHABLE
from services.api.json_limits import MAX_BYTES, parse
from services.api.middleware.rate_headers import count_request
from services.api.routes.jobs import to_schema
from services.api.status_snapshot import status_snapshots
from services.api.system_statuses import status_of
from services.auth.limits import QuotaError
from services.observability import metrics

_log = logging.getLogger("motes.api")
router = APIRouter(tags=["live"])
_STATUS_EVERY = 1.0  # seconds between statuses
_COMMAND = 'must be {"action": "update_config", "config": {…}}'


@router.websocket("/ws/{system_id}")
async def live_system(websocket: WebSocket, system_id: str, service: ServiceDep) -> None:
    """Send the status and jobs at once, on change and at least every second; take {"action": "update_config", …}."""
    await websocket.accept()
    with metrics.track_listener("websocket"):
        await _follow(websocket, system_id, service)


async def _follow(websocket: WebSocket, system_id: str, service: Service) -> None:
    tasks: list[asyncio.Task[None]] = []
    try:
        caller = await identify(service, websocket, query=True)  # browsers cannot set headers
        tasks = [
            asyncio.create_task(do(websocket, service, caller, system_id)) for do in (_send_status, _receive_commands)
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        code, reason = 1008, "System not found"
    except HTTPException as error:
        code, reason = 1008, error.detail
    except QuotaError as error:
        metrics.count_limited(error.limit)
        code, reason = 1013, str(error)
    except UNREACHABLE as error:
        _log.warning("the database does not answer: %s", error)
        code, reason = 1013, "The database does not answer; try again"
    except (WebSocketDisconnect, RuntimeError):  # starlette raises RuntimeError when sending to a closed connection
        return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(code, reason)


async def _send_status(websocket: WebSocket, service: Service, caller: Caller, system_id: str) -> None:
    """Send the status of the system until it is deleted."""
    loop = asyncio.get_running_loop()
    sent, due, revision = None, 0.0, 0
    snapshot = (await status_snapshots(service.sessions, {system_id})).get(system_id) if is_id(system_id) else None
    while snapshot is not None:
        if snapshot.revision != revision:
            if (row := await service.system(caller, system_id)) is None:
                return
            revision, status = row.revision, dict(await service.compute(partial(status_of, row)))
        if snapshot != sent or loop.time() >= due:
            if not await service.keys.still_valid(caller):
                raise unauthorized()
            sent, due = snapshot, loop.time() + _STATUS_EVERY - SYSTEM_POLL_INTERVAL
            at = await service.sessions.clock.now()
            jobs = [to_schema(job, at) for job in snapshot.jobs if caller.can_see(job.owner)]
            await websocket.send_text(schemas.LiveSystem(**status, jobs=jobs).model_dump_json())
        snapshot = await service.system_poller.next(system_id)


async def _receive_commands(websocket: WebSocket, service: Service, caller: Caller, system_id: str) -> None:
    """Apply the client's commands until the system is deleted."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        try:
            config = _config(message.get("text") or message.get("bytes") or "")
            require_scope(caller, "render")
            await count_request(service.rate_limiter, service.settings, caller, websocket)
            await merge_config(service, caller, system_id, config)
        except HTTPException as error:
            if error.status_code == 404:
                return
            await _send_error(websocket, error.detail)
        except (ValueError, MotesError) as error:
            if isinstance(error, QuotaError):
                metrics.count_limited(error.limit)
            await _send_error(websocket, str(error))


def _config(text: str | bytes) -> dict[str, Any]:
    """The settings of a command.

    Raises:
        ValueError: the command is invalid.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"The message is larger than {MAX_BYTES} bytes")
    try:
        command = parse(text)
    except ValueError as error:
        raise ValueError(f"The message {error}") from None
    if not isinstance(command, dict) or command.get("action") != "update_config":
        raise ValueError(f"The message {_COMMAND}")
    config = command.get("config")
    if not isinstance(config, dict):
        raise ValueError("config: must be an object")
    return config


async def _send_error(websocket: WebSocket, detail: str) -> None:
    """An invalid command changes nothing; only its sender is told."""
    await websocket.send_text(json.dumps({"error": detail[:2000]}))
