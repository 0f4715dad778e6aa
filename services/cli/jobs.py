"""``motes jobs``: list, show, cancel and retry jobs, straight in the database, whether or not the service runs."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ecs_core.errors import MotesError
from ecs_core.output_names import MAIN
from services.cli.service_database import open_sessions
from services.cli.service_settings import add_data_argument, settings_from
from services.cli.tables import print_table
from services.observability.masking import masked_value

if TYPE_CHECKING:
    from services.database.engine import Sessions
    from services.database.models import DeliveryRow, EventRow, JobRow, TaskRow

HELP = "List jobs, show one, do one again or cancel it."
EXAMPLES = """\
examples:
  motes jobs list
  motes jobs list --status failed --limit 10
  motes jobs show 5f0c
  motes jobs retry 5f0c
  motes jobs cancel 5f0c --data /srv/motes
"""
_STATUSES = ("queued", "rendering", "completed", "failed", "cancelled")
_SHORT = 8  # characters of an id that lists show; any unique prefix is accepted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the four commands."""
    commands = parser.add_subparsers(dest="jobs_command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the newest jobs and how far they are")
    listing.add_argument("--status", choices=_STATUSES, help="only jobs that are so")
    listing.add_argument("--limit", metavar="N", type=int, default=20, help="how many (default: %(default)s)")
    listing.add_argument("--all", action="store_true", help="previews and frames, too")
    listing.set_defaults(do=_list)
    show = commands.add_parser("show", help="a job, its tasks, what happened to it, and its webhook's deliveries")
    show.add_argument("--events", metavar="N", type=int, default=20, help="how many of the last (default: %(default)s)")
    show.set_defaults(do=_show)
    retry = commands.add_parser("retry", help="do a job that failed or was cancelled again; what is finished is kept")
    retry.set_defaults(do=_retry)
    cancel = commands.add_parser("cancel", help="stop a job that is not over")
    cancel.set_defaults(do=_cancel)
    for command in (show, retry, cancel):
        command.add_argument("job", metavar="JOB", help="its id, or how it begins")
    for command in (listing, show):
        command.add_argument("--json", action="store_true", help="print it as JSON")
    for command in commands.choices.values():
        add_data_argument(command)


def run(arguments: argparse.Namespace) -> None:
    """Run the subcommand."""

    async def do() -> None:
        async with open_sessions(settings_from(arguments, "data")) as sessions:
            await arguments.do(arguments, sessions)

    asyncio.run(do())


async def _list(arguments: argparse.Namespace, sessions: Sessions) -> None:
    from sqlalchemy import select

    from services.database.models import JobRow

    if arguments.limit < 1:
        raise MotesError(f"--limit {arguments.limit}: must be at least 1")
    wanted = select(JobRow).where(JobRow.whole_id.is_(None)).order_by(JobRow.created_at.desc()).limit(arguments.limit)
    if arguments.status is not None:
        wanted = wanted.where(JobRow.status == arguments.status)
    if not arguments.all:
        wanted = wanted.where(JobRow.kind == "video")
    async with sessions() as session:
        rows = list(await session.scalars(wanted))
    if arguments.json:
        print(json.dumps([_facts(row) for row in rows]))
    elif not rows:
        print("no jobs")
    else:
        headings = ("JOB", "STATUS", "STAGE", "DONE", "PRIORITY", "CREATED", "TOOK", "OUTPUT", "ERROR")
        print_table(headings, (_line(row) for row in rows))


def _line(row: JobRow) -> tuple[object, ...]:
    stage = row.stage if row.stage != row.status else None
    created = _moment(row.created_at)
    done = f"{row.progress} %"
    return (row.id[:_SHORT], row.status, stage, done, row.priority, created, _took(row), row.output_path, row.error)


async def _show(arguments: argparse.Namespace, sessions: Sessions) -> None:
    from sqlalchemy import select

    from services.database.models import DeliveryRow, EventRow, JobRow, TaskRow

    if arguments.events < 0:
        raise MotesError(f"--events {arguments.events}: must be at least 0")
    job = await _find(sessions, arguments.job)
    async with sessions() as session:
        order = (
            JobRow.virtual_time,
            JobRow.id,
            TaskRow.kind != "plan",
            TaskRow.kind == "join",
            TaskRow.kind != "sound",
            TaskRow.number,
        )
        of_job = select(TaskRow).join(JobRow, JobRow.id == TaskRow.job_id)
        of_job = of_job.where((JobRow.id == job.id) | (JobRow.whole_id == job.id))
        tasks = list(await session.scalars(of_job.order_by(*order)))
        last = select(EventRow).where(EventRow.job_id == job.id).order_by(EventRow.id.desc()).limit(arguments.events)
        events = list(reversed(list(await session.scalars(last))))
        deliveries = list(await session.scalars(select(DeliveryRow).where(DeliveryRow.job_id == job.id)))
    if arguments.json:
        print(json.dumps(_all_facts(job, tasks, events, deliveries)))
    else:
        _print(job, tasks, events, deliveries)


