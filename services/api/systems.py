"""Systems: create, list, change, give a song, ask for a render."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, HTTPException, Query, Response
from sqlalchemy import delete, update

from ecs_core import AudioError, Scene, SceneError
from ecs_core.plugin_api import particle_types
from services.api import schemas
from services.api.service import Service, ServiceDep
from services.database import JobRow, SystemRow, new_id
from services.scenes import SONG, frozen, key_of, segments_of
from services.types import describe

router = APIRouter(tags=["systems"])
_NAME = re.compile(r"[^/\\\0\x01-\x1f]{1,200}\.mp4")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def status_of(row: SystemRow) -> schemas.SystemStatus:
    """A system as it stands, with every default written out."""
    _, settings = Scene(row.particle_type, audio=SONG if row.audio else None, config=_playable(row)).resolve()
    return schemas.SystemStatus(
        particle_type=row.particle_type,
        particle_count=settings.particle_count,
        max_particles=settings.max_particles,
        config=settings.model_dump(mode="json") | row.config,
        audio_loaded=row.audio is not None,
    )


def _playable(row: SystemRow) -> dict[str, Any]:
    """The config; a system whose length is its song's may wait for the song."""
    waits = row.audio is None and row.config.get("duration", 0.0) in (None, "audio")
    return {**row.config, "duration": 10.0} if waits else row.config


def _check(particle_type: str, config: dict[str, Any]) -> None:
    """400 where a system cannot be like this."""
    try:
        Scene(particle_type, audio=SONG, config=config).resolve()
    except SceneError as error:
        raise HTTPException(400, str(error)) from None


async def system_or_404(service: Service, system_id: str) -> SystemRow:
    """The system, or the answer that there is none."""
    row = await service.system(system_id)
    if row is None:
        raise HTTPException(404, "System not found")
    return row


def _shown(row: SystemRow) -> schemas.System:
    return schemas.System(
        system_id=row.id, particle_type=row.particle_type, status=status_of(row), created_at=row.created_at
    )


@router.get("/types", operation_id="list_types")
def list_types() -> list[schemas.ParticleTypeInfo]:
    """Every particle type, what it does and what it can be told."""
    return [schemas.ParticleTypeInfo.model_validate(describe(kind)) for kind in particle_types().types.values()]


@router.post("/create", operation_id="create_system")
async def create_system(body: schemas.CreateSystem, service: ServiceDep) -> schemas.System:
    """Create a particle system."""
    _check(body.particle_type, body.config)
    row = SystemRow(id=new_id(), particle_type=body.particle_type, config=body.config)
    async with service.sessions.begin() as session:
        session.add(row)
    return _shown(row)


@router.get("/systems", operation_id="list_systems")
async def list_systems(
    service: ServiceDep, limit: int = Query(50, ge=1, le=500), offset: int = Query(0, ge=0)
) -> list[schemas.System]:
    """All systems, the newest first."""
    return [_shown(row) for row in await service.all(SystemRow, limit=limit, offset=offset)]


@router.get("/systems/{system_id}", operation_id="get_system")
async def get_system(system_id: str, service: ServiceDep) -> schemas.System:
    """A system."""
    return _shown(await system_or_404(service, system_id))


@router.put("/systems/{system_id}/config", operation_id="update_config")
async def update_config(system_id: str, body: schemas.NewConfig, service: ServiceDep) -> schemas.Changed:
    """Change settings; those that are not named stay."""
    return schemas.Changed(message="Configuration updated", status=await change_config(service, system_id, body.config))


async def change_config(service: Service, system_id: str, config: dict[str, Any]) -> schemas.SystemStatus:
    """Check and store new settings of a system."""
    row = await system_or_404(service, system_id)
    row.config = {**row.config, **config}
    _check(row.particle_type, row.config)
    await _store(service, row, config=row.config)
    return status_of(row)


@router.put("/systems/{system_id}/type/{particle_type}", operation_id="change_type")
async def change_type(system_id: str, particle_type: str, service: ServiceDep) -> schemas.Changed:
    """Make it a system of another type; its config stays."""
    row = await system_or_404(service, system_id)
    _check(particle_type, row.config)
    row.particle_type = particle_type
    await _store(service, row, particle_type=particle_type)
    return schemas.Changed(message=f"Particle type changed to {particle_type}", status=status_of(row))


@router.post("/systems/{system_id}/load-audio", operation_id="load_audio")
async def load_audio(system_id: str, audio_path: str, service: ServiceDep) -> schemas.Changed:
    """Give the system a song."""
    row = await system_or_404(service, system_id)
    row.audio = await _song(service, audio_path)
    await _store(service, row, audio=row.audio)
    return schemas.Changed(message="Audio loaded", status=status_of(row))


@router.post("/systems/{system_id}/render", operation_id="render_system", status_code=202)
async def render_system(
    system_id: str, body: schemas.RenderRequest, service: ServiceDep, response: Response
) -> schemas.RenderAccepted:
    """Render the system as it stands now; what is changed later touches no render."""
    row = await system_or_404(service, system_id)
    if body.system_id not in (None, system_id):
        raise HTTPException(400, f"system_id {body.system_id!r}: is not the system in the path")
    audio = row.audio if body.audio_path is None else await _song(service, body.audio_path)
    over = body.model_dump(include={"width", "height", "fps", "duration", "seed"}, exclude_none=True)
    try:
        scene = frozen(row.particle_type, {**row.config, **over}, audio, body.quality)
    except SceneError as error:
        raise HTTPException(400, str(error)) from None
    output = _output_name(body.output_path)
    job = JobRow(
        id=new_id(),
        owner=system_id,
        kind="video",
        system_id=system_id,
        scene=scene,
        scene_key=key_of(scene),
        output_path=output,
        priority=body.priority,
    )
    song = await service.songs.get(audio)
    await service.jobs.submit(job, tasks=segments_of(scene, song.duration if song else 0.0) + 1)
    for task in await service.jobs.due():
        await service.queue.put(task.id, task.attempt)
    response.headers["Location"] = f"/particles/jobs/{job.id}"
    return schemas.RenderAccepted(job_id=job.id, message="Rendering started", output_path=output)


@router.delete("/systems/{system_id}", operation_id="delete_system")
async def delete_system(system_id: str, service: ServiceDep) -> schemas.Message:
    """Forget a system; its jobs stay."""
    await system_or_404(service, system_id)
    async with service.sessions.begin() as session:
        await session.execute(delete(SystemRow).where(SystemRow.id == system_id))
    return schemas.Message(message="System deleted")


async def _store(service: Service, row: SystemRow, **values: Any) -> None:
    async with service.sessions.begin() as session:
        changed = update(SystemRow).where(SystemRow.id == row.id)
        await session.execute(changed.values(**values, revision=SystemRow.revision + 1))


async def _song(service: Service, audio_path: str) -> str:
    try:
        return (await service.songs.find(audio_path)).sha256
    except AudioError as error:
        raise HTTPException(400, str(error)) from None


def _output_name(name: str | None) -> str:
    """The name under which the video is downloaded: a name and nothing else."""
    if name is None:
        return "video.mp4"
    stem = name.removesuffix(".mp4")
    if not _NAME.fullmatch(name) or stem.startswith(".") or stem.lower() in _RESERVED or name != name.strip():
        raise HTTPException(400, f"output_path {name!r}: must be a plain file name that ends in .mp4")
    return name
