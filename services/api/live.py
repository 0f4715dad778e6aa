"""The live system: a WebSocket that tells how it stands and takes changes; and what the service as a whole is doing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, HTTPException, WebSocket, WebSocketDisconnect
from sqlalchemy import func, select

from ecs_core import SceneError
from ecs_core.plugin_api import particle_types
from services.api import schemas
from services.api.service import Service, ServiceDep
from services.api.systems import change_config, status_of
from services.database import JobRow, SystemRow
from services.jobs import OPEN

router = APIRouter(tags=["live"])
_AT_LEAST_EVERY = 1.0  # seconds between two statuses
_LOOK_EVERY = 0.2


@router.websocket("/ws/{system_id}")
async def live_system(websocket: WebSocket, system_id: str, service: ServiceDep) -> None:
    """Send the status at once, on change, and at least every second; take {"action": "update_config", "config": …}."""
    await websocket.accept()
    if await service.system(system_id) is None:
        await websocket.close(1008, "System not found")
        return
    sending = asyncio.create_task(_send(websocket, service, system_id))
    try:
        while True:
            await _heed(websocket, service, system_id, await websocket.receive_text())
    except WebSocketDisconnect:
        pass
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(websocket: WebSocket, service: Service, system_id: str) -> None:
    revision, waited = -1, 0.0
    while (row := await service.system(system_id)) is not None:
        if row.revision != revision or waited >= _AT_LEAST_EVERY:
            revision, waited = row.revision, 0.0
            await websocket.send_text(status_of(row).model_dump_json())
        await asyncio.sleep(_LOOK_EVERY)
        waited += _LOOK_EVERY
    await websocket.close(1008, "System not found")


async def _heed(websocket: WebSocket, service: Service, system_id: str, text: str) -> None:
    """Do what a client asks for; what is wrong is answered with {"error": …} and changes nothing."""
    try:
        command: Any = json.loads(text)
        if not isinstance(command, dict) or command.get("action") != "update_config":
            raise ValueError('must be {"action": "update_config", "config": {…}}')
        if not isinstance(command.get("config"), dict):
            raise ValueError("config: must be an object")
        await change_config(service, system_id, command["config"])
    except HTTPException as error:
        await websocket.send_text(json.dumps({"error": error.detail}))
    except (ValueError, SceneError) as error:
        await websocket.send_text(json.dumps({"error": str(error)}))


@router.get("/metrics", operation_id="count")
async def count(service: ServiceDep) -> schemas.Counts:
    """What there is, in numbers."""
    systems, jobs = await _counts(service)
    return schemas.Counts(
        active_systems=systems,
        queued_jobs=jobs.get("queued", 0),
        rendering_jobs=jobs.get("rendering", 0),
        completed_jobs=jobs.get("completed", 0),
        failed_jobs=jobs.get("failed", 0),
    )


@router.get("/health", operation_id="health")
async def health(service: ServiceDep) -> schemas.Health:
    """Whether the service works, and which plugins do not."""
    systems, jobs = await _counts(service)
    registry = particle_types()
    return schemas.Health(
        status="degraded" if registry.failures else "healthy",
        active_systems=systems,
        active_jobs=sum(jobs.get(status, 0) for status in OPEN),
        available_types=list(registry.types),
        plugin_failures=list(registry.failures),
    )


async def _counts(service: Service) -> tuple[int, dict[str, int]]:
    async with service.sessions() as session:
        systems = await session.scalar(select(func.count()).select_from(SystemRow))
        rows = await session.execute(select(JobRow.status, func.count()).group_by(JobRow.status))
        return systems or 0, {str(status): int(number) for status, number in rows}
