"""The REST API. ``from services.api import particle_router`` mounts it in any FastAPI application."""

from services.api.app import create_app, particle_router

__all__ = ["create_app", "particle_router"]
