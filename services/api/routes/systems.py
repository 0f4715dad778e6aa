"""Systems: creating, listing, changing and deleting them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from ecs_core import SceneError
from ecs_core.plugin_api import particle_type as type_of
from services.api import openapi_links, schemas
from services.api.authentication import Caller, CallerDep
from services.api.configs import check_config, merge_config, merged, status_of, update_system
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.idempotency import Answer, IdempotencyKey, idempotent
from services.api.paging import CURSOR, LIMIT, LINK, page_query, paged_response
from services.api.route import Route
from services.api.routes.jobs import delete_job_and_files
from services.api.template_filling import filled, lasting, template_of
from services.database.models import VIDEOS, AudioRow, JobRow, SystemRow
from services.media.assets.store import refer
from services.media.songs import SongNotFoundError

router = APIRouter(tags=["systems"], route_class=Route)
_LIST = TypeAdapter(list[schemas.System])


def to_schema(row: SystemRow) -> schemas.System:
    """A system as the API shows it."""
    return schemas.System(
        system_id=row.id,
        owner=row.owner,
        particle_type=row.particle_type,
        status=status_of(row),
        created_at=row.created_at,
    )


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
        row = SystemRow(id=system_id, owner=caller.owner, particle_type=kind, config=config, audio=audio)
        try:
            async with service.sessions.begin() as session:
                session.add(row)
                await session.flush()
                await refer(session, system_id, references, caller.owner)
        except IntegrityError:  # created by an earlier attempt at this request
            row = await service.system_or_404(caller, system_id)
        return Answer(to_schema(row))

    return await idempotent(service, caller, request, idempotency_key, make)


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
    service: ServiceDep, caller: CallerDep, request: Request, limit: int = LIMIT, cursor: str | None = CURSOR
) -> Response:
    """All systems, the newest first."""
    mine = select(*SystemRow.__table__.c).where(caller.visible_rows(SystemRow))
    rows = page_query(mine, SystemRow, limit=limit, cursor=cursor)
    return await paged_response(
        service, request, rows, lambda found: _LIST.dump_json([to_schema(row) for row in found]), limit=limit
    )


@router.get("/systems/{system_id}", operation_id="get_system", response_model=schemas.System, responses=problems(404))
async def get_system(system_id: str, service: ServiceDep, caller: CallerDep) -> schemas.System:
    """A system."""
    return to_schema(await service.system_or_404(caller, system_id))


@router.put(
    "/systems/{system_id}/config", operation_id="update_config", responses=problems(400, 404, 409, 413, 415, 422)
)
async def update_config(
    system_id: str, body: schemas.NewConfig, service: ServiceDep, caller: CallerDep
) -> schemas.Changed:
    """Change settings; those that are not named stay, also within a setting that is an object."""
    row = await merge_config(service, caller, system_id, body.config)
    return schemas.Changed(message="Configuration updated", status=status_of(row))


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

    row = await update_system(service, caller, system_id, wanted)
    more = f"; it has no {', '.join(dropped)}, dropped" if dropped else ""
    return schemas.Changed(message=f"Particle type changed to {particle_type}{more}", status=status_of(row))


@router.post("/systems/{system_id}/load-audio", operation_id="load_audio", responses=problems(400, 404, 409))
async def load_audio(system_id: str, audio_path: str, service: ServiceDep, caller: CallerDep) -> schemas.Changed:
    """Assign a song to the system: an upload, or a file under the media root."""
    await service.system_or_404(caller, system_id)
    song = await service.songs.find(audio_path, caller)
    row = await update_system(service, caller, system_id, lambda row: {"audio": song.sha256})
    return schemas.Changed(message="Audio loaded", status=status_of(row))


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
