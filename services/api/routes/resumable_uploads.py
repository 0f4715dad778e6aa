"""Resumable uploads of songs and assets, by the tus protocol 1.0.0 (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from services.api import schemas
from services.api.authentication import Caller, CallerDep
from services.api.dependencies import Service, ServiceDep, is_id
from services.api.errors import problems
from services.api.route import Route
from services.api.routes.assets import look_at_asset, store_asset
from services.api.routes.audio import store_song
from services.api.routes.uploads import no_room, printable_name
from services.auth.limits import LimitError, QuotaError, check_limit
from services.database.models import ResumableUploadRow
from services.media.assets.kinds import HEAD
from services.media.resumable import OffsetError, PartsError, UploadGoneError
from services.observability import metrics
from services.storage.disk_admission import InsufficientStorageError

_VERSION = "1.0.0"
_EXTENSIONS = "creation,expiration,termination,checksum"
_ALGORITHMS = ("sha1", "sha256", "sha512", "md5")
_BODY, _PLAIN = "application/offset+octet-stream", "application/octet-stream"  # generated clients know the second one
_PART = 8 << 20  # bytes after which what has arrived is stored; a process that ends loses no more
_BATCH = 1 << 20  # bytes handed to a thread at a time
_MISMATCH = 460
_REFUSED = (413, 415)  # for good
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_KINDS = ("song", "asset")


class _Route(Route):
    """Each answer says which version of the protocol it is of."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def respond(request: Request) -> Response:
            answer = await handle(request)
            answer.headers["Tus-Resumable"] = _VERSION
            return answer

        return respond


router = APIRouter(tags=["uploads"], route_class=_Route)


