"""Downloads of finished videos and their posters."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, HTTPException, Request, Response

from ecs_core.formats import FACTS, Form
from ecs_core.output_names import MAIN
from services.api.authentication import Caller, CallerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.file_responses import ELSEWHERE, VALIDATORS, file_content, stored_file
from services.api.route import Route
from services.database.models import OPEN, JobRow
from services.jobs import lost_files
from services.jobs.artefacts import find_artefact, touch
from services.jobs.events import seconds_left
from services.jobs.outputs import part_of
from services.storage.object_keys import poster_key, result_key

router = APIRouter(tags=["jobs"], route_class=Route)
_CACHE = "private, max-age=3600"
VIDEO, _PICTURE = file_content("video/mp4"), file_content("image/png")
_ANY_FORMAT = file_content(*(facts.media_type for facts in FACTS.values()))


@router.head("/download/{job_id}", include_in_schema=False)
@router.get(
    "/download/{job_id}",
    operation_id="download",
    response_class=Response,
    responses={
        200: {"description": "The video", "headers": VALIDATORS, **_ANY_FORMAT},
        206: {"description": "The part that `Range` asks for", "headers": VALIDATORS, **_ANY_FORMAT},
        304: {"description": "The client has it, by `If-None-Match`"},
        **ELSEWHERE,
        **problems(400, 404, 410, 416, 503),
    },
)
async def download(job_id: str, service: ServiceDep, caller: CallerDep, request: Request) -> Response:
    """The finished video; 400 if it is not finished, 410 if it has expired, 503 while it is made again as its file was
    lost.
    """
    return await _send_video(service, request, await _finished(service, caller, job_id))


@router.head("/jobs/{job_id}/outputs/{name}", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/outputs/{name}",
    operation_id="get_output",
    response_class=Response,
    responses={
        200: {"description": "The video", "headers": VALIDATORS, **_ANY_FORMAT},
        206: {"description": "The part that `Range` asks for", "headers": VALIDATORS, **_ANY_FORMAT},
        304: {"description": "The client has it, by `If-None-Match`"},
        **ELSEWHERE,
        **problems(400, 404, 410, 416, 503),
    },
)
async def get_output(job_id: str, name: str, service: ServiceDep, caller: CallerDep, request: Request) -> Response:
    """One output of a render, as soon as it is completed, also while others are rendered; 400 and 410 as above."""
    row = await _output(service, caller, job_id, name)
    _refuse_unfinished(row, what="Output")
    return await _send_video(service, request, row)


@router.head("/jobs/{job_id}/poster", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/poster",
    operation_id="get_poster",
    response_class=Response,
    responses={
        200: {"description": "The picture", "headers": VALIDATORS, **_PICTURE},
        206: {"description": "The part that `Range` asks for", "headers": VALIDATORS, **_PICTURE},
        304: {"description": "The client has it, by `If-None-Match`"},
        **ELSEWHERE,
        **problems(400, 404, 410, 416, 503),
    },
)
async def get_poster(job_id: str, service: ServiceDep, caller: CallerDep, request: Request) -> Response:
    """The video's poster, a frame that stands for it (`poster` in its config); 400 and 410 as for the video."""
    row = await _finished(service, caller, job_id)
    return await _send(service, request, row, poster_key(row.scene_key), media_type="image/png")


async def _send_video(service: Service, request: Request, row: JobRow) -> Response:
    """The result of a job that is finished."""
    form: Form = row.scene.get("config", {}).get("format", "mp4")
    media_type = "image/png" if row.kind == "frame" else FACTS[form].media_type
    key = result_key(row.scene_key, row.kind)
    return await _send(service, request, row, key, media_type=media_type, name=row.output_path)


async def _send(
    service: Service,
    request: Request,
    row: JobRow,
    key: str,
    *,
    media_type: str,
    name: str | None = None,
) -> Response:
    """The file under ``key``, which belongs to a finished job."""
    made = await find_artefact(service.sessions, key)

    async def lost() -> None:
        if made is not None:
            await lost_files.forget(service.sessions, [made])
        if await lost_files.reopen(service.sessions, row.whole_id or row.id):
            service.notifier.wake()

    try:
        if made is None:
            raise FileNotFoundError(key)
        answer = await stored_file(
            request,
            service.storage,
            made,
            cache=_CACHE,
            media_type=media_type,
            modified=row.ended_at or row.created_at,
            name=name,
            redirect=service.redirects,
            lost=lost,
        )
    except FileNotFoundError:
        if row.status == "completed":
            await lost()
        async with service.sessions() as session:
            present = await session.get(JobRow, row.id) or row
        _refuse_expired(present)  # just now
        _refuse_unfinished(present)
        raise _made_again(present, await service.sessions.clock.now()) from None
    await touch(service.sessions, result_key(row.scene_key, row.kind))  # a poster is kept as long as its video
    return answer


def _made_again(row: JobRow, at: datetime) -> HTTPException:
    """The answer while a video that was lost is made again: clients' libraries ask again by themselves."""
    seconds = max(1, min(60, round(seconds_left(row, at) or 2)))
    about = f": it is {row.stage}" + (f": {row.error}" if row.error else "")
    return HTTPException(503, f"The file was lost and is being made again{about}", {"Retry-After": str(seconds)})


async def _finished(service: Service, caller: Caller, job_id: str) -> JobRow:
    """The job, if it is finished and its video has not expired."""
    row = await _unexpired(service, caller, job_id)
    _refuse_unfinished(row)
    return row


async def _unexpired(service: Service, caller: Caller, job_id: str) -> JobRow:
    """The job, if its video has not expired."""
    row = await service.job_or_404(caller, job_id)
    _refuse_expired(row)
    return row


async def _output(service: Service, caller: Caller, job_id: str, name: str) -> JobRow:
    """The job that renders an output of a job, if that has not expired."""
    whole = await service.job_or_404(caller, job_id)
    part = part_of(whole, name)
    row = whole if part == whole.id else None
    if row is None and part is not None:
        async with service.sessions() as session:
            row = await session.get(JobRow, part)
    if row is None:
        known = ", ".join(each["name"] for each in whole.outputs or ()) or MAIN
        raise HTTPException(404, f"Output {name[:100]!r} not found; there are: {known}")
    _refuse_expired(row)
    return row


def _refuse_unfinished(row: JobRow, *, what: str = "Job") -> None:
    """Refuse what was never completed; what was, and is being made again, may be there in part."""
    if row.status != "completed" and not (row.status in OPEN and row.reopened_at is not None):
        why = f": {row.error}" if row.error and row.status == "failed" else ""
        raise HTTPException(400, f"{what} not completed: it is {row.status}{why}")


def _refuse_expired(row: JobRow) -> None:
    if row.expired_at is not None:
        raise HTTPException(410, f"The video expired at {row.expired_at:%Y-%m-%d %H:%M} UTC; render it again")
