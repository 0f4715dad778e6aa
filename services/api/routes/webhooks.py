"""The secret that signs an owner's webhooks: reading it, and rotating it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response

from services.api import schemas
from services.api.authentication import CallerDep, require_scope
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.route import Route
from services.webhooks.owner_secrets import (
    LONGEST_OVERLAP,
    OVERLAP,
    NoSecretError,
    OwnerSecrets,
    RotationError,
    Secrets,
)

router = APIRouter(tags=["webhooks"], route_class=Route)
_OVERLAP = Query(
    ge=0,
    le=int(LONGEST_OVERLAP.total_seconds()),
    description="seconds for which messages are signed with the old secret as well; 0: it ends at once",
)


@router.get(
    "/webhook-secret",
    operation_id="get_webhook_secret",
    response_model=schemas.WebhookSecret,
    responses=problems(409),
)
async def get_webhook_secret(service: ServiceDep, caller: CallerDep, response: Response) -> schemas.WebhookSecret:
    """The secret that signs the webhooks of the key's owner; the key needs the scope *render* as well."""
    require_scope(caller, "render")  # keys for reading are given to browsers
    try:
        return _shown(await _secrets(service).of(caller.owner), response)
    except NoSecretError as error:
        raise HTTPException(409, str(error)) from None


@router.post(
    "/webhook-secret/rotate",
    operation_id="rotate_webhook_secret",
    response_model=schemas.WebhookSecret,
    responses=problems(400, 409),
)
async def rotate_webhook_secret(
    service: ServiceDep,
    caller: CallerDep,
    response: Response,
    overlap: Annotated[int, _OVERLAP] = int(OVERLAP.total_seconds()),
) -> schemas.WebhookSecret:
    """Give the key's owner a new secret; for the overlap, messages are signed with both."""
    try:
        return _shown(await _secrets(service).rotate(caller.owner, overlap=timedelta(seconds=overlap)), response)
    except (NoSecretError, RotationError) as error:
        raise HTTPException(409, str(error)) from None


def _secrets(service: Service) -> OwnerSecrets:
    return OwnerSecrets(service.sessions, service.settings.webhook_secret)


def _shown(found: Secrets, response: Response) -> schemas.WebhookSecret:
    response.headers["Cache-Control"] = "no-store"
    return schemas.WebhookSecret(
        secret=found.current, previous_secret=found.previous, previous_until=found.previous_until
    )
