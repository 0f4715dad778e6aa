"""Jobs: listing, progress, cancelling, deleting, and their webhook deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from sqlalchemy import null, select

from services.api import schemas
from services.api.authentication import CallerDep
from services.api.dependencies import Service, ServiceDep, is_id
from services.api.errors import problems
from services.api.paging import CURSOR, FIELDS, LIMIT, LINK, paged_response, wanted_fields
from services.api.route import Route
from services.database.models import DeliveryRow, JobRow
from services.jobs.events import COLUMNS, to_payload

router = APIRouter(tags=["jobs"], route_class=Route)
_LONG = frozenset({"outputs", "flashes"})  # columns that are not read unless they are shown


def to_schema(row: JobRow, at: datetime) -> schemas.Job:
    """A job as the API shows it; ``at`` is the database's time."""
    return state_to_schema(row, to_payload(row, at))


def state_to_schema(row: JobRow, state: dict[str, Any]) -> schemas.Job:
    """A job as the API shows it, as of an event's payload."""
    outputs = [
        each
        | {
            "url": f"jobs/{row.id}/outputs/{each['name']}"
            if each["status"] == "completed" and not each["expired"]
            else None
        }
        for each in state.get("outputs", ())
    ]
    return schemas.Job.model_validate(
        state
        | {
            "job_id": row.id,
            "outputs": outputs,
            "owner": row.owner,
            "batch_id": row.batch_id,
            "priority": row.priority,
            "created_at": row.created_at,
            "output_path": row.output_path,
            "warnings": row.warnings,
            "flashes": row.flashes if state["status"] == "completed" else None,
            "completed_at": row.ended_at if state["status"] == "completed" else None,
            "expired_at": row.expired_at,
            "failed_at": row.ended_at if state["status"] == "failed" else None,
        }
    )


@router.get(
    "/jobs",
    operation_id="list_jobs",
    response_model=list[schemas.Job],
    responses={200: {"headers": LINK}, **problems(400)},
)
async def list_jobs(
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    status: Annotated[list[schemas.JobStatus] | None, Query(description="only these; may be repeated")] = None,
    system_id: Annotated[str | None, Query(description="only of this system")] = None,
    fields: str | None = FIELDS,
    limit: int = LIMIT,
    cursor: str | None = CURSOR,
) -> Response:
    """All renders, the newest first."""
    wanted = wanted_fields(fields, schemas.Job)
    left_out = _LONG - wanted
    columns = [null().label(column.name) if column.name in left_out else column for column in COLUMNS]
    rows = select(*columns).where(JobRow.kind == "video", caller.visible_rows(JobRow))
    if system_id is not None:
        rows = rows.where(JobRow.system_id == (system_id if is_id(system_id) else ""))
    at = await service.sessions.clock.now()

    async def show(found: Sequence[Any]) -> list[bytes]:
        return await service.compute(
            lambda: [to_schema(row, at).model_dump_json(include=set(wanted)).encode() for row in found]
        )

    queries = [rows.where(JobRow.status == each) for each in dict.fromkeys(status)] if status else [rows]
    return await paged_response(service, request, JobRow, *queries, show=show, limit=limit, cursor=cursor)


@router.get("/jobs/{job_id}", operation_id="get_job", response_model=schemas.Job, responses=problems(404))
async def get_job(job_id: str, service: ServiceDep, caller: CallerDep) -> schemas.Job:
    """A job."""
    return to_schema(await service.job_or_404(caller, job_id), await service.sessions.clock.now())


@router.post("/jobs/{job_id}/cancel", operation_id="cancel_job", responses=problems(404, 409))
async def cancel_job(job_id: str, service: ServiceDep, caller: CallerDep) -> schemas.Cancelled:
    """Cancel an open job; 409 if it is over."""
    await service.job_or_404(caller, job_id)
    cancelled = await service.jobs.cancel(job_id)
    row = await service.job_or_404(caller, job_id)
    if not cancelled and row.status != "cancelled":
        raise HTTPException(409, f"Job is {row.status} already")
    return schemas.Cancelled(job_id=job_id, status="cancelled")


@router.get("/jobs/{job_id}/deliveries", operation_id="list_deliveries", responses=problems(404))
async def list_deliveries(job_id: str, service: ServiceDep, caller: CallerDep) -> list[schemas.Delivery]:
    """The messages to the job's ``webhook_url``, and every attempt to deliver them."""
    await service.job_or_404(caller, job_id)
    async with service.sessions() as session:
        rows = select(DeliveryRow).where(DeliveryRow.job_id == job_id)
        found = (await session.scalars(rows.order_by(DeliveryRow.created_at, DeliveryRow.id))).all()
    return [
        schemas.Delivery.model_validate(
            {name: getattr(row, name) for name in ("event", "url", "status", "attempts", "created_at")}
            | {"delivery_id": row.id, "next_at": row.next_at if row.status == "pending" else None}
        )
        for row in found
    ]


@router.delete("/jobs/{job_id}", operation_id="delete_job", responses=problems(404))
async def delete_job(job_id: str, service: ServiceDep, caller: CallerDep) -> schemas.Message:
    """Delete a job and its video; an open job is cancelled first."""
    await service.job_or_404(caller, job_id)
    await service.jobs.cancel(job_id)
    await delete_job_and_files(service, job_id)
    return schemas.Message(message="Job deleted")


async def delete_job_and_files(service: Service, job_id: str) -> None:
    """Delete a job and the files that only it used."""
    await service.deleter.delete_job(service.jobs, job_id)
