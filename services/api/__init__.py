"""The REST API. ``from services.api import particle_router`` mounts it in any FastAPI application.

Optional: ``metrics_router`` (GET /metrics), the middleware ``Requests`` (request ids, metrics, logs), and
``share_errors``, which makes the OpenAPI document small and friendly to client generators.
"""

from services.api.app import create_app, particle_router
from services.api.middleware.request_context import Requests
from services.api.openapi_errors import share_errors
from services.api.routes.metrics import metrics_router

__all__ = ["Requests", "create_app", "metrics_router", "particle_router", "share_errors"]
