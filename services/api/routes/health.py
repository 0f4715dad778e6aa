"""Health and counts."""

from __future__ import annotations

import logging
from functools import partial

from fastapi import APIRouter, Response

from ecs_core.plugin_api import particle_types
from services.api import schemas
from services.api.authentication import CallerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import UNREACHABLE, problems
from services.api.route import Route
from services.auth.api_keys import ANONYMOUS, Caller
from services.database.clock_skew import skew_warning
from services.database.migrations import NewerSchemaError, head_revision, schema_revision
from services.database.models import OPEN
from services.database.tallies import tallies, totals

_log = logging.getLogger("motes.api")
router = APIRouter(tags=["health"], route_class=Route)


@router.get("/metrics", operation_id="count", responses=problems())
async def count(service: ServiceDep, caller: CallerDep) -> schemas.Counts:
    """Numbers of systems and jobs."""
    systems, jobs = await _counts(service, caller)
    return schemas.Counts(
        active_systems=systems,
        queued_jobs=jobs.get("queued", 0),
        rendering_jobs=jobs.get("rendering", 0),
        completed_jobs=jobs.get("completed", 0),
        failed_jobs=jobs.get("failed", 0),
    )


@router.head("/health", include_in_schema=False)  # monitors often use HEAD
@router.get(
    "/health",
    operation_id="health",
    responses={503: {"model": schemas.Health, "description": "The database does not answer: nothing works"}},
)
async def health(service: ServiceDep, response: Response) -> schemas.Health:
    """Whether the service works. Without Redis it does, but jobs start a little later."""
    registry = particle_types()
    redis = await service.notifier.can_wake()
    database, systems, jobs = True, 0, dict[str, int]()
    try:
        systems, jobs = await _counts(service, ANONYMOUS)
        if (found := await schema_revision(service.sessions)) != head_revision():
            _log.warning("%s", NewerSchemaError(found or "none"))
            database, response.status_code = False, 503
    except UNREACHABLE as error:
        _log.warning("the database does not answer: %s", error)
        database, response.status_code = False, 503
    required, missing = service.settings.sandbox_required(""), list(service.missing_restrictions)
    skew = service.sessions.clock.skew
    warning = skew_warning(skew)
    fine = redis and warning is None and not registry.failures and not (required and missing)
    return schemas.Health(
        status="unhealthy" if not database else "healthy" if fine else "degraded",
        active_systems=systems,
        active_jobs=sum(jobs.get(status, 0) for status in OPEN),
        available_types=list(registry.types),
        database=database,
        redis=redis,
        clock=schemas.Clock(skew=round(skew, 3), warning=warning),
        plugin_failures=list(registry.failures),
        sandbox=schemas.Sandbox(required=required, missing=missing),
    )


async def _counts(service: Service, caller: Caller) -> tuple[int, dict[str, int]]:
    """Number of systems, and of renders by status."""
    async with service.sessions() as session:
        owner = caller.only_owner
        mine = partial(totals, session) if owner is None else partial(tallies, session, owner=owner)
        systems = sum(each.number for each in await mine("systems"))
        jobs: dict[str, int] = {}
        for each in await mine("jobs"):
            if each.kind in ("video", "whole"):
                status = "completed" if each.state == "expired" else each.state
                jobs[status] = jobs.get(status, 0) + each.number
        return systems, jobs
