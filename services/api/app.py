"""The application, and the router that other applications mount."""

from __future__ import annotations

import gc
import logging
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from services.api.authentication import mask_keys_in_logs
from services.api.dependencies import Service, open_service
from services.api.errors import handle_errors
from services.api.middleware.forwarded_headers import ForwardedHeaders
from services.api.middleware.hardening import harden
from services.api.middleware.request_context import Requests
from services.api.openapi_errors import share_errors
from services.api.routes import (
    analysis,
    assets,
    audio,
    batches,
    downloads,
    estimates,
    events,
    health,
    jobs,
    live,
    particle_types,
    previews,
    renders,
    resumable_uploads,
    systems,
    templates,
    webhooks,
)
from services.api.routes.metrics import metrics_router
from services.api.stats_collector import StatsCollector
from services.observability import traces
from services.settings import ServiceSettings, is_loopback

_log = logging.getLogger("motes.api")


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[dict[str, Service | StatsCollector]]:
    mask_keys_in_logs()
    traces.set_up()
    async with open_service(ServiceSettings()) as service, StatsCollector(service) as numbers:
        await _warn_of_access(service)
        yield {"motes": service, "motes_stats": numbers}


async def _warn_of_access(service: Service) -> None:
    """Warn if everybody gets in, or nobody."""
    settings = service.settings
    if settings.auth == "off" and not is_loopback(settings.host):
        _log.warning("MOTES_AUTH=off: anybody who reaches %s port %s may do anything", settings.host, settings.port)
    if settings.keys_required and not await service.keys.any_valid():
        where = "" if settings.database_url else f" --data {shlex.quote(str(settings.data))}"
        _log.warning("no API keys yet, so nobody gets in: motes keys create --owner NAME%s", where)


particle_router = APIRouter(prefix="/particles", lifespan=_lifespan)
_SCENES, _JOBS = (
    (particle_types, templates, systems, audio, assets, resumable_uploads, analysis),
    (renders, estimates, batches, jobs, events, downloads, webhooks),
)
_PARTS = (*_SCENES, *_JOBS, previews, live, health)
for part in _PARTS:
    particle_router.include_router(part.router)


@asynccontextmanager
async def _freeze_gc(app: FastAPI) -> AsyncIterator[None]:
    """Freeze loaded objects: scanning them for garbage would block every request for a tenth of a second."""
    gc.collect()
    gc.freeze()
    yield


_TAGS = {
    "types": "Particle types, kinds of layers, and their settings",
    "templates": "Whole looks with slots for a cover, a title …",
    "systems": "Particle systems: their settings, frames and previews",
    "audio": "Songs and their analysis",
    "uploads": "Large songs and assets in parts, which can be resumed (tus 1.0)",
    "assets": "Pictures, videos, fonts and lyrics that systems refer to",
    "jobs": "Renders, from submission to download",
    "webhooks": "The secret that signs messages to a `webhook_url`",
    "health": "The state of the service",
}


def create_app() -> FastAPI:
    """The application that ``motes api`` serves."""
    tags = [{"name": name, "description": description} for name, description in _TAGS.items()]
    app = FastAPI(
        title="Motes", summary="Audio-reactive particle videos", version="1", openapi_tags=tags, lifespan=_freeze_gc
    )
    handle_errors(app)
    share_errors(app)
    app.include_router(particle_router)
    app.include_router(metrics_router)
    app.add_middleware(Requests)
    settings = ServiceSettings()
    harden(app, settings)
    app.add_middleware(ForwardedHeaders, settings=settings)  # outermost: the others see the client, not the proxy
    for slow in (
        app.openapi,
        particle_types.all_types,
        particle_types.all_layers,
    ):  # computed once, before the first request
        slow()
    return app
