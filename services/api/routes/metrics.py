"""GET /metrics: this process's counters and gauges from the database, in Prometheus' format."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ecs_core.plugin_api import particle_types
from services.api.authentication import identify, keys_needed, require_scope
from services.api.dependencies import Service, ServiceDep
from services.api.route import Route
from services.api.stats_collector import StatsCollector
from services.observability import metrics
from services.settings import is_loopback

metrics_router = APIRouter(route_class=Route)


@metrics_router.get("/metrics", include_in_schema=False)
async def scrape(request: Request, service: ServiceDep) -> Response:
    """All metrics of this process; without the database, those that come from it are absent."""
    await _admit(service, request)
    numbers: StatsCollector = request.state.motes_stats
    metrics.PLUGIN_FAILURES.set(len(particle_types().failures))
    looked = CollectorRegistry()
    looked.register(await numbers.latest())
    return Response(generate_latest(metrics.API) + generate_latest(looked), media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _admit(service: Service, request: Request) -> None:
    """Admit an admin and this machine, where API keys are required.

    Raises:
        HTTPException: 401 or 403.
    """
    if service.settings.metrics_open or not keys_needed(service.settings, request) or _is_from_here(request):
        return
    require_scope(await identify(service, request), "admin")


def _is_from_here(request: Request) -> bool:
    """Whether the request was sent from this machine itself, rather than through a proxy on it."""
    forwarded = {"forwarded", "x-forwarded-for", "x-forwarded-prefix", "x-real-ip"} & set(request.headers)
    return not forwarded and request.client is not None and is_loopback(request.client.host)
