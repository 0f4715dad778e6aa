"""Somebody else's application, with Motes in it: its own routes, its own life, and everything under /particles.

    uvicorn examples.host_app:app      # the application, Motes' API included
    motes worker                       # what renders; as many as you like, on any machine

Both need to agree on MOTES_DATA (or on the URLs of a database, a storage and a Redis).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from services.api import particle_router


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """What the application opens for itself; the router opens and closes what Motes needs."""
    yield {"greeting": "Songs and what they look like"}


app = FastAPI(title="A record label", lifespan=lifespan)
app.include_router(particle_router)


@app.get("/")
async def home(request: Request) -> dict[str, str]:
    """A page of the application's own."""
    return {"title": request.state.greeting, "videos": "/particles"}
