"""Shared components for errors in the OpenAPI document: one schema, and one response per status.

Generated clients then have one class for all errors, and the document is a third of the size.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from services.api.errors import PROBLEM, PROBLEM_SCHEMA

_SCHEMAS, _RESPONSES = "#/components/schemas/", "#/components/responses/"


def share_errors(app: FastAPI) -> None:
    """Replace repeated errors in the application's OpenAPI document by references.

    Applications that include ``particle_router`` may call this, too; their own routes are not changed.
    """
    write = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _shared(write())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # which is how FastAPI wants it to be extended


def _shared(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas, responses = components.setdefault("schemas", {}), components.setdefault("responses", {})
    name = "Problem" if schemas.get("Problem", PROBLEM_SCHEMA) == PROBLEM_SCHEMA else "MotesProblem"
    schemas[name] = PROBLEM_SCHEMA
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get(PROBLEM)
                if content and content["schema"] == PROBLEM_SCHEMA:
                    shared = "Problem" if status == "default" else f"Problem{status}"
                    content["schema"] = {"$ref": _SCHEMAS + name}
                    responses[shared] = response
                    operation["responses"][status] = {"$ref": _RESPONSES + shared}
    return document
