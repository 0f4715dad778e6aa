"""Previews of a system: a frame, or the first seconds as a draft, made by workers and stored.

Each is a job that lists omit. Its id is derived from its content, so concurrent requests for the same preview wait for
the same job.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from fractions import Fraction
from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from ecs_core import SceneError
from services.api.authentication import Caller, CallerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.file_responses import ELSEWHERE, VALIDATORS, file_content, stored_file
from services.api.route import Route
from services.api.routes.downloads import VIDEO
from services.api.routes.jobs import delete_job_and_files
from services.api.routes.renders import spec_of, submit
from services.auth.quotas import quotas_of
from services.database.models import OPEN, JobRow, SystemRow
from services.jobs import lost_files
from services.jobs.artefacts import Artefact, find_artefact, touch
from services.jobs.render_spec import known_start, video_seconds
from services.storage.object_keys import result_key

router = APIRouter(tags=["systems"], route_class=Route)
_TIMEOUT = 60.0  # seconds until a client is told to retry
_POLL_INTERVAL = 0.1
_TRIES = 2  # to find a result whose file is not lost
_CACHE = "private, max-age=0, must-revalidate"  # another config gives another picture
_MEDIA = {"frame": "image/png", "analysis": "application/json", "curves": "application/json"}
_PICTURE = file_content("image/png")
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client has it, by `If-None-Match`"},
    **ELSEWHERE,
}
_ERRORS = _NOT_MODIFIED | problems(400, 404, 416, 507)


@router.head("/systems/{system_id}/frame", include_in_schema=False)
@router.get(
    "/systems/{system_id}/frame",
    operation_id="frame_of_system",
    response_class=Response,
    responses={200: {"description": "The frame", "headers": VALIDATORS, **_PICTURE}, **_ERRORS},
)
async def frame_of_system(
    system_id: str,
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    t: float = Query(0.0, ge=0, allow_inf_nan=False, description="when, in seconds"),
) -> Response:
    """One frame as a PNG, equal to the one in the video."""
    row = await service.system_or_404(caller, system_id)
    scene, _ = await spec_of(
        service, row.particle_type, row.config, row.audio, "standard", owner=caller.owner, asset_owner=row.owner
    )
    rate, length = Fraction(str(scene["config"]["fps"])), await _length(service, scene)
    frames = int(length * rate + Fraction(1, 2))
    number = int(Fraction(str(t)) * rate + Fraction(1, 10**6))  # rounding as in motes frame
    if number >= frames:
        raise HTTPException(400, f"t = {t:g}: must be from 0 to {float((frames - 1) / rate):g} seconds")
    scene, key = await spec_of(
        service,
        row.particle_type,
        row.config,
        row.audio,
        "standard",
        owner=caller.owner,
        asset_owner=row.owner,
        at=float(number / rate),
    )
    return await respond_with_result(service, caller, request, _job(caller, row, scene, key, kind="frame"))


@router.head("/systems/{system_id}/preview", include_in_schema=False)
@router.get(
    "/systems/{system_id}/preview",
    operation_id="preview_of_system",
    response_class=Response,
    responses={200: {"description": "The video", "headers": VALIDATORS, **VIDEO}, **_ERRORS},
)
async def preview_of_system(
    system_id: str,
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    duration: float = Query(4.0, gt=0, le=15, allow_inf_nan=False, description="how long, in seconds"),
) -> Response:
    """The first seconds of the video, as a draft."""
    row = await service.system_or_404(caller, system_id)
    scene, _ = await spec_of(
        service, row.particle_type, row.config, row.audio, "draft", owner=caller.owner, asset_owner=row.owner
    )
    rate, length = Fraction(str(scene["config"]["fps"])), await _length(service, scene)
    frames = int(min(Fraction(str(duration)), length) * rate + Fraction(1, 2))
    config = {**row.config, "duration": float(max(1, frames) / rate), "format": "mp4", "alpha": None}
    if frames < int(length * rate + Fraction(1, 2)):
        config["fade_out"] = 0.0  # it is at the end of the video, not of the preview
    scene, key = await spec_of(
        service, row.particle_type, config, row.audio, "draft", owner=caller.owner, asset_owner=row.owner
    )
    return await respond_with_result(service, caller, request, _job(caller, row, scene, key, kind="preview"))


async def _length(service: Service, scene: dict[str, Any]) -> Fraction:
    """Duration of the whole video in seconds; the most that it may be, if only the analysis can tell."""
    duration = scene["config"]["duration"]
    if scene["audio"] is None:
        return Fraction(str(duration))
    song = await service.songs.get(scene["audio"])
    if song is None:
        raise SceneError("the song is gone; upload it again")
    video_seconds(scene, song.duration)  # refuses a part that there is not
    if duration not in (None, "audio"):
        return Fraction(str(duration))
    return Fraction(song.duration) - Fraction(str(known_start(scene) or 0))


def _job(caller: Caller, system: SystemRow, scene: dict[str, Any], key: str, *, kind: str) -> JobRow:
    return JobRow(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{caller.owner} {kind} {key}")),
        owner=caller.owner,
        fairness_key=caller.owner or system.id,
        kind=kind,
        system_id=system.id,
        scene=scene,
        scene_key=key,
        output_path=f"{kind}.{'png' if kind == 'frame' else 'mp4'}",
        priority="high",
    )


async def respond_with_result(service: Service, caller: Caller, request: Request, job: JobRow) -> Response:
    """The job's result as a response, as soon as it exists.

    Raises:
        HTTPException: the job failed or takes too long.
    """
    key, media_type = result_key(job.scene_key, job.kind), _MEDIA.get(job.kind, "video/mp4")
    # Documents are small, and clients ask much of them.
    redirect = service.redirects and media_type != "application/json"
    for _ in range(_TRIES):
        made = await find_artefact(service.sessions, key)
        made = made or await _wait_for_result(service, caller, request, job)
        lost = partial(lost_files.forget, service.sessions, [made])
        try:
            answer = await stored_file(
                request, service.storage, made, cache=_CACHE, media_type=media_type, redirect=redirect, lost=lost
            )
        except FileNotFoundError:
            await lost()
            continue
        await touch(service.sessions, made.key)
        return answer
    raise HTTPException(503, "The file was lost and is being made again; try again", {"Retry-After": "1"})


async def _wait_for_result(service: Service, caller: Caller, request: Request, job: JobRow) -> Artefact:
    """Submit the job and wait for its result.

    Raises:
        HTTPException: the job failed or takes too long.
    """
    end, quotas = time.monotonic() + _TIMEOUT, quotas_of(service.settings, caller)
    row = await submit(service, caller, job)
    if row.status == "completed" and await find_artefact(service.sessions, result_key(job.scene_key, job.kind)) is None:
        if await lost_files.reopen(service.sessions, row.id):
            service.notifier.wake()
        else:
            await delete_job_and_files(service, row.id)
            row = await submit(service, caller, job)
    elif row.status not in OPEN and await service.jobs.retry(row.id, quotas=quotas):
        service.notifier.wake()  # it failed before, perhaps for lack of memory
    while time.monotonic() < end and not await request.is_disconnected():
        row = await service.job_or_404(caller, job.id)
        key = result_key(row.scene_key, job.kind)  # a worker of another version may have replanned it
        made = await find_artefact(service.sessions, key)
        if made is not None:
            return made
        if row.status in ("failed", "cancelled"):
            raise HTTPException(400, row.error or "it was cancelled")
        await asyncio.sleep(_POLL_INTERVAL)
    what = f"The {job.kind} is {row.stage}" + (f": {row.error}" if row.error else "")
    raise HTTPException(503, f"{what}; try again in a few seconds", {"Retry-After": "5"})
