"""Systems: creating, listing, changing and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy import delete, exists, select
from sqlalchemy.exc import IntegrityError

from ecs_core import SceneError
from ecs_core.plugin_api import particle_type as type_of
from services.api import openapi_links, schemas
from services.api.authentication import Caller, CallerDep
from services.api.configs import check_config, merge_config, merged, update_system
from services.api.dependencies import Service, ServiceDep, is_id
from services.api.errors import problems
from services.api.idempotency import Answer, IdempotencyKey, idempotent
from services.api.paging import CURSOR, FIELDS, LIMIT, LINK, paged_response, wanted_fields
from services.api.route import Route
from services.api.routes.jobs import delete_job_and_files
from services.api.system_statuses import COLUMNS, columns_for, shown_values, systems_as_json
from services.api.template_filling import filled, lasting, template_of
from services.auth.quotas import admit_system, quotas_of
from services.database.models import VIDEOS, AudioRow, JobRow, SystemRow
from services.media.assets.store import refer
from services.media.songs import SongNotFoundError

router = APIRouter(tags=["systems"], route_class=Route)


@router.post(
    "/create",
    operation_id="create_system",
    response_model=schemas.System,
    responses={200: {"links": openapi_links.SYSTEM}, **problems(400, 409, 413, 415, 422)},
)
async def create_system(
    body: schemas.CreateSystem,
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a particle system: of a type, or with a template, whose slots are filled now."""

    async def make(system_id: str) -> Answer:
        song = None if body.audio_path is None else await _song(service, caller, body.audio_path)
        kind, config = body.particle_type or "", body.config
        if body.template is not None:
            kind, config = await filled(service, caller, template_of(body.template), body.slots, song)
            config = merged(config, body.config) if song is None else lasting(merged(config, body.config))
        references = await check_config(service, kind, config, owner=caller.owner)
        audio = None if song is None else song.sha256
        row = SystemRow(id=system_id, owner=caller.owner, particle_type=kind, config=config, audio=audio, revision=1)
        status, shown = await shown_values(service, row)
        for name, value in shown.items():
            setattr(row, name, value)
        try:
            async with service.sessions.begin() as session:
                if not await session.scalar(select(exists().where(SystemRow.id == system_id))):  # or it counts twice
                    await admit_system(session, caller.owner, quotas_of(service.settings, caller), new=row)
                session.add(row)
                await session.flush()
                await refer(session, system_id, references, caller.owner)
        except IntegrityError:  # created by an earlier attempt at this request
            return await again(system_id)
        made = schemas.System(
            system_id=row.id, owner=row.owner, particle_type=kind, status=status, created_at=row.created_at
        )
        return Answer(made.model_dump_json())

    async def again(system_id: str) -> Answer:
        return Answer(await _system_as_json(service, caller, system_id))

    return await idempotent(service, caller, request, idempotency_key, make, again)


async def _system_as_json(service: Service, caller: Caller, system_id: str) -> str:
    if is_id(system_id):
        async with service.sessions() as session:
            mine = select(*COLUMNS).where(SystemRow.id == system_id, caller.visible_rows(SystemRow))
            row = (await session.execute(mine)).one_or_none()
        if row is not None:
            [shown] = await systems_as_json(service, [row], schemas.System.model_fields)
            return shown.decode()
    raise HTTPException(404, "System not found")


async def _song(service: Service, caller: Caller, audio_path: str) -> AudioRow:
    """The song of this name; that there is none is a mistake in the body, and not in the address."""
    try:
        return await service.songs.find(audio_path, caller)
    except SongNotFoundError as error:
        raise SceneError(str(error)) from None


@router.get(
    "/systems",
    operation_id="list_systems",
    response_model=list[schemas.System],
    responses={200: {"headers": LINK}, **problems(400)},
)
async def list_systems(
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    fields: str | None = FIELDS,
    limit: int = LIMIT,
    cursor: str | None = CURSOR,
) -> Response:
    """All systems, the newest first."""
    wanted = wanted_fields(fields, schemas.System)
    rows = select(*columns_for(wanted)).where(caller.visible_rows(SystemRow))

    async def show(found: Sequence[Any]) -> list[bytes]:
        return await systems_as_json(service, found, wanted)

    return await paged_response(service, request, SystemRow, rows, show=show, limit=limit, cursor=cursor)


@router.get("/systems/{system_id}", operation_id="get_system", response_model=schemas.System, responses=problems(404))
async def get_system(system_id: str, service: ServiceDep, caller: CallerDep) -> Response:
    """A system."""
    return Response(await _system_as_json(service, caller, system_id), media_type="application/json")


@router.put(
    "/systems/{system_id}/config", operation_id="update_config", responses=problems(400, 404, 409, 413, 415, 422)
)
async def update_config(
    system_id: str, body: schemas.NewConfig, service: ServiceDep, caller: CallerDep
) -> schemas.Changed:
    """Change settings; those that are not named stay, also within a setting that is an object."""
    status = await merge_config(service, caller, system_id, body.config)
    return schemas.Changed(message="Configuration updated", status=status)


@router.put("/systems/{system_id}/type/{particle_type}", operation_id="change_type", responses=problems(400, 404, 409))
async def change_type(system_id: str, particle_type: str, service: ServiceDep, caller: CallerDep) -> schemas.Changed:
    """Change the type of a system. Its config stays, without settings that the new type lacks."""
    dropped: list[str] = []

    def wanted(row: SystemRow) -> dict[str, Any]:
        known = type_of(particle_type).settings.model_fields
        dropped[:] = [name for name in row.config if name not in known]
        return {
            "particle_type": particle_type,
            "config": {name: value for name, value in row.config.items() if name in known},
        }

    status = await update_system(service, caller, system_id, wanted)
    more = f"; it has no {', '.join(dropped)}, dropped" if dropped else ""
    return schemas.Changed(message=f"Particle type changed to {particle_type}{more}", status=status)


@router.post("/systems/{system_id}/load-audio", operation_id="load_audio", responses=problems(400, 404, 409))
async def load_audio(system_id: str, audio_path: str, service: ServiceDep, caller: CallerDep) -> schemas.Changed:
    """Assign a song to the system: an upload, or a file under the media root."""
    await service.system_or_404(caller, system_id)
    song = await service.songs.find(audio_path, caller)
    status = await update_system(service, caller, system_id, lambda row: {"audio": song.sha256})
    return schemas.Changed(message="Audio loaded", status=status)


@router.delete("/systems/{system_id}", operation_id="delete_system", responses=problems(404))
async def delete_system(system_id: str, service: ServiceDep, caller: CallerDep) -> schemas.Message:
    """Delete a system, its previews and its frames; its renders stay."""
    await service.system_or_404(caller, system_id)
    async with service.sessions.begin() as session:
        await session.execute(delete(SystemRow).where(SystemRow.id == system_id))
        looks = select(JobRow.id).where(JobRow.system_id == system_id, JobRow.kind.not_in(VIDEOS))
        found = list(await session.scalars(looks))
    for job in found:
        await service.jobs.cancel(job)
        await delete_job_and_files(service, job)
    return schemas.Message(message="System deleted")
