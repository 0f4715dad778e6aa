"""Outputs: the files that a render gives, by name, the main one first.

Most jobs have one and render it. Of a job with variants, the *whole*, each output is a job of its own, a *part* of kind
"output": it has a spec and a key, so it shares work with every other job of the same scene. Lists and clients see the
whole alone. It has no tasks; its status and progress follow from its parts (``services.jobs.transitions``), and its
``outputs`` say how each is.

Transactions change parts before their whole, which prevents deadlocks.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core.output_names import MAIN
from services.database.models import OPEN, JobRow, TaskRow

KIND = "output"
# Of parts, without their specs, which are large.
COLUMNS = (
    JobRow.id,
    JobRow.status,
    JobRow.stage,
    JobRow.stage_progress,
    JobRow.progress,
    JobRow.frames,
    JobRow.frames_done,
    JobRow.start,
    JobRow.error,
    JobRow.warnings,
    JobRow.flashes,
    JobRow.size,
    JobRow.rendering_at,
    JobRow.expired_at,
)
_STAGES = ("rendering", "analysing", "joining")  # the whole is at the first of these that a part is at


def part_id(whole: str, name: str) -> str:
    """The id of the part of this name."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{whole} output {name}"))


def output_facts(name: str, scene: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of an output from its spec."""
    config = scene["config"]
    return {"name": name, "width": config["width"], "height": config["height"], "format": config["format"]}


def is_whole(job: JobRow | Row[Any]) -> bool:
    """Whether the outputs of a job are jobs."""
    return bool(job.outputs and "job" in job.outputs[0])


def part_of(job: JobRow, name: str) -> str | None:
    """The id of the job that renders the output of this name; None if there is no such output."""
    if not is_whole(job):
        return job.id if name == MAIN else None
    return next((each["job"] for each in job.outputs or () if each["name"] == name), None)


def outputs_shown(job: JobRow | Row[Any]) -> list[dict[str, Any]]:
    """The outputs of a job and how they are, as clients see them; none of jobs from before there were any."""
    outputs = job.outputs or []
    if is_whole(job):
        return [{name: value for name, value in each.items() if name != "job"} for each in outputs]
    state = {"status": job.status, "progress": job.progress, "bytes": job.size, "expired": job.expired_at is not None}
    return [each | state for each in outputs]


async def parts_of(session: AsyncSession, whole: JobRow) -> list[Row[Any]]:
    """The parts of a job, in order."""
    await session.flush()
    rows = {row.id: row for row in await session.execute(select(*COLUMNS).where(JobRow.whole_id == whole.id))}
    return [rows[each["job"]] for each in whole.outputs or () if each["job"] in rows]


def outputs_from(whole: JobRow, parts: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """The outputs of a job as its parts are; those that are open when the job is over will be cancelled."""
    of = {part.id: part for part in parts}
    return [
        each
        | {
            "status": "cancelled" if part.status in OPEN and whole.status not in OPEN else part.status,
            "progress": part.progress,
            "bytes": part.size,
            "expired": part.expired_at is not None,
        }
        for each in whole.outputs or ()
        if (part := of.get(each["job"])) is not None
    ]


def state_of_parts(whole: JobRow, parts: Sequence[Row[Any]]) -> dict[str, Any]:
    """What an open job is as a whole, from its parts."""
    names = {each["job"]: each["name"] for each in whole.outputs or ()}
    pixels = {each["job"]: each["width"] * each["height"] for each in whole.outputs or ()}
    known = max(part.frames for part in parts)  # those that are not planned have as many, about
    frames, frames_done = sum(part.frames or known for part in parts), sum(part.frames_done for part in parts)
    begun = [part for part in parts if part.status != "queued"]
    at = next((part for stage in _STAGES for part in parts if part.stage == stage), None)
    stage = at.stage if at is not None else "rendering" if begun else "queued"
    done = at.stage_progress if at is not None and stage != "rendering" else 100 * frames_done // max(1, frames)
    weight = sum(pixels[part.id] for part in parts)
    blocked = next((part for part in parts if part.error), None)
    planned = [part.rendering_at for part in parts if part.rendering_at is not None]
    told = [
        warning if names[part.id] == MAIN else f"{names[part.id]}: {warning}"
        for part in parts
        for warning in part.warnings
    ]
    return {
        "status": "rendering" if begun else "queued",
        "stage": stage,
        "stage_progress": done if begun else 0,
        "progress": sum(part.progress * pixels[part.id] for part in parts) // weight,
        "frames": frames,
        "frames_done": frames_done,
        "start": parts[0].start,
        "flashes": parts[0].flashes,
        "rendering_at": min(planned, default=None),
        "error": None if blocked is None else named_error(names[blocked.id], blocked.error),
        "warnings": [*whole.warnings, *(each for each in told if each not in whole.warnings)],
    }


def named_error(name: str, error: str) -> str:
    """An error of an output, with its name if it is not the main one."""
    return error if name == MAIN else f"{name}: {error}"


async def may_plan(session: AsyncSession, job: JobRow) -> bool:
    """Whether a job's plan need not wait for that of another part, which analyses the song for all of them."""
    if job.whole_id is None or job.scene.get("audio") is None:
        return True
    await session.flush()
    others = select(JobRow.id).where(JobRow.whole_id == job.whole_id, JobRow.id != job.id)
    at_it = exists().where(_plans(others), TaskRow.status.in_(("ready", "running")))
    return not await session.scalar(select(at_it))


async def release_plans(session: AsyncSession, job: JobRow, *, analysed: bool) -> None:
    """Let the plans begin that wait for the one of this job: all if the song is analysed, else the next one."""
    if job.whole_id is None:
        return
    parts: Any = select(JobRow.id).where(JobRow.whole_id == job.whole_id)
    waiting = update(TaskRow).where(_plans(parts), TaskRow.status == "waiting")
    if not analysed:
        if not await may_plan(session, job):
            return
        first = select(TaskRow.id).where(_plans(parts), TaskRow.status == "waiting").order_by(TaskRow.virtual_time)
        waiting = waiting.where(TaskRow.id == first.limit(1).scalar_subquery())
    await session.execute(waiting.values(status="ready"))


def _plans(jobs: Any) -> Any:
    return TaskRow.job_id.in_(jobs) & (TaskRow.kind == "plan")


async def ids_with_parts(session: AsyncSession, jobs: Collection[str]) -> list[str]:
    """The ids of these jobs' parts, in order, and then of the jobs."""
    parts = select(JobRow.id).where(JobRow.whole_id.in_(jobs)).order_by(JobRow.id)
    return [*await session.scalars(parts), *jobs]
