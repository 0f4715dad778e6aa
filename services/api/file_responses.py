"""Responses that send a stored file: whole, in part, or 304 if the client has it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import anyio
from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from services.jobs.artefacts import Artefact
from services.storage.object_store import LostFileError, Storage
from services.storage.reading import StoredReader

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*")
_BYTES = "application/octet-stream"
VALIDATORS = {
    "ETag": {"description": "the same for the same frames", "schema": {"type": "string"}},
    "Cache-Control": {"schema": {"type": "string"}},
}

ELSEWHERE: dict[int | str, dict[str, Any]] = {
    307: {
        "description": "Elsewhere, for some minutes",
        "headers": {"Location": {"schema": {"type": "string"}}},
    }
}


def file_content(*media_types: str) -> dict[str, Any]:
    """The ``content`` of a file response in the OpenAPI document.

    Some client generators know no binary type but ``application/octet-stream``, so that can be requested as well.
    """
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"content": dict.fromkeys((*media_types, _BYTES), binary)}


def etag_of(made: Artefact) -> str:
    """The file's strong validator. Encoding again may give other bytes, so it is derived from the storage key."""
    return f'"{hashlib.sha256(made.object.encode()).hexdigest()}"'


async def stored_file(
    request: Request,
    storage: Storage,
    made: Artefact,
    *,
    cache: str,
    media_type: str,
    modified: datetime | None = None,
    name: str | None = None,
    redirect: bool = False,
    lost: Callable[[], Awaitable[object]] | None = None,
) -> Response:
    """A stored file, or 304 if the client has it; with ``name`` as a download of that name.

    With ``redirect`` the client is sent to the object store, if there is one. If the file turns out not to be what was
    stored once it was read whole, the connection ends before its last bytes are sent, and ``lost`` is called.

    Raises:
        LostFileError: the file is gone, or not of its size.
        HTTPException: the requested range is not satisfiable.
    """
    etag = etag_of(made)
    if _not_modified(request, etag):
        return Response(status_code=304, headers={"ETag": etag, "Cache-Control": cache})
    headers = {"ETag": etag, "Cache-Control": cache, "Accept-Ranges": "bytes"}
    if media_type != "application/json":
        headers["Vary"] = "Accept"
        media_type = _BYTES if request.headers.get("accept") == _BYTES else media_type
    if modified is not None:
        headers["Last-Modified"] = format_datetime(modified.astimezone(UTC), usegmt=True)
    if name is not None:
        headers["Content-Disposition"] = disposition(name)
    if request.method == "HEAD":
        await _check_size(storage, made)
        return Response(headers={**headers, "Content-Length": str(made.size)}, media_type=media_type)
    if redirect and (url := await _url(storage, made, headers, media_type)) is not None:
        return RedirectResponse(url, headers={"Cache-Control": "no-store"})
    wanted = request.headers.get("range", "")
    if request.headers.get("if-range", etag) not in (etag, headers.get("Last-Modified")):
        wanted = ""
    found = parse_range(wanted, made.size)
    start, stop = found or (0, made.size)
    if found is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{made.size}"
    headers["Content-Length"] = str(stop - start)
    reader = await run_in_threadpool(storage.open, made.object, size=made.size)
    try:
        first = await reader.read(start, min(stop, start + reader.part))  # before anything is answered
    except BaseException:
        await reader.close()
        raise
    content = _parts(reader, first, start, stop)
    if found is None and made.digest is not None:
        content = _checked(content, made, lost)
    status = 200 if found is None else 206
    return _File(reader, content, status_code=status, headers=headers, media_type=media_type)


async def _check_size(storage: Storage, made: Artefact) -> None:
    if await run_in_threadpool(storage.size, made.object) != made.size:
        raise LostFileError(made.object)


async def _url(storage: Storage, made: Artefact, headers: Mapping[str, str], media_type: str) -> str | None:
    """Where the object store answers with the file, with the same headers."""
    shown = {name: value for name, value in headers.items() if name in ("Content-Disposition", "Cache-Control")}
    url = await run_in_threadpool(storage.url, made.object, headers={**shown, "Content-Type": media_type})
    if url is not None:
        await _check_size(storage, made)  # a client could not tell why the store has it not
    return url


def _not_modified(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or etag in (each.strip().removeprefix("W/") for each in known.split(","))


def parse_range(wanted: str, size: int) -> tuple[int, int] | None:
    """First byte and end of the requested ``Range``; None for the whole file.

    Invalid and multiple ranges are ignored (RFC 9110).

    Raises:
        HTTPException: the range starts beyond the end of the file.
    """
    found = _RANGE.fullmatch(wanted)
    if found is None or found[0] == "" or (found[1] == found[2] == ""):
        return None
    if found[1] == "":  # a suffix: the last bytes
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), size if found[2] == "" else min(size, int(found[2]) + 1)
        if found[2] != "" and int(found[2]) < start:
            return None
    if start >= size:
        raise HTTPException(416, f"Range: the file has {size} bytes", {"Content-Range": f"bytes */{size}"})
    return start, stop


def disposition(name: str) -> str:
    """The Content-Disposition header for a download, for names in any alphabet (RFC 6266)."""
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%' else "_" for letter in name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


class _File(StreamingResponse):
    """What is read of a file. No more is read than the client takes; whatever happens, the file is closed."""

    def __init__(self, reader: StoredReader, content: AsyncIterator[bytes], **rest: Any) -> None:
        super().__init__(content, **rest)
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._reader.close()


async def _parts(reader: StoredReader, first: bytes, start: int, stop: int) -> AsyncIterator[bytes]:
    yield first
    start += len(first)
    while start < stop:
        part = await reader.read(start, min(stop, start + reader.part))
        start += len(part)
        yield part


async def _checked(
    content: AsyncIterator[bytes], made: Artefact, lost: Callable[[], Awaitable[object]] | None
) -> AsyncIterator[bytes]:
    """The content of a whole file, the last part of which comes only if it is what was stored.

    Raises:
        LostFileError: it is not.
    """
    digest, last = hashlib.sha256(), b""
    async for chunk in content:
        if last:
            yield last
        await run_in_threadpool(digest.update, chunk)
        last = chunk
    if digest.hexdigest() != made.digest:
        if lost is not None:
            await lost()
        raise LostFileError(made.object)
    yield last
