"""Batches: one render for each of several songs, submitted and followed together."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy import Row, select

from ecs_core import MotesError, SceneError
from services.api import openapi_links, schemas
from services.api.authentication import Caller, CallerDep
from services.api.configs import check_config, merged
from services.api.dependencies import Service, ServiceDep, is_id
from services.api.errors import problems
from services.api.idempotency import Answer, IdempotencyKey, idempotent
from services.api.route import Route
from services.api.routes.renders import Look, job_of, submit_all
from services.api.template_filling import filled, lasting, template_of
from services.auth.limits import LimitError, QuotaError
from services.database.models import OPEN, JobRow
from services.jobs.lifecycle import BatchError
from services.storage.disk_admission import InsufficientStorageError
from services.webhooks.delivery import check_target

router = APIRouter(tags=["jobs"], route_class=Route)
_AUDIO_ID = re.compile(r"[0-9a-f]{64}")
_COLUMNS = (
    *(JobRow.id, JobRow.owner, JobRow.status, JobRow.progress, JobRow.error, JobRow.output_path, JobRow.created_at),
    JobRow.scene["audio"].as_string().label("audio"),
)


@router.post(
    "/batches",
    operation_id="create_batch",
    status_code=202,
    response_model=schemas.Batch,
    responses={
        202: {
            "headers": {"Location": {"description": "the batch", "schema": {"type": "string"}}},
            "links": openapi_links.BATCH,
        },
        **problems(400, 409, 413, 415, 422, 507),
    },
)
async def create_batch(
    body: schemas.NewBatch,
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Render a video of each song, with a template or a type and its config. All are accepted, or none."""

    async def make(batch_id: str) -> Answer:
        if body.webhook_url is not None:
            await check_target(body.webhook_url, service.settings, owner=caller.owner)
        jobs: list[tuple[JobRow, Sequence[JobRow]]] = []
        try:
            for number, song in enumerate(body.songs):
                try:
                    jobs.append(await _job(service, caller, f"{batch_id} {number}", body, _as_song(song), batch_id))
                except MotesError as error:
                    raise BatchError(number) from error
                except HTTPException as error:
                    raise HTTPException(error.status_code, f"songs.{number}: {error.detail}") from None
            await submit_all(service, caller, jobs)
        except BatchError as error:
            raise _named(error) from None
        return await again(batch_id)

    async def again(batch_id: str) -> Answer:
        base = request.url.path.removesuffix("/batches")
        batch = await _batch_or_404(service, caller, batch_id, base)
        return Answer(batch, 202, {"Location": f"{base}/batches/{batch_id}"})

    return await idempotent(service, caller, request, idempotency_key, make, again)


@router.get("/batches/{batch_id}", operation_id="get_batch", response_model=schemas.Batch, responses=problems(404))
async def get_batch(batch_id: str, service: ServiceDep, caller: CallerDep, request: Request) -> schemas.Batch:
    """A batch: how many of its jobs are where, and each of them."""
    return await _batch_or_404(service, caller, batch_id, _base(request, batch_id))


@router.delete("/batches/{batch_id}", operation_id="cancel_batch", responses=problems(404))
async def cancel_batch(batch_id: str, service: ServiceDep, caller: CallerDep, request: Request) -> schemas.Batch:
    """Cancel all jobs of a batch that are not over. Finished videos stay: delete them job by job."""
    for row in await _rows(service, caller, batch_id):
        if row.status in OPEN:
            await service.jobs.cancel(row.id)
    return await _batch_or_404(service, caller, batch_id, _base(request, batch_id))


def _base(request: Request, batch_id: str) -> str:
    return request.url.path.removesuffix(f"/batches/{batch_id}")


def _as_song(song: str | schemas.BatchSong) -> schemas.BatchSong:
    return schemas.BatchSong(audio_path=song, output_path=None) if isinstance(song, str) else song


async def _job(
    service: Service, caller: Caller, name: str, body: schemas.NewBatch, song: schemas.BatchSong, batch_id: str
) -> tuple[JobRow, Sequence[JobRow]]:
    """The job of one song, which is not stored yet, and the outputs that render it, if there are several."""
    path = f"uploads/{song.audio_path}" if _AUDIO_ID.fullmatch(song.audio_path) else song.audio_path
    row = await service.songs.find(path, caller)
    if body.template is not None:
        template = template_of(body.template)
        kind, config = await filled(service, caller, template, {**body.slots, **song.slots}, row)
        config = merged(config, body.config)
    else:
        kind, config = body.particle_type or "", body.config
        if song.slots:
            raise SceneError(f"slots has {next(iter(song.slots))[:100]!r}: are for a template; give one")
    config = lasting(config, body.over)
    await check_config(service, kind, config, owner=caller.owner)
    look = Look(kind, config, row.sha256, caller.owner)
    job_id = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    job, parts = await job_of(service, caller, job_id, look, body, output_path=song.output_path, system_id=batch_id)
    job.batch_id = batch_id
    return job, parts


def _named(refused: BatchError) -> MotesError:
    """Why a batch is refused, with the number of the song."""
    cause, place = refused.__cause__, f"songs.{refused.number}"
    none = "; nothing of the batch is rendered"
    if isinstance(cause, QuotaError):
        problem = f"{place}: with the songs before it, {cause.problem}"
        return QuotaError(cause.limit, cause.value, problem, seconds=cause.seconds)
    if isinstance(cause, LimitError):
        return LimitError(cause.limit, cause.value, f"{place}: {cause.problem}")
    if isinstance(cause, InsufficientStorageError):
        return InsufficientStorageError(f"{place}: {cause}{none}")
    return SceneError(f"{place}: {cause}")


async def _rows(service: Service, caller: Caller, batch_id: str) -> Sequence[Row[Any]]:
    """The jobs of a batch, in the order of its songs.

    Raises:
        HTTPException: there is no such batch, all of its jobs are deleted, or it is somebody else's.
    """
    found: Sequence[Row[Any]] = ()
    if is_id(batch_id):
        async with service.sessions() as session:
            mine = select(*_COLUMNS).where(JobRow.batch_id == batch_id, caller.visible_rows(JobRow))
            found = (await session.execute(mine.order_by(JobRow.created_at, JobRow.id))).all()
    if not found:
        raise HTTPException(404, "Batch not found")
    return found


async def _batch_or_404(service: Service, caller: Caller, batch_id: str, base: str) -> schemas.Batch:
    rows = await _rows(service, caller, batch_id)
    counts = Counter(row.status for row in rows)
    statuses = get_args(schemas.JobStatus.__value__)
    return schemas.Batch(
        batch_id=batch_id,
        owner=rows[0].owner,
        created_at=rows[0].created_at,
        progress=sum(row.progress for row in rows) // len(rows),
        counts=schemas.BatchCounts(**{status: counts[status] for status in statuses}),
        jobs=[
            schemas.BatchJob(
                job_id=row.id,
                audio_id=row.audio,
                status=row.status,
                progress=row.progress,
                output_path=row.output_path,
                error=row.error,
                url=f"{base}/jobs/{row.id}",
                download_url=f"{base}/download/{row.id}" if row.status == "completed" else None,
            )
            for row in rows
        ],
    )
