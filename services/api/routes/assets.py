"""Assets: uploading, listing, downloading and deleting pictures, videos, fonts and lyrics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from sqlalchemy import Select, select

from services.api import schemas
from services.api.authentication import Caller, CallerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.file_responses import ELSEWHERE, VALIDATORS, file_content, stored_file
from services.api.paging import CURSOR, FIELDS, LIMIT, LINK, paged_response, wanted_fields
from services.api.route import Route
from services.api.routes.uploads import Upload, no_room, printable_name, receive_upload, upload_body
from services.database.models import AssetClaimRow, AssetRow
from services.jobs.artefacts import Artefact
from services.media.assets.kinds import AssetError, AssetTooLargeError, check_bytes, found_in
from services.retention.deletion import WHENEVER, asset_users
from services.storage.object_keys import asset_key

router = APIRouter(tags=["assets"], route_class=Route)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CACHE = "private, max-age=3600"
_BODY = upload_body("an image (JPEG, PNG, WebP, AVIF), video (MP4, MOV, WebM, MKV), font or lyrics")
_FILE = file_content("image/png")
_COLUMNS = (
    AssetClaimRow.sha256.label("id"),
    *(AssetClaimRow.owner, AssetClaimRow.name, AssetClaimRow.created_at),
    *(AssetRow.kind, AssetRow.size, AssetRow.facts, AssetRow.digest, AssetRow.file_digest),
)


def _rows(caller: Caller) -> Select[Any]:
    """The assets that a caller may see, once per owner."""
    joined = select(*_COLUMNS).join(AssetRow, AssetRow.sha256 == AssetClaimRow.sha256)
    return joined.where(caller.visible_rows(AssetClaimRow))


def _to_schema(row: Any) -> schemas.Asset:
    return schemas.Asset(
        asset_id=row.id,
        reference=f"asset:{row.id}",
        owner=row.owner,
        kind=row.kind,
        name=row.name,
        size=row.size,
        facts=row.facts,
        created_at=row.created_at,
    )


def _look(upload: Upload) -> None:
    look_at_asset(upload.head, upload.size, printable_name(upload.name))


def look_at_asset(head: bytes, size: int, name: str) -> None:
    """Refuse what is nothing that is allowed, or has too many bytes for its kind, before the rest arrives."""
    try:
        check_bytes(found_in(head, name), size, name)
    except AssetError as error:
        status = 413 if isinstance(error, AssetTooLargeError) else 415
        raise HTTPException(status, str(error), {"Connection": "close"}) from None  # the rest is not read


async def _asset_or_404(service: Service, caller: Caller, asset_id: str) -> Any:
    """An asset of the caller's; of several owners' an admin gets their own, or else anybody's."""
    if _SHA256.fullmatch(asset_id):
        mine = _rows(caller).where(AssetClaimRow.sha256 == asset_id)
        mine = mine.order_by(AssetClaimRow.owner != caller.owner, AssetClaimRow.owner).limit(1)
        async with service.sessions() as session:
            if (row := (await session.execute(mine)).one_or_none()) is not None:
                return row
    raise HTTPException(404, "Asset not found")


@router.post(
    "/assets", operation_id="upload_asset", status_code=201, openapi_extra=_BODY, responses=problems(413, 415, 422, 507)
)
async def upload_asset(service: ServiceDep, caller: CallerDep, request: Request) -> schemas.Asset:
    """Upload an image, a video, a font or lyrics. The same file is stored once. An image is stored as a PNG in sRGB, a
    video as an MP4 without sound.
    """
    with no_room("asset"):
        async with service.songs.staging_file() as path:
            admit, limit = service.disk_admission.admit_upload, service.settings.upload_limit
            upload = await receive_upload(request, path, limit=limit, admit=admit, check=_look)
            return await store_asset(service, caller, path, sha256=upload.sha256, name=printable_name(upload.name))


