"""Errors as responses: ``{"detail": …}`` as application/problem+json, never a stack trace."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from obstore.exceptions import GenericError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from ecs_core import MotesError
from ecs_core.validation_messages import field_message
from services.api.middleware.forwarded_headers import path_in_app
from services.auth.limits import LimitError, QuotaError
from services.media.sandbox.decoding import MissingSandboxError
from services.media.songs import SongNotFoundError
from services.observability import metrics
from services.storage.disk_admission import InsufficientStorageError

_log = logging.getLogger("motes.api")
_MAX_DETAIL = 2000  # characters of a detail: a client may send a thousand invalid settings
_MAX_ERRORS = 20  # invalid values listed
# from the draft on RateLimit headers
_QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
UNREACHABLE = (OperationalError, InterfaceError, NoFreeConnection, ConnectionError)
KNOWN = (HTTPException, MotesError, RequestValidationError, GenericError, *UNREACHABLE)

PROBLEM = "application/problem+json"
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "An error (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "the kind of problem (RFC 9457)"},
        "title": {"type": "string", "description": "the name of the status"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong, and what is allowed"},
        "limit": {"type": "string", "description": "the limit that was exceeded, if any"},
        "value": {"type": "number", "description": "the value of that limit"},
    },
}
_EXAMPLES = {
    400: "Invalid particle type: rain. Available types: ['bouncing', 'snow', 'zen']",
    401: "A valid API key is needed, as Authorization: Bearer motes_… or as X-API-Key",
    403: "The API key lacks the scope 'render'; it has read",
    404: "System not found",
    409: "Job is completed already",
    410: "The video expired at 2026-01-31 12:00 UTC; render it again",
    412: "Tus-Resumable: must be 1.0.0",
    413: "The body is larger than 1000000 bytes",
    415: "Content-Type: must be application/json",
    416: "Range: the file has 1024 bytes",
    422: "The body is not JSON: Expecting value: line 1 column 1 (char 0)",
    429: "Too many requests a minute: at most 600 here (limit requests_per_minute)",
    503: "The database does not answer; try again",
    507: "no room: this needs about 120.0 MB, 1.0 GB are free, but 1.0 GB of that are reserved",
}


def _title(status: int) -> str:
    return HTTPStatus(status).phrase if status in tuple(HTTPStatus) else "Checksum Mismatch"  # 460, of tus


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """An error response (RFC 9457); ``more`` holds further members."""
    detail = detail if len(detail) <= _MAX_DETAIL else detail[:_MAX_DETAIL] + " …"
    detail = detail.encode(errors="backslashreplace").decode()  # names may contain lone surrogates
    body = {"type": "about:blank", "title": _title(status), "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers, PROBLEM)


def limit_problem(error: LimitError) -> JSONResponse:
    """The response to an exceeded limit: 413 for uploads, 429 if a retry may succeed, otherwise 400."""
    about: dict[str, Any] = {"limit": error.limit, "value": error.value}
    if error.limit == "upload_limit":  # the rest of the body is not read
        return problem(413, str(error), {"Connection": "close"}, **about)
    if not isinstance(error, QuotaError):
        return problem(400, str(error), **about)
    metrics.count_limited(error.limit)
    about |= {"type": _QUOTA_EXCEEDED, "violated-policies": [error.limit]}
    return problem(429, str(error), {"Retry-After": str(max(1, math.ceil(error.seconds)))}, **about)


def problem_of(error: Exception) -> JSONResponse:
    """The response to one of the ``KNOWN`` errors."""
    if isinstance(error, HTTPException):
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))
    if isinstance(error, InsufficientStorageError):
        return problem(507, str(error))
    if isinstance(error, MissingSandboxError):
        return problem(503, str(error))
    if isinstance(error, LimitError):
        return limit_problem(error)
    if isinstance(error, MotesError):
        return problem(404 if isinstance(error, SongNotFoundError) else 400, str(error))
    if isinstance(error, RequestValidationError):
        return problem(400, "; ".join(_explain(each) for each in error.errors()[:_MAX_ERRORS]))
    if isinstance(error, GenericError):  # whatever an object store says but that a file is not there
        _log.warning("the storage does not answer: %s", error)
        return problem(503, "The storage does not answer; try again", {"Retry-After": "1"})
    _log.warning("the database does not answer: %s", error)
    return problem(503, "The database does not answer; try again", {"Retry-After": "1"})


def _explain(wrong: Any) -> str:
    """Explain an invalid value: its name, the value, and what is allowed."""
    name = ".".join(str(part) for part in wrong["loc"][1:])
    if wrong["type"] == "missing" and wrong["loc"][0] == "query":
        return f"{name} is missing in the query: ?{name}=…"  # a common mistake is to send it in the body
    return field_message(name or ("" if wrong["type"] == "value_error" else "The body"), wrong)


def problems(*statuses: int, key: bool = True) -> dict[int | str, dict[str, Any]]:
    """The errors of a route for its OpenAPI; ``key`` says whether it requires authentication."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {
                PROBLEM: {
                    "schema": PROBLEM_SCHEMA,
                    "example": {
                        "type": "about:blank",
                        "title": HTTPStatus(status).phrase,
                        "status": status,
                        "detail": _EXAMPLES[status],
                    },
                }
            },
        }
        for status in sorted({*statuses, 503, *((401, 403, 429) if key else ())})
    } | {
        "default": {
            "description": "Any other error",
            "content": {PROBLEM: {"schema": PROBLEM_SCHEMA}},
        }
    }


def handle_errors(app: FastAPI) -> None:
    """Answer errors outside of all routes in the same way."""

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # the router names only the first route's methods
            first = (error.headers or {}).get("Allow", "")  # undocumented routes have no other source
            methods = {each.strip() for each in first.split(",") if first} | _methods(app, path_in_app(request.scope))
            error.headers = {"Allow": ", ".join(sorted(methods))}
            error.detail = f"{request.method}: must be {' or '.join(sorted(methods))}"
        return problem_of(error)


def _methods(app: FastAPI, path: str) -> set[str]:
    """All methods of the routes at a path."""
    documented = app.openapi()["paths"].items()
    return {each.upper() for at, methods in documented if compile_path(at)[0].match(path) for each in methods}
