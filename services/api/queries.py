"""Unknown query parameters are refused, like unknown fields of a body.

Otherwise ``?at=12.5`` instead of ``?t=12.5`` would return the first frame, and ``?stauts=failed`` list everything.
"""

from __future__ import annotations

from fastapi import HTTPException, Request

from services.api.middleware.request_context import route_of


def reject_unknown_parameters(request: Request, *others: str) -> None:
    """Refuse query parameters that are neither documented for the route nor in ``others``.

    Raises:
        HTTPException: 400, which lists the valid ones.
    """
    if not request.query_params:
        return
    path = route_of(request.scope)
    method = "get" if request.method == "HEAD" else request.method.lower()
    documented = request.app.openapi()["paths"].get(path, {}).get(method)
    if documented is None:  # an application may hide the route
        return
    names = [each["name"] for each in documented.get("parameters", ()) if each["in"] == "query"]
    for name in request.query_params:
        if name not in (*names, *others):
            there = "there are: " + ", ".join(names) if names else "there are none here"
            raise HTTPException(400, f"unknown query parameter {name[:100]!r}; {there}")
