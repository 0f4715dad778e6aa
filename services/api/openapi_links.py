"""Links of the OpenAPI document: which operations take an id from a response, for tools that follow links."""

from __future__ import annotations

from typing import Any

_OF_A_SYSTEM = (
    *("get_system", "update_config", "change_type", "load_audio", "frame_of_system", "preview_of_system"),
    *("estimate_render", "render_system", "delete_system"),
)
_OF_A_JOB = ("get_job", "follow_job", "cancel_job", "download", "get_poster", "list_deliveries", "delete_job")


def _links(name: str, operations: tuple[str, ...]) -> dict[str, Any]:
    """Links from the id of this name to the operations that take it."""
    return {each: {"operationId": each, "parameters": {name: f"$response.body#/{name}"}} for each in operations}


SYSTEM, JOB = _links("system_id", _OF_A_SYSTEM), _links("job_id", _OF_A_JOB)
BATCH = _links("batch_id", ("get_batch", "cancel_batch"))
