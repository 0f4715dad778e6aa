"""Errors as answers: ``{"detail": …}`` as application/problem+json, never a stack trace."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from ecs_core import AudioError, SceneError


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error as RFC 9457 has it."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, "application/problem+json")


def handle_errors(app: FastAPI) -> None:
    """Let the application answer every error in the same way."""

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(SceneError)
    @app.exception_handler(AudioError)
    async def _scene(request: Request, error: Exception) -> JSONResponse:
        return problem(400, str(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        said = [f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}" for each in error.errors()]
        return problem(422, "; ".join(said))