def _header(name: str, description: str, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    schema = {"type": "string", **schema}
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


_TUS = _header("Tus-Resumable", "the version of the protocol", enum=[_VERSION])
_OFFSET = {"Upload-Offset": {"description": "bytes that were received", "schema": {"type": "string"}}}
_CREATE = [
    _TUS,
    _header("Upload-Length", "bytes of the file", pattern=r"^[1-9][0-9]{0,17}$"),
    _header("Upload-Metadata", "`filename`, and `kind`: song or asset, each with its value in base64"),
]
_APPEND = {
    "parameters": [
        _TUS,
        _header("Upload-Offset", "bytes that were received", pattern="^[0-9]{1,18}$"),
        _header("Upload-Checksum", "of this part: `sha256` and the digest in base64", required=False),
    ],
    "requestBody": {"required": True, "content": {_PLAIN: {"schema": {"type": "string", "format": "binary"}}}},
}


@router.options("/uploads", include_in_schema=False)
@router.options("/uploads/{upload_id}", include_in_schema=False)
async def describe_uploads(service: ServiceDep, caller: CallerDep) -> Response:
    """What this server can do."""
    headers = {
        "Tus-Version": _VERSION,
        "Tus-Extension": _EXTENSIONS,
        "Tus-Max-Size": str(service.settings.upload_limit),
        "Tus-Checksum-Algorithm": ",".join(_ALGORITHMS),
    }
    return Response(status_code=204, headers=headers)


@router.post(
    "/uploads",
    operation_id="create_upload",
    status_code=201,
    response_class=Response,
    openapi_extra={"parameters": _CREATE},
    responses={
        201: {
            "description": "Send the file to `Location`",
            "headers": {"Location": {"schema": {"type": "string"}}},
        },
        **problems(400, 412, 413, 507),
    },
)
async def create_upload(service: ServiceDep, caller: CallerDep, request: Request) -> Response:
    """Begin an upload that can be resumed, within a day of its last part."""
    _check_version(request)
    length = _number(request, "Upload-Length")
    check_limit("upload_limit", service.settings.upload_limit, length, "the upload has too many bytes")
    if length == 0:
        raise HTTPException(400, "Upload-Length: must be at least 1")
    about = _metadata(request)
    kind = about.get("kind", "")
    if kind not in _KINDS:
        raise HTTPException(400, f"Upload-Metadata: kind: must be {' or '.join(_KINDS)}")
    with _answered("upload"):
        await service.disk_admission.admit_upload(length)
        name = printable_name(about.get("filename") or about.get("name", ""))
        row = await service.uploads.create(kind=kind, name=name, length=length, caller=caller)
    return Response(status_code=201, headers={"Location": f"{request.url.path}/{row.id}", **_headers(row)})


@router.head("/uploads/{upload_id}", include_in_schema=False)
async def head_upload(upload_id: str, service: ServiceDep, caller: CallerDep, request: Request) -> Response:
    """How many bytes were received."""
    _check_version(request)
    row = await _upload_or_404(service, caller, upload_id)
    headers = {"Upload-Length": str(row.length), "Cache-Control": "no-store", **_headers(row)}
    return Response(headers=headers)


@router.get("/uploads/{upload_id}", operation_id="get_upload", responses=problems(404))
async def get_upload(upload_id: str, service: ServiceDep, caller: CallerDep) -> schemas.ResumableUpload:
    """An upload, and the song or the asset that it has become."""
    row = await _upload_or_404(service, caller, upload_id)
    result = {} if row.result is None else {"audio" if row.kind == "song" else "asset": row.result}
    facts = {"kind": row.kind, "name": row.name, "length": row.length, "received": row.received}
    return schemas.ResumableUpload.model_validate(
        {"upload_id": row.id, "expires_at": row.expires_at, **facts, **result}
    )


@router.patch(
    "/uploads/{upload_id}",
    operation_id="append_to_upload",
    status_code=204,
    response_class=Response,
    openapi_extra=_APPEND,
    responses={
        204: {"description": "Received; after the last part `Upload-Result` is the id", "headers": _OFFSET},
        **problems(400, 404, 409, 410, 412, 413, 415, 422, 507),
    },
)
async def append_to_upload(upload_id: str, service: ServiceDep, caller: CallerDep, request: Request) -> Response:
    """Send the next part. After the last one the file is checked and stored, as if it had come at once."""
    _check_version(request)
    if request.headers.get("content-type", "").strip().lower() not in (_BODY, _PLAIN):
        raise HTTPException(415, f"Content-Type: must be {_BODY}")
    start, checksum = _number(request, "Upload-Offset"), _checksum(request)
    row = await _upload_or_404(service, caller, upload_id)
    if start != row.received:
        raise _conflict(OffsetError(row.received))
    if row.result is None:
        left = row.length - start
        declared = int(request.headers.get("content-length") or 0)
        if declared > left:
            raise _too_long(left)
        with _answered(row.kind):
            await service.disk_admission.admit_upload(declared or left)
            async with service.songs.staging_file() as path:
                row = await _Parts(service, caller, row, path.parent).receive(request, checksum)
    return Response(status_code=204, headers=_headers(row))


@router.delete(
    "/uploads/{upload_id}",
    operation_id="delete_upload",
    status_code=204,
    response_class=Response,
    openapi_extra={"parameters": [_TUS]},
    responses={204: {"description": "Deleted"}, **problems(404, 412)},
)
async def delete_upload(upload_id: str, service: ServiceDep, caller: CallerDep, request: Request) -> Response:
    """Give an upload up; a song or an asset that it has become stays."""
    _check_version(request)
    row = await _upload_or_404(service, caller, upload_id)
    await service.uploads.delete(row.id)
    return Response(status_code=204)


class _Parts:
    """Parts of an upload as they arrive, each in a file of its own in ``folder`` until it is stored."""

    def __init__(self, service: Service, caller: Caller, row: ResumableUploadRow, folder: Path) -> None:
        self._service, self._caller, self._row, self._folder = service, caller, row, folder
        self._path, self._size = folder / "part", 0

    async def receive(self, request: Request, checksum: tuple[str, bytes] | None) -> ResumableUploadRow:
        """Store the body of a request; of one that ends early what has arrived, unless it has a checksum."""
        early: Exception | None = None
        digest = None if checksum is None else hashlib.new(checksum[0], usedforsecurity=False)
        file: BinaryIO = await run_in_threadpool(self._path.open, "wb")
        try:
            batch = bytearray()
            try:
                async for chunk in request.stream():
                    metrics.UPLOADED.inc(len(chunk))
                    batch += chunk
                    if self._row.received + self._size + len(batch) > self._row.length:
                        raise _too_long(self._row.length - self._row.received - self._size)
                    if len(batch) >= _BATCH:
                        await self._write(file, batch, digest)
                        if digest is None and self._size >= _PART and self._stop < self._row.length:
                            file = await self._next(file)
            except ClientDisconnect as error:
                early = error
            except HTTPException as error:
                if error.status_code != 408:  # it is too slow
                    raise
                early = error
            await self._write(file, batch, digest)
        finally:
            await run_in_threadpool(file.close)
        if digest is not None and checksum is not None:
            if early is not None:
                self._size = 0
            elif digest.digest() != checksum[1]:
                raise HTTPException(_MISMATCH, f"Upload-Checksum: the {checksum[0]} of this part is another one")
        if self._size:
            await self._store()
        if isinstance(early, HTTPException):
            raise early
        return self._row

    @property
    def _stop(self) -> int:
        return self._row.received + self._size

    async def _write(self, file: BinaryIO, batch: bytearray, digest: Any) -> None:
        data = bytes(batch)
        batch.clear()
        self._size += len(data)

        def write() -> None:
            file.write(data)
            if digest is not None:
                digest.update(data)

        await run_in_threadpool(write)

    async def _next(self, file: BinaryIO) -> BinaryIO:
        """Store what is there, and begin the next part."""
        await run_in_threadpool(file.close)
        await self._store()
        return await run_in_threadpool(self._path.open, "wb")

    async def _store(self) -> None:
        start, size, self._size = self._row.received, self._size, 0
        if start == 0 and self._row.kind == "asset":
            await self._look()
        if start + size == self._row.length:
            self._row = await self._finish(start)
        else:
            self._row = await self._service.uploads.add_part(self._row.id, start, self._path)

    async def _look(self) -> None:
        """Refuse at once what is no asset that is allowed."""

        def head() -> bytes:
            with self._path.open("rb") as file:
                return file.read(HEAD)

        first = await run_in_threadpool(head)
        if len(first) == HEAD:
            try:
                look_at_asset(first, self._row.length, self._row.name)
            except HTTPException:
                await self._service.uploads.delete(self._row.id)
                raise

    async def _finish(self, start: int) -> ResumableUploadRow:
        """Store the whole file as what it is; what is refused for good is deleted."""
        uploads, row, whole = self._service.uploads, self._row, self._folder / "whole"
        await self._service.disk_admission.admit_upload(row.length)
        store = store_song if row.kind == "song" else store_asset
        try:
            sha256 = await uploads.assemble(row, self._path, whole)
            async with uploads.counted_as_what_it_becomes(row):
                found = await store(self._service, self._caller, whole, sha256=sha256, name=row.name)
            return await uploads.complete(row, start, found.model_dump(mode="json"))
        except OffsetError:
            done = await uploads.find(row.id, self._caller)
            if done is None or done.result is None:
                raise
            return done  # another process was faster
        except (HTTPException, LimitError, UploadGoneError) as error:
            later = isinstance(error, QuotaError) or (
                isinstance(error, HTTPException) and error.status_code not in _REFUSED
            )
            if not later:
                await uploads.delete(row.id)
            raise


@contextmanager
def _answered(what: str) -> Iterator[None]:
    """Errors of uploads as answers."""
    try:
        with no_room(what):
            yield
    except InsufficientStorageError as error:
        raise HTTPException(507, str(error), {"Connection": "close"}) from None
    except OffsetError as error:
        raise _conflict(error) from None
    except UploadGoneError as error:
        raise HTTPException(410, str(error)) from None
    except PartsError as error:
        raise HTTPException(413, str(error)) from None


def _conflict(error: OffsetError) -> HTTPException:
    return HTTPException(409, str(error), {"Upload-Offset": str(error.received)})


def _too_long(left: int) -> HTTPException:
    return HTTPException(413, f"The body has more bytes than are missing: {left}", {"Connection": "close"})


def _headers(row: ResumableUploadRow) -> dict[str, str]:
    headers = {"Upload-Offset": str(row.received), "Upload-Expires": format_datetime(row.expires_at, usegmt=True)}
    if row.result is not None:
        headers["Upload-Result"] = row.result["audio_id" if row.kind == "song" else "asset_id"]
    return headers


async def _upload_or_404(service: Service, caller: Caller, upload_id: str) -> ResumableUploadRow:
    row = await service.uploads.find(upload_id, caller) if is_id(upload_id) else None
    if row is None:
        raise HTTPException(404, "Upload not found")
    return row


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != _VERSION:
        raise HTTPException(412, f"Tus-Resumable: must be {_VERSION}", {"Tus-Version": _VERSION})


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "").strip()
    if not _NUMBER.fullmatch(text):
        raise HTTPException(400, f"{name}: must be a number of bytes")
    return int(text)


def _checksum(request: Request) -> tuple[str, bytes] | None:
    """The algorithm and the digest that a part should have."""
    text = request.headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, digest = text.strip().partition(" ")
    if algorithm not in _ALGORITHMS:
        raise HTTPException(400, f"Upload-Checksum: must begin with {' or '.join(_ALGORITHMS)}")
    try:
        return algorithm, base64.b64decode(digest, validate=True)
    except binascii.Error:
        raise HTTPException(400, "Upload-Checksum: must be an algorithm and a digest in base64") from None


def _metadata(request: Request) -> dict[str, str]:
    found = dict[str, str]()
    for pair in request.headers.get("upload-metadata", "").split(","):
        name, _, value = pair.strip().partition(" ")
        try:
            found[name] = base64.b64decode(value.strip(), validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            raise HTTPException(400, "Upload-Metadata: must be names with values in base64, between commas") from None
    return found
