"""The application; and the router that mounts it in somebody else's."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from services.api import audio, downloads, events, health, jobs, live, looks, renders, systems, types
from services.api.errors import handle_errors
from services.api.service import Service, open_service
from services.settings import ServiceSettings


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[dict[str, Service]]:
    async with open_service(ServiceSettings()) as service:
        yield {"motes": service}


particle_router = APIRouter(prefix="/particles", lifespan=_lifespan)
for part in (types, systems, audio, renders, jobs, events, downloads, looks, live, health):
    particle_router.include_router(part.router)


@asynccontextmanager
async def _unhindered(app: FastAPI) -> AsyncIterator[None]:
    """What is loaded stays loaded: looking through it for garbage would hold everybody up for a tenth of a second."""
    gc.collect()
    gc.freeze()
    yield


def create_app() -> FastAPI:
    """The application as ``motes api`` serves it."""
    app = FastAPI(title="Motes", summary="Audio-reactive particle videos", version="1", lifespan=_unhindered)
    handle_errors(app)
    app.include_router(particle_router)
    for slow in (app.openapi, types.all_types):  # once and for all, while nobody waits
        slow()
    return app
