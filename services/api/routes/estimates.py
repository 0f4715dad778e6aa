"""Estimates: what a render would take, before anybody asks for it."""

from __future__ import annotations

from fastapi import APIRouter, Request

from ecs_core.output_names import MAIN
from services.api import schemas
from services.api.authentication import CallerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.route import Route
from services.api.routes.renders import render_of, submission_of
from services.api.stats_collector import StatsCollector
from services.auth.quotas import quotas_of
from services.database.models import new_id
from services.jobs.cost import Cost, cost_of

router = APIRouter(tags=["jobs"], route_class=Route)
_DEFAULTS = schemas.RenderRequest.model_validate({})


@router.post(
    "/systems/{system_id}/estimate",
    operation_id="estimate_render",
    responses=problems(400, 404, 413, 415, 422, 507),
)
async def estimate_render(
    system_id: str,
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    body: schemas.RenderRequest = _DEFAULTS,
) -> schemas.Estimate:
    """What a render of the system would take and cost. Nothing is rendered; what a render would refuse is refused."""
    job, parts = await render_of(service, caller, system_id, body, new_id())
    submission, seconds = await submission_of(service, caller, job, parts)
    song = await service.songs.get(job.scene["audio"])
    heard = song.duration if song else 0.0
    costs = [cost_of(each.scene, each.kind, seconds=seconds[each.id], heard=heard) for each in submission.rendered]
    admit = await service.disk_admission.jobs_admission(seconds)
    charged = await service.jobs.would_charge(submission, quotas=quotas_of(service.settings, caller), admit=admit)
    names = [each["name"] for each in job.outputs or ()] or [MAIN]
    outputs = [
        schemas.OutputEstimate(
            name=name,
            seconds=seconds[each.id],
            frames=cost.frames,
            bytes=cost.bytes,
            cpu_seconds=round(cost.seconds, 2),
            rendered_seconds=round(price, 3),
            exists=each.status == "completed",
        )
        for name, each, cost, price in zip(names, submission.rendered, costs, charged, strict=True)
    ]
    left = [cost for cost, output in zip(costs, outputs, strict=True) if not output.exists]
    return schemas.Estimate(
        seconds=outputs[0].seconds,
        frames=sum(each.frames for each in outputs),
        bytes=sum(each.bytes for each in outputs),
        cpu_seconds=round(sum(each.seconds for each in left), 2),
        rendered_seconds=round(sum(charged), 3),
        seconds_left=await _seconds_left(service, request, left) if left else 0.0,
        outputs=outputs,
    )


async def _seconds_left(service: Service, request: Request, costs: list[Cost]) -> float | None:
    """Seconds until workers have done everything that waits, and then this; None where no worker is known.

    Each worker counts as one core, as in ``motes serve``.
    """
    workers = await service.notifier.workers()
    if not workers:
        return None
    numbers: StatsCollector = request.state.motes_stats
    waiting = (await numbers.latest()).values.get("motes_queue_backlog_seconds", {}).get((), 0.0)
    alone = sum(each.plan + each.join for each in costs) / min(workers, len(costs))
    beside = sum(each.segments + each.sound for each in costs) / workers
    return round(waiting / workers + alone + beside, 1)
