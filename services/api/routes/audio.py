"""Uploading and deleting songs."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from sqlalchemy import select

from ecs_core import AudioError
from services.api import schemas
from services.api.authentication import Caller, CallerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.route import Route
from services.api.routes.uploads import no_room, printable_name, receive_upload, upload_body
from services.database.models import UploadRow
from services.media.songs import audio_path_of
from services.retention.deletion import WHENEVER, count_jobs_using

router = APIRouter(tags=["audio"], route_class=Route)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BODY = upload_body("the song")


@router.post(
    "/audio",
    operation_id="upload_audio",
    status_code=201,
    openapi_extra=_BODY,
    responses=problems(413, 415, 422, 507),
)
async def upload_audio(service: ServiceDep, caller: CallerDep, request: Request) -> schemas.UploadedAudio:
    """Upload a song. The same song is stored once."""
    with no_room("song"):
        async with service.songs.staging_file() as path:
            upload = await receive_upload(
                request, path, limit=service.settings.upload_limit, admit=service.disk_admission.admit_upload
            )
            return await store_song(service, caller, path, sha256=upload.sha256, name=printable_name(upload.name))


async def store_song(service: Service, caller: Caller, path: Path, *, sha256: str, name: str) -> schemas.UploadedAudio:
    """Store a staged song, however it arrived.

    Raises:
        HTTPException: it is no song.
    """
    try:
        row = await service.songs.store(path, sha256=sha256, name=name, caller=caller)
    except AudioError as error:
        raise HTTPException(415, str(error)) from None
    return schemas.UploadedAudio(
        audio_id=row.sha256,
        audio_path=audio_path_of(row.sha256, name),
        duration=row.duration,
        sample_rate=row.sample_rate,
        channels=row.channels,
        warnings=row.warnings,
        sha256=row.sha256,
    )


@router.delete("/audio/{audio_id}", operation_id="delete_audio", responses=problems(404, 409))
async def delete_audio(audio_id: str, service: ServiceDep, caller: CallerDep) -> schemas.Message:
    """Delete a song; 409 while open jobs need it. Systems that use it can no longer be rendered."""
    if not _SHA256.fullmatch(audio_id):
        raise HTTPException(404, "Song not found")
    mine = (UploadRow.sha256 == audio_id, caller.visible_rows(UploadRow))
    async with service.sessions() as session:
        owners = list(await session.scalars(select(UploadRow.owner).where(*mine)))
        needed = await count_jobs_using(session, audio_id, owners)
    if not owners:
        raise HTTPException(404, "Song not found")
    if needed:
        raise HTTPException(409, f"The song is needed by {needed} open jobs: cancel them first")
    await service.deleter.delete_song(audio_id, owners, unused_since=WHENEVER, reason="deleted")
    return schemas.Message(message="Song deleted")
