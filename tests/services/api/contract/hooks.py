"""What Schemathesis needs to know: ids that exist, also somebody else's, and that nothing of theirs may be answered."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

_MINE = {"system_id": os.environ["MY_SYSTEM"], "job_id": os.environ["MY_JOB"]}
_THEIRS = {"system_id": os.environ["THEIR_SYSTEM"], "job_id": os.environ["THEIR_JOB"]}
MARKER = os.environ["MARKER"]  # stands in all that the other owner has


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
        assert response.status_code in (400, 404, 405, 406, 413, 415, 422), "what is somebody else's was found"
