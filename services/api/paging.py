"""Lists in pages, newest first, each with a link to the next.

A cursor names the last row of a page, so rows that are added meanwhile do not shift pages. A page ends early where it
would have too many bytes; it is read in batches, so that no more is read than is shown, or little more.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import HTTPException, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, and_, or_, select, union_all

from services.api.dependencies import Service

LIMIT = Query(50, ge=1, le=500, description="how many at most; fewer where the page would exceed 500 KB")
CURSOR = Query(None, max_length=200, description="where the page before ended, as its `Link` header says")
FIELDS = Query(
    None,
    max_length=500,
    description="names of what is shown of each item, separated by commas",
)
LINK: dict[str, Any] = {
    "Link": {"description": '`<…>; rel="next"`, if there is more', "schema": {"type": "string"}},
}
PAGE_BYTES = 500_000
_FIRST_BATCH = 5  # rows; the size of these tells how many more there is room for

Show = Callable[[Sequence[Any]], Awaitable[list[bytes]]]


def wanted_fields(text: str | None, model: type[BaseModel]) -> frozenset[str]:
    """The fields of a list's items that a client asks for.

    Raises:
        HTTPException: there is no such field; names those that there are.
    """
    if text is None:
        return frozenset(model.model_fields)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in model.model_fields:
            raise HTTPException(
                400, f"fields: unknown field {name[:100]!r}; there are: {', '.join(model.model_fields)}"
            )
    return frozenset(names)


async def paged_response(
    service: Service, request: Request, table: Any, *queries: Select[Any], show: Show, limit: int, cursor: str | None
) -> Response:
    """A page of rows of a table as JSON, each item made by ``show``; its ``Link`` header leads to the next page.

    The rows are those of all ``queries``, none of which returns one that another does: each can have an index of its
    own, where one query for all of them would read everything that is newer.
    """
    after = None if cursor is None else _read(cursor)
    items, size, more, batch = list[bytes](), 0, True, _FIRST_BATCH
    while more and len(items) < limit and batch:
        batch = min(batch, limit - len(items))
        rest = queries if after is None else [each.where(_after(table, *after)) for each in queries]
        found = await _batch(service, newest(table, rest, batch + 1))
        more = len(found) > batch
        shown = await show(found[:batch])
        for row, item in zip(found, shown, strict=False):
            if items and size + len(item) > PAGE_BYTES:
                more, batch = True, 0
                break
            items.append(item)
            size += len(item) + 1
            after = row.created_at, row.id
        batch = batch and int((PAGE_BYTES - size) / (size / len(items))) if items else 0
    headers = _link(after, request) if more and after is not None else {}
    return Response(b"[%s]" % b",".join(items), headers=headers, media_type="application/json")


def newest(table: Any, queries: Sequence[Select[Any]], limit: int) -> Select[Any]:
    """The newest rows of all queries, in one statement that reads no more than as many of each."""
    each_newest = [each.order_by(table.created_at.desc(), table.id.desc()).limit(limit) for each in queries]
    if len(each_newest) == 1:
        return each_newest[0]
    rows = union_all(*(select(each.subquery()) for each in each_newest)).subquery()
    return select(rows).order_by(rows.c.created_at.desc(), rows.c.id.desc()).limit(limit)


async def _batch(service: Service, rows: Select[Any]) -> Sequence[Any]:
    """Rows. An owner never has all connections, as these wait for a turn to be decoded, too."""

    async def read() -> Any:
        async with service.sessions() as session:
            result = await session.execute(rows)
            return await service.compute(result.all)  # this is most of the work for hundreds of rows

    return list(await service.read(read))


def _link(after: tuple[datetime, str], request: Request) -> dict[str, str]:
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    query.append(("cursor", _write(*after)))
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
