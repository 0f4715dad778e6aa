"""Downloads of finished videos."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from services.api.authentication import Caller, CallerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.file_responses import VALIDATORS, file_content, stored_file
from services.api.route import Route
from services.database.models import JobRow
from services.jobs.artefacts import find_artefact, touch
from services.storage.object_keys import result_key

router = APIRouter(tags=["jobs"], route_class=Route)
_CACHE = "private, max-age=3600"
VIDEO = file_content("video/mp4")


@router.head("/download/{job_id}", include_in_schema=False)
@router.get(
    "/download/{job_id}",
    operation_id="download",
    response_class=Response,
    responses={
        200: {"description": "The video", "headers": VALIDATORS, **VIDEO},
        206: {"description": "The part that `Range` asks for", "headers": VALIDATORS, **VIDEO},
        304: {"description": "The client has it, by `If-None-Match`"},
        **problems(400, 404, 410, 416),
    },
)
async def download(job_id: str, service: ServiceDep, caller: CallerDep, request: Request) -> Response:
    """The finished video; 400 if it is not finished, 410 if it has expired."""
    row = await _unexpired(service, caller, job_id)
    if row.status != "completed":
        raise HTTPException(400, f"Job not completed: it is {row.status}")
    key = result_key(row.scene_key, row.kind)
    await touch(service.sessions, key)
    made = await find_artefact(service.sessions, key)
    if made is None:
        await _unexpired(service, caller, job_id)
        raise HTTPException(404, "Output file not found")
    try:
        return await stored_file(
            request,
            service.storage,
            made,
            cache=_CACHE,
            media_type="image/png" if row.kind == "frame" else "video/mp4",
            modified=row.ended_at or row.created_at,
            name=row.output_path,
        )
    except FileNotFoundError:
        await _unexpired(service, caller, job_id)  # it may have expired just now
        raise HTTPException(404, "Output file not found") from None


async def _unexpired(service: Service, caller: Caller, job_id: str) -> JobRow:
    """The job, if its video has not expired."""
    row = await service.job_or_404(caller, job_id)
    if row.expired_at is not None:
        raise HTTPException(410, f"The video expired at {row.expired_at:%Y-%m-%d %H:%M} UTC; render it again")
    return row
