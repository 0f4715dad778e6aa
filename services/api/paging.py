"""Lists in pages, newest first, each with a link to the next.

A cursor names the last row of a page, so rows that are added meanwhile do not shift pages.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import HTTPException, Query, Request, Response
from sqlalchemy import ColumnElement, Select, and_, or_

from services.api.dependencies import Service

LIMIT = Query(50, ge=1, le=500, description="how many at most")
CURSOR = Query(None, max_length=200, description="where the page before ended, as its `Link` header says")
LINK: dict[str, Any] = {
    "Link": {"description": '`<…>; rel="next"`, if there is more', "schema": {"type": "string"}},
}


def page_query(rows: Select[Any], table: Any, *, limit: int, cursor: str | None) -> Select[Any]:
    """The rows of a page, plus one if there is a next page."""
    if cursor is not None:
        rows = rows.where(_after(table, *_read(cursor)))
    return rows.order_by(table.created_at.desc(), table.id.desc()).limit(limit + 1)


async def paged_response(
    service: Service, request: Request, rows: Select[Any], show: Callable[[Sequence[Any]], bytes], *, limit: int
) -> Response:
    """A page as JSON, serialised by ``show``; its ``Link`` header leads to the next page."""
    async with service.sessions() as session:
        result = await session.execute(rows)
        found = await service.compute(result.all)  # this is most of the work for hundreds of rows
    content = await service.compute(lambda: show(found[:limit]))
    return Response(content, headers=_link(found, request, limit=limit), media_type="application/json")


def _link(rows: Sequence[Any], request: Request, *, limit: int) -> dict[str, str]:
    if len(rows) <= limit:
        return {}
    rows = rows[:limit]
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    query.append(("cursor", _write(rows[-1].created_at, rows[-1].id)))
    return {"Link": f'<{request.url.path}?{urlencode(query)}>; rel="next"'}


def _after(table: Any, created_at: datetime, row_id: str) -> ColumnElement[bool]:
    # The range on created_at comes first, so that both databases use their index.
    return and_(table.created_at <= created_at, or_(table.created_at < created_at, table.id < row_id))


def _write(created_at: datetime, row_id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_at.astimezone(UTC).isoformat()} {row_id}".encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        moment, row_id = text.split(" ")
        created_at = datetime.fromisoformat(moment)
        if _write(created_at, row_id) != cursor or not row_id.isprintable():
            raise ValueError(text)
    except (ValueError, OverflowError):  # OverflowError for dates out of range
        raise HTTPException(400, "cursor: is not from a `Link` header") from None
    return created_at, row_id