async def store_asset(service: Service, caller: Caller, path: Path, *, sha256: str, name: str) -> schemas.Asset:
    """Store a staged asset, however it arrived.

    Raises:
        HTTPException: it is nothing that is allowed, or too large.
    """
    try:
        row = await service.assets.store(path, sha256=sha256, name=name, caller=caller)
    except AssetTooLargeError as error:
        raise HTTPException(413, str(error)) from None
    except AssetError as error:
        raise HTTPException(415, str(error)) from None
    return _to_schema(await _asset_or_404(service, caller, row.sha256))


@router.get(
    "/assets",
    operation_id="list_assets",
    response_model=list[schemas.Asset],
    responses={200: {"headers": LINK}, **problems(400)},
)
async def list_assets(
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    kind: Annotated[list[schemas.AssetKind] | None, Query(description="only these; may be repeated")] = None,
    fields: str | None = FIELDS,
    limit: int = LIMIT,
    cursor: str | None = CURSOR,
) -> Response:
    """All assets, the newest first."""
    rows = _rows(caller) if not kind else _rows(caller).where(AssetRow.kind.in_(kind))
    wanted = wanted_fields(fields, schemas.Asset)

    async def show(found: Sequence[Any]) -> list[bytes]:
        return await service.compute(
            lambda: [_to_schema(row).model_dump_json(include=set(wanted)).encode() for row in found]
        )

    return await paged_response(service, request, AssetClaimRow, rows, show=show, limit=limit, cursor=cursor)


@router.get("/assets/{asset_id}", operation_id="get_asset", response_model=schemas.Asset, responses=problems(404))
async def get_asset(asset_id: str, service: ServiceDep, caller: CallerDep) -> schemas.Asset:
    """An asset."""
    return _to_schema(await _asset_or_404(service, caller, asset_id))


@router.head("/assets/{asset_id}/file", include_in_schema=False)
@router.get(
    "/assets/{asset_id}/file",
    operation_id="get_asset_file",
    response_class=Response,
    responses={
        200: {"description": "The file as stored", "headers": VALIDATORS, **_FILE},
        206: {"description": "The part that `Range` asks for", "headers": VALIDATORS, **_FILE},
        304: {"description": "The client has it, by `If-None-Match`"},
        **ELSEWHERE,
        **problems(404, 416),
    },
)
async def get_asset_file(asset_id: str, service: ServiceDep, caller: CallerDep, request: Request) -> Response:
    """The file as stored: of an image a PNG, of a video an MP4, of lyrics text; fonts as they were uploaded."""
    row = await _asset_or_404(service, caller, asset_id)
    made = Artefact(row.id, asset_key(row.id, row.digest), row.size, digest=row.file_digest)
    shown: dict[str, Any] = {"media_type": "image/png"}
    if row.kind != "image":  # of which browsers should make nothing
        shown = {"media_type": "application/octet-stream", "name": row.name}
    try:
        return await stored_file(request, service.storage, made, cache=_CACHE, redirect=service.redirects, **shown)
    except FileNotFoundError:
        raise HTTPException(404, "The asset's file was lost; upload it again") from None


@router.delete("/assets/{asset_id}", operation_id="delete_asset", responses=problems(404, 409))
async def delete_asset(asset_id: str, service: ServiceDep, caller: CallerDep) -> schemas.Message:
    """Delete an asset; 409 while a system or an open job uses it."""
    if not _SHA256.fullmatch(asset_id):
        raise HTTPException(404, "Asset not found")
    mine = (AssetClaimRow.sha256 == asset_id, caller.visible_rows(AssetClaimRow))
    async with service.sessions() as session:
        owners = list(await session.scalars(select(AssetClaimRow.owner).where(*mine)))
        users = await asset_users(session, asset_id) if owners else []
    if not owners:
        raise HTTPException(404, "Asset not found")
    if needed := sum(each in owners for each in users):
        raise HTTPException(409, f"The asset is in use by systems and open jobs ({needed}): change or end them first")
    await service.deleter.delete_asset(asset_id, owners, unused_since=WHENEVER, reason="deleted")
    return schemas.Message(message="Asset deleted")
