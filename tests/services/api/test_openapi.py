"""The OpenAPI document says what the API does: every route, by a stable id, with its errors."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic import BaseModel

from services.api import create_app, schemas

OPERATIONS = {
    "list_types": "GET /types",
    "create_system": "POST /create",
    "list_systems": "GET /systems",
    "get_system": "GET /systems/{system_id}",
    "delete_system": "DELETE /systems/{system_id}",
    "update_config": "PUT /systems/{system_id}/config",
    "change_type": "PUT /systems/{system_id}/type/{particle_type}",
    "load_audio": "POST /systems/{system_id}/load-audio",
    "frame_of_system": "GET /systems/{system_id}/frame",
    "preview_of_system": "GET /systems/{system_id}/preview",
    "render_system": "POST /systems/{system_id}/render",
    "upload_audio": "POST /audio",
    "delete_audio": "DELETE /audio/{audio_id}",
    "analysis_of_audio": "GET /audio/{audio_id}/analysis",
    "correct_analysis": "PUT /audio/{audio_id}/analysis",
    "forget_correction": "DELETE /audio/{audio_id}/analysis",
    "list_jobs": "GET /jobs",
    "get_job": "GET /jobs/{job_id}",
    "delete_job": "DELETE /jobs/{job_id}",
    "cancel_job": "POST /jobs/{job_id}/cancel",
    "follow_job": "GET /jobs/{job_id}/events",
    "list_deliveries": "GET /jobs/{job_id}/deliveries",
    "download": "GET /download/{job_id}",
    "count": "GET /metrics",
    "health": "GET /health",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app().openapi()


def operations(document: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        operation["operationId"]: (f"{method.upper()} {path.removeprefix('/particles')}", operation)
        for path, methods in document["paths"].items()
        if path.startswith("/particles/")
        for method, operation in methods.items()
    }


def test_every_route_has_its_id(document: dict[str, Any]) -> None:
    assert {name: route for name, (route, _) in operations(document).items()} == OPERATIONS


def test_every_route_says_what_it_does_and_gives(document: dict[str, Any]) -> None:
    for route, operation in operations(document).values():
        assert operation["description"], route
        success = next(operation["responses"][code] for code in ("200", "201", "202") if code in operation["responses"])
        assert all(content["schema"] for content in success["content"].values()), route


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for name, (route, operation) in operations(document).items():
        errors = {code: each for code, each in operation["responses"].items() if code >= "400"}
        if name == "health":
            continue  # says how it is, well or not
        assert "default" in errors, route
        for code, each in errors.items():
            (kind,) = each["content"]
            assert kind == "application/problem+json", (route, code)
        assert ("404" in errors) == ("{" in route), route
        takes_body = "requestBody" in operation
        assert not takes_body or name == "upload_audio" or "400" in errors, route
        assert ("422" in errors) == ("413" in errors) == ("415" in errors) == takes_body, route


@pytest.mark.parametrize(
    "model",
    [
        each
        for _, each in inspect.getmembers(schemas, inspect.isclass)
        if issubclass(each, BaseModel) and each is not BaseModel
    ],
    ids=lambda model: model.__name__,
)
def test_examples_are_what_they_are_examples_of(model: type[BaseModel]) -> None:
    shown = model.model_json_schema()
    for example in shown.get("examples", []):
        model.model_validate(example)
        assert set(example) <= set(shown["properties"])
