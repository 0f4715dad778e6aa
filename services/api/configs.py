"""Configs of systems: checking, storing and showing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from sqlalchemy import CursorResult, update

from services.api import schemas
from services.api.dependencies import Service
from services.api.system_statuses import shown_values
from services.auth.api_keys import Caller
from services.auth.limits import check_requested, check_scene
from services.auth.quotas import admit_system, quotas_of
from services.database.models import SystemRow
from services.jobs.render_spec import complete_config
from services.media.assets.store import refer
from services.storage.asset_files import asset_files, video_stand_ins
from services.storage.asset_references import (
    AssetReference,
    references_in,
    stand_ins,
)

_TRIES = 100  # beyond this many conflicts the client must retry


async def check_config(
    service: Service, particle_type: str, config: dict[str, Any], *, owner: str
) -> list[AssetReference]:
    """Refuse a config that is invalid both with and without a song; returns its references to assets of the owner.

    Raises:
        SceneError: says what is wrong.
        LimitError: it exceeds a limit of this server.
    """
    references = await service.compute(partial(references_in, particle_type, config))
    assets = await service.assets.find(references, owner) if references else {}
    seconds = await service.assets.seconds(references)
    opened = {sha256: assets[sha256] for sha256 in assets.keys() & {each.asset for each in references if each.is_plain}}

    def resolve(files: Mapping[str, Path]) -> None:
        check_requested(service.settings, config)
        whole = complete_config(particle_type, config, has_song=True, files=files)
        check_scene(service.settings, whole)

    if opened or seconds:
        with ExitStack() as stack:
            files = await service.fetch(partial(_files, service, stack, references, opened, seconds))
            await service.compute(lambda: resolve(files))
    else:
        await service.compute(lambda: resolve(stand_ins(references)))
    return references


def _files(
    service: Service,
    stack: ExitStack,
    references: list[AssetReference],
    opened: Mapping[str, str],
    seconds: Mapping[str, float],
) -> dict[str, Path]:
    """The files that references stand for, until the stack is closed."""
    plain = stack.enter_context(asset_files(service.storage, opened, service.folder))
    videos = stack.enter_context(video_stand_ins(seconds, service.folder))
    return stand_ins(references) | plain | videos


async def update_system(
    service: Service, caller: Caller, system_id: str, wanted: Callable[[SystemRow], dict[str, Any]]
) -> schemas.SystemStatus:
    """Store the values that ``wanted`` returns for a system; repeats if the system changed meanwhile.

    Raises:
        HTTPException: there is no such system, or it keeps changing.
        SceneError: the new values are invalid.
        QuotaError: the system becomes larger, and its owner has no room for that.
    """
    quotas = quotas_of(service.settings, caller)
    for _ in range(_TRIES):
        row = await service.system_or_404(caller, system_id)
        values = wanted(row)
        kind, config = values.get("particle_type", row.particle_type), values.get("config", row.config)
        references = await check_config(service, kind, config, owner=row.owner)
        unchanged = update(SystemRow).where(SystemRow.id == row.id, SystemRow.revision == row.revision)
        after = SystemRow(
            particle_type=kind, config=config, audio=values.get("audio", row.audio), revision=row.revision + 1
        )
        status, shown = await shown_values(service, after)
        values |= {"revision": after.revision, **shown}
        async with service.sessions.begin() as session:
            await admit_system(session, row.owner, quotas, more=shown["size"] - (row.size or 0))
            result = await session.execute(unchanged.values(**values))
            assert isinstance(result, CursorResult)
            if result.rowcount:
                await refer(session, row.id, references, row.owner)
        if result.rowcount:
            return status
    raise HTTPException(409, "System is being changed by many others; try again", {"Retry-After": "1"})


async def merge_config(
    service: Service, caller: Caller, system_id: str, config: dict[str, Any]
) -> schemas.SystemStatus:
    """Change settings of a system; settings that are not named stay, also within nested objects."""
    return await update_system(service, caller, system_id, lambda row: {"config": merged(row.config, config)})


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A config with settings that change; those that are not named stay, also within nested objects."""
    both = (name for name in old if isinstance(old[name], dict) and isinstance(new.get(name), dict))
    return {**old, **new, **{name: merged(old[name], new[name]) for name in both}}
