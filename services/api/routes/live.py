"""The live system: a WebSocket that tells how it stands and takes changes, whichever process they were made in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.exceptions import HTTPException

from ecs_core import MotesError
from services.api import schemas
from services.api.authentication import Caller, allow, identify, unknown
from services.api.configs import configure, status_of
from services.api.dependencies import SYSTEMS_EVERY, Service, ServiceDep, is_id
from services.api.errors import UNREACHABLE
from services.api.json_limits import LONGEST, parse
from services.api.middleware.rate_headers import count
from services.api.routes.jobs import shown
from services.api.status_snapshot import standings
from services.auth.limits import QuotaError
from services.observability import metrics

_log = logging.getLogger("motes.api")
router = APIRouter(tags=["live"])
_AT_LEAST_EVERY = 1.0  # seconds between two statuses
_COMMAND = 'must be {"action": "update_config", "config": {…}}'


@router.websocket("/ws/{system_id}")
async def live_system(websocket: WebSocket, system_id: str, service: ServiceDep) -> None:
    """Send the status and jobs at once, on change and at least every second; take {"action": "update_config", …}."""
    await websocket.accept()
    with metrics.listening("websocket"):
        await _follow(websocket, system_id, service)


async def _follow(websocket: WebSocket, system_id: str, service: Service) -> None:
    tasks: list[asyncio.Task[None]] = []
    try:
        caller = await identify(service, websocket, query=True)  # browsers can set no headers
        tasks = [asyncio.create_task(do(websocket, service, caller, system_id)) for do in (_tell, _heed)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        code, reason = 1008, "System not found"
    except HTTPException as error:
        code, reason = 1008, error.detail
    except QuotaError as error:
        metrics.limited(error.limit)
        code, reason = 1013, str(error)
    except UNREACHABLE as error:
        _log.warning("the database does not answer: %s", error)
        code, reason = 1013, "The database does not answer; try again"
    except (WebSocketDisconnect, RuntimeError):  # starlette's word for sending to somebody who went
        return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(code, reason)


async def _tell(websocket: WebSocket, service: Service, caller: Caller, system_id: str) -> None:
    """Tell how the system stands, until there is none."""
    loop = asyncio.get_running_loop()
    told, due, revision = None, 0.0, 0
    standing = (await standings(service.sessions, {system_id})).get(system_id) if is_id(system_id) else None
    while standing is not None:
        if standing.revision != revision:
            if (row := await service.system(caller, system_id)) is None:
                return
            revision, status = row.revision, dict(status_of(row))
        if standing != told or loop.time() >= due:
            if not await service.keys.hold(caller):
                raise unknown()
            told, due = standing, loop.time() + _AT_LEAST_EVERY - SYSTEMS_EVERY
            jobs = [shown(job) for job in standing.jobs if caller.has(job.owner)]
            await websocket.send_text(schemas.LiveSystem(**status, jobs=jobs).model_dump_json())
        standing = await service.systems.next_look(system_id)


async def _heed(websocket: WebSocket, service: Service, caller: Caller, system_id: str) -> None:
    """Do what the client asks for, until there is no system."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        try:
            config = _config(message.get("text") or message.get("bytes") or "")
            allow(caller, "render")
            await count(service.rates, service.settings, caller, websocket)
            await configure(service, caller, system_id, config)
        except HTTPException as error:
            if error.status_code == 404:
                return
            await _refuse(websocket, error.detail)
        except (ValueError, MotesError) as error:
            if isinstance(error, QuotaError):
                metrics.limited(error.limit)
            await _refuse(websocket, str(error))


def _config(text: str | bytes) -> dict[str, Any]:
    """The settings of a command.

    Raises:
        ValueError: it is none.
    """
    if len(text) > LONGEST:
        raise ValueError(f"The message is larger than {LONGEST} bytes")
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


async def _refuse(websocket: WebSocket, detail: str) -> None:
    """What is wrong changes nothing, and is said to whoever sent it alone."""
    await websocket.send_text(json.dumps({"error": detail[:2000]}))
