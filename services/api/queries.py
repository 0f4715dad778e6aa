"""Query parameters: one that a request does not have is refused, as an unknown field of a body is.

Otherwise ``?at=12.5`` in place of ``?t=12.5`` would show the first frame, and ``?stauts=failed`` list everything.
"""

from __future__ import annotations

from fastapi import HTTPException, Request

from services.api.middleware.request_context import route_of


def reject_unknown_parameters(request: Request, *others: str) -> None:
    """Refuse what neither the documentation of the request has nor the ``others``.

    Raises:
        HTTPException: 400, which names it and all that there are.
    """
    if not request.query_params:
        return
    path = route_of(request.scope).removeprefix(request.scope.get("root_path", ""))
    method = "get" if request.method == "HEAD" else request.method.lower()
    documented = request.app.openapi()["paths"].get(path, {}).get(method)
    if documented is None:  # whoever mounts the API may hide it
        return
    names = [each["name"] for each in documented.get("parameters", ()) if each["in"] == "query"]
    for name in request.query_params:
        if name not in (*names, *others):
            there = "there are: " + ", ".join(names) if names else "there are none here"
            raise HTTPException(400, f"unknown query parameter {name[:100]!r}; {there}")
