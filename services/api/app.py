"""The application; and the router that mounts it in somebody else's."""

from __future__ import annotations

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


def create_app() -> FastAPI:
    """The application as ``motes api`` serves it."""
    app = FastAPI(title="Motes", summary="Audio-reactive particle videos", version="1")
    handle_errors(app)
    app.include_router(particle_router)
    app.openapi()  # takes a while, which nobody shall wait for while others are served
    return app
