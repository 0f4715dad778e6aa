"""What Schemathesis needs to know: ids that exist, also somebody else's, and that nothing of theirs may be answered."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

_IDS = ("system", "job", "asset", "batch", "upload")
_MINE = {f"{name}_id": os.environ[f"MY_{name.upper()}"] for name in _IDS}
_THEIRS = {f"{name}_id": os.environ[f"THEIR_{name.upper()}"] for name in _IDS}
MARKER = os.environ["MARKER"]  # stands in all that the other owner has


_EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"const": "job"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """OpenAPI 3.1 has no schema for each event of a stream, but Schemathesis takes the schema for one.

    Nor has it one for items of a list with ``fields``, which lack the others: that parameter is left out.
    """
    follow = raw_schema["paths"]["/particles/jobs/{job_id}/events"]["get"]
    follow["responses"]["200"]["content"]["text/event-stream"]["schema"] = _EVENT
    for path in ("systems", "jobs", "assets"):
        listed = raw_schema["paths"][f"/particles/{path}"]["get"]
        listed["parameters"] = [each for each in listed["parameters"] if each["name"] != "fields"]


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of what is made up, a third becomes an id of one's own and a third one of somebody else's."""
    for name, value in (path_parameters or {}).items():
        if name in _MINE and path_parameters is not None:
            choice = sum(str(value).encode(errors="replace")) % 3
            path_parameters[name] = (value, _MINE[name], _THEIRS[name])[choice]
    return path_parameters


@schemathesis.check
def nothing_of_others(context: Any, response: Any, case: Any) -> None:
    """No answer holds anything that somebody else made."""
    assert MARKER.encode() not in response.content, "an answer across owners"
    if not os.environ.get("EVERYBODY") and set(_THEIRS.values()) & set(case.path_parameters.values()):
        assert response.status_code in (400, 404, 405, 406, 412, 413, 415, 422), "what is somebody else's was found"
