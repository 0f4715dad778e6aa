"""Somebody else's application, which has a lifespan of its own and mounts ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from services.api import Requests, create_app, metrics_router, particle_router
from services.api.routes import previews


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"greeting": "hello"}


def create_host() -> FastAPI:
    app = FastAPI(title="Host", lifespan=lifespan)
    app.include_router(particle_router, prefix="/v1")
    app.include_router(metrics_router, prefix="/ours")
    app.add_middleware(Requests)

    @app.get("/greeting")
    async def greeting(request: Request) -> str:
        return str(request.state.greeting)

    return app


def create_impatient() -> FastAPI:
    """Ours, where nobody waits longer than a second for a frame."""
    previews._TIMEOUT = 1.0
    return create_app()
