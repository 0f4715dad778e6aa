"""Uploading songs."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from fastapi import APIRouter, HTTPException, UploadFile

from ecs_core import AudioError
from services.api import schemas
from services.api.service import ServiceDep
from services.songs import path_of

router = APIRouter(tags=["audio"])
_CHUNK = 1 << 20


@router.post("/audio", operation_id="upload_audio", status_code=201)
async def upload_audio(file: UploadFile, service: ServiceDep) -> schemas.UploadedAudio:
    """Upload a song; the same song twice is kept once."""
    limit = service.settings.upload_limit
    with tempfile.NamedTemporaryFile(prefix="motes-upload-") as copy:
        size = 0
        while chunk := await file.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise HTTPException(413, f"The upload is larger than {limit} bytes")
            await asyncio.to_thread(copy.write, chunk)
        copy.flush()
        try:
            row = await service.songs.keep(Path(copy.name), Path(file.filename or "upload").name)
        except AudioError as error:
            raise HTTPException(415, str(error)) from None
    return schemas.UploadedAudio(
        audio_id=row.sha256,
        audio_path=path_of(row),
        duration=row.duration,
        sample_rate=row.sample_rate,
        channels=row.channels,
        sha256=row.sha256,
    )
