"""Motes inside another FastAPI application, which has its own routes and lifespan; Motes is at /particles.

    uvicorn examples.host_app:app      # the application with the API of Motes
    motes worker                       # renders; run as many as you like, on any machine

Both need the same MOTES_DATA, or the same URLs of database, storage and Redis.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from services.api import particle_router, share_errors


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """The application's own resources; the router opens and closes those of Motes."""
    yield {"greeting": "Songs and what they look like"}


app = FastAPI(title="A record label", lifespan=lifespan)
app.include_router(particle_router)
share_errors(app)  # optional: keeps the OpenAPI document small and free of duplicates, for generators


@app.get("/")
async def home(request: Request) -> dict[str, str]:
    """A route of the application itself."""
    return {"title": request.state.greeting, "videos": "/particles"}
