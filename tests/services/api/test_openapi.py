"""The OpenAPI document describes every route by a stable id, with its errors, in a form that generators can use."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate
from pydantic import BaseModel

from services.api import create_app, particle_router, schemas, share_errors

OPERATIONS = {
    "list_types": "GET /types",
    "list_layers": "GET /layers",
    "list_templates": "GET /templates",
    "get_template": "GET /templates/{template}",
    "get_template_picture": "GET /templates/{template}/picture",
    "create_system": "POST /create",
    "list_systems": "GET /systems",
    "get_system": "GET /systems/{system_id}",
    "delete_system": "DELETE /systems/{system_id}",
    "update_config": "PUT /systems/{system_id}/config",
    "change_type": "PUT /systems/{system_id}/type/{particle_type}",
    "load_audio": "POST /systems/{system_id}/load-audio",
    "frame_of_system": "GET /systems/{system_id}/frame",
    "preview_of_system": "GET /systems/{system_id}/preview",
    "estimate_render": "POST /systems/{system_id}/estimate",
    "render_system": "POST /systems/{system_id}/render",
    "upload_audio": "POST /audio",
    "delete_audio": "DELETE /audio/{audio_id}",
    "analysis_of_audio": "GET /audio/{audio_id}/analysis",
    "correct_analysis": "PUT /audio/{audio_id}/analysis",
    "forget_correction": "DELETE /audio/{audio_id}/analysis",
    "upload_asset": "POST /assets",
    "list_assets": "GET /assets",
    "get_asset": "GET /assets/{asset_id}",
    "get_asset_file": "GET /assets/{asset_id}/file",
    "delete_asset": "DELETE /assets/{asset_id}",
    "create_upload": "POST /uploads",
    "get_upload": "GET /uploads/{upload_id}",
    "append_to_upload": "PATCH /uploads/{upload_id}",
    "delete_upload": "DELETE /uploads/{upload_id}",
    "create_batch": "POST /batches",
    "get_batch": "GET /batches/{batch_id}",
    "cancel_batch": "DELETE /batches/{batch_id}",
    "list_jobs": "GET /jobs",
    "get_job": "GET /jobs/{job_id}",
    "delete_job": "DELETE /jobs/{job_id}",
    "cancel_job": "POST /jobs/{job_id}/cancel",
    "follow_job": "GET /jobs/{job_id}/events",
    "list_deliveries": "GET /jobs/{job_id}/deliveries",
    "get_webhook_secret": "GET /webhook-secret",
    "rotate_webhook_secret": "POST /webhook-secret/rotate",
    "download": "GET /download/{job_id}",
    "get_output": "GET /jobs/{job_id}/outputs/{name}",
    "get_poster": "GET /jobs/{job_id}/poster",
    "count": "GET /metrics",
    "health": "GET /health",
}


SUCCESS = ("200", "201", "202", "204")


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


def test_every_route_has_a_summary_and_a_response(document: dict[str, Any]) -> None:
    for route, operation in operations(document).values():
        assert operation["description"], route
        success = next(operation["responses"][code] for code in SUCCESS if code in operation["responses"])
        assert all(content["schema"] for content in success.get("content", {}).values()), route


def test_every_tag_is_described(document: dict[str, Any]) -> None:
    used = {tag for _, operation in operations(document).values() for tag in operation["tags"]}
    assert {tag["name"] for tag in document["tags"]} == used


def test_every_error_uses_the_problem_component(document: dict[str, Any]) -> None:
    for name, (route, operation) in operations(document).items():
        errors = {code: each for code, each in operation["responses"].items() if code >= "400"}
        if name == "health":
            continue  # describes itself in the same form, healthy or not
        assert "default" in errors, route
        for code, each in errors.items():
            shared = "Problem" if code == "default" else f"Problem{code}"
            assert each == {"$ref": f"#/components/responses/{shared}"}, (route, code)
        assert ("404" in errors) == ("{" in route), route
        takes_body = "requestBody" in operation
        assert not takes_body or name in ("upload_audio", "upload_asset") or "400" in errors, route
        assert ("422" in errors) == ("415" in errors) == takes_body, route
        assert ("413" in errors) == (takes_body or name == "create_upload"), route  # which says how many bytes come
    for response in document["components"]["responses"].values():
        (content,) = response["content"].items()
        assert content[0] == "application/problem+json"
        assert content[1]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_document_is_valid_and_small(document: dict[str, Any]) -> None:
    validate(document)
    assert len(json.dumps(document)) < 110_000


def test_client_is_generated_without_a_warning(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")  # which only format the code
    arguments = ("--path", "openapi.json", "--config", "config.yaml", "--meta", "none", "--output-path", "client")
    done = subprocess.run(
        (sys.executable, "-m", "openapi_python_client", "generate", *arguments, "--fail-on-warning"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert {path.stem for path in (tmp_path / "client" / "api").glob("*/*.py")} - {"__init__"} == OPERATIONS.keys()
    problems = [path.name for path in (tmp_path / "client" / "models").glob("*problem*")]
    assert problems == ["problem.py"]


class Problem(BaseModel):
    """What somebody else's application calls a problem."""

    puzzle: str


def test_host_application_can_share_errors_beside_its_own() -> None:
    host, plain = FastAPI(), FastAPI()
    for app in (host, plain):
        app.include_router(particle_router)
        app.add_api_route("/puzzle", lambda: None, response_model=Problem)
        app.add_api_route("/no", lambda: None, responses={404: {"description": "Nothing there"}})
    share_errors(host)
    document = host.openapi()
    validate(document)
    assert document["components"]["schemas"]["Problem"]["required"] == ["puzzle"]
    assert document["components"]["schemas"]["MotesProblem"]["required"] == ["type", "title", "status", "detail"]
    assert document["paths"]["/no"] == plain.openapi()["paths"]["/no"]
    in_both = {name: each for name, each in document["components"]["schemas"].items() if name != "MotesProblem"}
    assert in_both == plain.openapi()["components"]["schemas"]


@pytest.mark.parametrize(
    "model",
    [
        each
        for _, each in inspect.getmembers(schemas, inspect.isclass)
        if issubclass(each, BaseModel) and each is not BaseModel
    ],
    ids=lambda model: model.__name__,
)
def test_examples_fit_their_schemas(model: type[BaseModel]) -> None:
    shown = model.model_json_schema()
    for example in shown.get("examples", []):
        model.model_validate(example)
        assert set(example) <= set(shown["properties"])