def _all_facts(
    job: JobRow, tasks: list[TaskRow], events: list[EventRow], deliveries: list[DeliveryRow]
) -> dict[str, Any]:
    outputs = _names_of_outputs(job)
    of_task = ("kind", "number", "status", "attempt", "deaths", "frames", "done", "worker", "lease_until")
    of_delivery = ("event", "status", "attempts", "next_at")
    return {
        **_facts(job),
        "tasks": [
            {"output": outputs[task.job_id]} | {name: _plain(getattr(task, name)) for name in of_task} for task in tasks
        ],
        "events": [{"id": each.id, **each.data} for each in events],
        "deliveries": [{name: _plain(getattr(each, name)) for name in of_delivery} for each in deliveries],
    }


def _names_of_outputs(job: JobRow) -> dict[str, str]:
    """The names of a job's outputs by the ids of the jobs that render them."""
    return {job.id: MAIN} | {each["job"]: each["name"] for each in job.outputs or () if "job" in each}


def _print(job: JobRow, tasks: list[TaskRow], events: list[EventRow], deliveries: list[DeliveryRow]) -> None:
    for name, value in _facts(job).items():
        if value is not None and name != "outputs":
            print(f"{name:<14} {value}")
    print()
    outputs, name_of = _facts(job)["outputs"], _names_of_outputs(job)
    if len(outputs) > 1:
        print_table(
            ("OUTPUT", "STATUS", "DONE", "SIZE", "FORMAT", "BYTES"),
            (
                (
                    each["name"],
                    "expired" if each["expired"] else each["status"],
                    f"{each['progress']} %",
                    f"{each['width']}x{each['height']}",
                    each["format"],
                    each["bytes"],
                )
                for each in outputs
            ),
        )
        print()
    print_table(
        ("TASK", "STATUS", "ATTEMPT", "DEATHS", "DONE", "WORKER"),
        (
            (
                (f"{name_of[task.job_id]}: " if len(outputs) > 1 else "")
                + (f"{task.kind} {task.number}" if task.kind == "segment" else task.kind),
                task.status,
                task.attempt,
                task.deaths,
                f"{task.done} of {task.frames} frames" if task.kind == "segment" else None,
                task.worker,
            )
            for task in tasks
        ),
    )
    print()
    names = ("status", "stage", "progress", "frames_done", "seconds_left", "error")
    print_table(
        ("EVENT", "STATUS", "STAGE", "PROGRESS", "FRAMES", "SECONDS LEFT", "ERROR"),
        ((each.id, *(each.data.get(name) for name in names)) for each in events),
    )
    if deliveries:
        print()
        print_table(
            ("WEBHOOK", "STATUS", "ATTEMPTS", "LAST ERROR"),
            (
                (each.event, each.status, len(each.attempts), each.attempts[-1]["error"] if each.attempts else None)
                for each in deliveries
            ),
        )


async def _retry(arguments: argparse.Namespace, sessions: Sessions) -> None:
    from services.jobs.lifecycle import Jobs

    job = await _find(sessions, arguments.job)
    if not await Jobs(sessions).retry(job.id):
        raise MotesError(f"job {job.id} is {job.status}: only failed and cancelled jobs can be retried")
    print(f"job {job.id}: queued again; follow it with motes jobs show {job.id[:_SHORT]}")


async def _cancel(arguments: argparse.Namespace, sessions: Sessions) -> None:
    from services.jobs.lifecycle import Jobs

    job = await _find(sessions, arguments.job)
    if not await Jobs(sessions).cancel(job.id):
        raise MotesError(f"job {job.id} is {job.status} already")
    print(f"job {job.id}: cancelled; motes jobs retry {job.id[:_SHORT]} retries it")


async def _find(sessions: Sessions, beginning: str) -> JobRow:
    """The job whose id starts with this prefix.

    Raises:
        MotesError: no job does, or more than one.
    """
    from sqlalchemy import select

    from services.database.models import JobRow

    async with sessions() as session:
        alike = select(JobRow).where(JobRow.id.startswith(beginning, autoescape=True), JobRow.whole_id.is_(None))
        found = list(await session.scalars(alike.limit(3)))
    if not found or not beginning:
        raise MotesError(f"there is no job {beginning!r}; motes jobs list --all shows them")
    if len(found) > 1:
        raise MotesError(f"{beginning!r} is the beginning of several jobs: {', '.join(row.id for row in found)}")
    return found[0]


def _facts(row: JobRow) -> dict[str, Any]:
    """A job as plain data."""
    from services.jobs.outputs import outputs_shown

    names = ("kind", "system_id", "status", "stage", "stage_progress", "progress", "frames", "frames_done", "start")
    more = ("error", "priority", "output_path", "size", "created_at", "rendering_at", "ended_at", "scene_key")
    scene = {"particle_type": row.scene.get("type"), "audio": row.scene.get("audio")}
    webhook = None if row.webhook_url is None else masked_value(row.webhook_url)
    values = {name: _plain(getattr(row, name)) for name in (*names, *more)}
    return {"job_id": row.id, **values, **scene, "webhook_url": webhook, "outputs": outputs_shown(row)}


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _moment(when: datetime) -> str:
    return f"{when.astimezone():%Y-%m-%d %H:%M:%S}"


def _took(row: JobRow) -> str | None:
    """Time from submission to end."""
    return None if row.ended_at is None else f"{(row.ended_at - row.created_at).total_seconds():.1f} s"
