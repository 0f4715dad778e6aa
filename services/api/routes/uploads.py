"""Uploads: a multipart body whose file is written and hashed as it arrives, and refused once it is too large."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from services.auth.limits import LimitError
from services.media.assets.kinds import HEAD
from services.observability import metrics
from services.storage.disk_admission import InsufficientStorageError

_BATCH = 1 << 20  # bytes handed to a thread at a time
_CHECK_EVERY = 4 << 20  # bytes between checks of the free space
_MULTIPART_OVERHEAD = 1 << 16  # bytes of a body besides its file
_MAX_NAME = 200  # characters; the end is kept, as it has the suffix


class Upload:
    """The first part named ``file`` of a multipart body. Its methods block: call them in a thread."""

    def __init__(self, path: Path, boundary: bytes, *, limit: int) -> None:
        self.path, self.name, self.size = path, "", 0
        self._limit, self._digest, self._whole = limit, hashlib.sha256(), False
        self._file = path.open("wb")
        self._header, self._value, self._disposition = b"", b"", b""
        self._wanted = self._found = False
        self._head = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_goes_on,
                "on_header_value": self._value_goes_on,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._part_ends,
            },
        )

    @property
    def head(self) -> bytes:
        """The first bytes of the file, as far as they are there."""
        return bytes(self._head)

    @property
    def recognisable(self) -> bool:
        """Whether enough of it is there to tell what it is."""
        return len(self._head) == HEAD or self._whole

    @property
    def sha256(self) -> str:
        """The sha256 of what was written."""
        return self._digest.hexdigest()

    @property
    def whole(self) -> bool:
        """Whether the part was complete."""
        return self._whole

    def write(self, data: bytes) -> None:
        """Parse more of the body."""
        self._parser.write(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _part_begins(self) -> None:
        self._disposition = b""
        self._wanted = False

    def _header_goes_on(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _value_goes_on(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") == b"file" and not self._found:
            self._wanted = self._found = True
            self.name = options.get(b"filename", b"").decode(errors="replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._wanted:
            return
        self.size += end - start
        if self.size > self._limit:
            raise _too_large(self._limit)
        piece = data[start:end]
        if len(self._head) < HEAD:
            self._head += piece[: HEAD - len(self._head)]
        self._digest.update(piece)
        self._file.write(piece)

    def _part_ends(self) -> None:
        self._whole |= self._wanted
        self._wanted = False


def _too_large(limit: int) -> LimitError:
    return LimitError("upload_limit", limit, "the upload has too many bytes")


async def receive_upload(
    request: Request,
    path: Path,
    *,
    limit: int,
    admit: Callable[[int], Awaitable[None]],
    check: Callable[[Upload], None] = lambda upload: None,
) -> Upload:
    """Receive the file of the request's body into ``path``; ``admit`` refuses bytes that the disk has no room for.

    ``check`` looks at what has arrived now and then, as soon as one can tell what it is, and may refuse it.

    Raises:
        LimitError: it is larger than ``limit`` bytes; raised as soon as that is known.
        HTTPException: 507 if the disk is full; 415 or 422 for other bodies.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise HTTPException(415, "Content-Type: must be multipart/form-data with a boundary")
    declared = int(request.headers.get("content-length") or 0)  # absent from chunked bodies
    if declared > limit + _MULTIPART_OVERHEAD:
        raise _too_large(limit)
    try:
        await admit(declared)
        upload = await run_in_threadpool(Upload, path, options[b"boundary"], limit=limit)
        try:
            batch, size, looked = bytearray(), 0, 0
            async for chunk in request.stream():
                batch += chunk
                size += len(chunk)
                metrics.UPLOADED.inc(len(chunk))
                if size > limit + _MULTIPART_OVERHEAD:
                    raise _too_large(limit)
                if len(batch) >= _BATCH:
                    await run_in_threadpool(upload.write, bytes(batch))
                    batch.clear()
                    if upload.recognisable:
                        check(upload)
                if size - looked >= _CHECK_EVERY:
                    await admit(max(0, declared - size))
                    looked = size
            await run_in_threadpool(upload.write, bytes(batch))
        finally:
            await run_in_threadpool(upload.close)
    except InsufficientStorageError as error:
        raise HTTPException(507, str(error), {"Connection": "close"}) from None
    except (FormParserError, ClientDisconnect):
        raise HTTPException(422, "The body is not complete multipart/form-data") from None
    if not upload.whole:
        raise HTTPException(422, "The body has no complete part named 'file'")
    return upload


@contextmanager
def no_room(what: str) -> Iterator[None]:
    """Answer 507 where a disk or a quota of the operator is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HTTPException(507, f"There is no room for the {what}") from None
        raise


def printable_name(name: str) -> str:
    """A file name that is safe to print: no folders, only printable characters, and not too long."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in last)[-_MAX_NAME:] or "upload"


def upload_body(what: str) -> dict[str, Any]:
    """The body of an upload in the OpenAPI document; ``what`` describes its file."""
    file = {"type": "string", "format": "binary", "description": what}
    schema = {"type": "object", "required": ["file"], "properties": {"file": file}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
