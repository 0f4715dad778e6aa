"""Jobs: how far they are, following, cancelling, downloading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, StreamingResponse
from starlette.background import BackgroundTask

from services.api import schemas
from services.api.service import Service, ServiceDep
from services.database import JobRow
from services.jobs import OPEN, told
from services.keys import result_key

router = APIRouter(tags=["jobs"])
_LOOK_EVERY = 0.5  # seconds


def shown(row: JobRow) -> schemas.Job:
    """A job as the API shows it."""
    return schemas.Job.model_validate(
        told(row)
        | {
            "job_id": row.id,
            "priority": row.priority,
            "created_at": row.created_at,
            "output_path": row.output_path,
            "completed_at": row.ended_at if row.status == "completed" else None,
            "failed_at": row.ended_at if row.status == "failed" else None,
        }
    )


async def _job_or_404(service: Service, job_id: str) -> JobRow:
    row = await service.job(job_id)
    if row is None:
        raise HTTPException(404, "Job not found")
    return row


@router.get("/jobs", operation_id="list_jobs")
async def list_jobs(
    service: ServiceDep, limit: int = Query(50, ge=1, le=500), offset: int = Query(0, ge=0)
) -> list[schemas.Job]:
    """All jobs, the newest first."""
    return [shown(row) for row in await service.all(JobRow, limit=limit, offset=offset)]


@router.get("/jobs/{job_id}", operation_id="get_job")
async def get_job(job_id: str, service: ServiceDep) -> schemas.Job:
    """A job."""
    return shown(await _job_or_404(service, job_id))


@router.get("/jobs/{job_id}/events", operation_id="follow_job", response_class=StreamingResponse)
async def follow_job(job_id: str, service: ServiceDep) -> StreamingResponse:
    """Server-sent events: the job, at once and at every change, until it is over."""
    await _job_or_404(service, job_id)
    return StreamingResponse(_events(service, job_id), media_type="text/event-stream")


async def _events(service: Service, job_id: str) -> AsyncIterator[str]:
    before = None
    number = 0
    while (row := await service.job(job_id)) is not None:
        now = shown(row).model_dump_json()
        if now != before:
            before, number = now, number + 1
            yield f"id: {number}\nevent: job\ndata: {now}\n\n"
        if row.status not in OPEN:
            return
        await asyncio.sleep(_LOOK_EVERY)


@router.post("/jobs/{job_id}/cancel", operation_id="cancel_job")
async def cancel_job(job_id: str, service: ServiceDep) -> schemas.Cancelled:
    """Stop a job that is not over; 409 where it is."""
    await _job_or_404(service, job_id)
    cancelled = await service.jobs.cancel(job_id)
    row = await _job_or_404(service, job_id)
    if not cancelled and row.status != "cancelled":
        raise HTTPException(409, f"Job is {row.status} already")
    return schemas.Cancelled(job_id=job_id, status=row.status)  # type: ignore[arg-type]


@router.get("/download/{job_id}", operation_id="download", response_class=FileResponse)
async def download(job_id: str, service: ServiceDep) -> FileResponse:
    """The finished video; ``Range`` and ``ETag`` are understood. 400 where it is not finished."""
    row = await _job_or_404(service, job_id)
    if row.status != "completed":
        raise HTTPException(400, f"Job not completed: it is {row.status}")
    made = await service.jobs.artefact(result_key(row.scene_key, row.kind))
    if made is None:
        raise HTTPException(404, "Output file not found")
    held = service.storage.file(made.object)
    try:
        path = await asyncio.to_thread(held.__enter__)
    except FileNotFoundError:
        raise HTTPException(404, "Output file not found") from None
    closing = BackgroundTask(held.__exit__, None, None, None)
    return FileResponse(path, media_type="video/mp4", filename=row.output_path, background=closing)


@router.delete("/jobs/{job_id}", operation_id="delete_job")
async def delete_job(job_id: str, service: ServiceDep) -> schemas.Message:
    """Cancel a job that is not over, and forget it."""
    await _job_or_404(service, job_id)
    await service.jobs.cancel(job_id)
    folder = await service.jobs.delete(job_id)
    if folder is not None:
        await asyncio.to_thread(service.storage.delete, folder)
    return schemas.Message(message="Job deleted")
