"""Configs of systems: checking, storing and showing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from sqlalchemy import CursorResult, update

from ecs_core import SceneError
from ecs_core.plugin_api import particle_type
from ecs_core.scene.settings import validate
from services.api import schemas
from services.api.dependencies import Service
from services.auth.api_keys import Caller
from services.auth.limits import check_requested, check_scene
from services.database.models import SystemRow
from services.jobs.render_spec import complete_config, written_out
from services.media.assets.store import refer
from services.storage.asset_files import asset_files, video_stand_ins
from services.storage.asset_references import (
    AssetReference,
    in_its_shape,
    references_in,
    stand_ins,
    with_files,
    with_references,
)

_TRIES = 100  # beyond this many conflicts the client must retry


def status_of(row: SystemRow) -> schemas.SystemStatus:
    """The status of a system, with all defaults written out."""
    try:
        kind = particle_type(row.particle_type)
        meant, references = in_its_shape(row.particle_type, row.config)
        plain = with_files(meant, references)
        config = with_references(written_out(kind, validate(kind.settings, plain, owner=row.particle_type)), references)
    except SceneError:  # its plugin is gone or has changed; the system can still be shown, changed and deleted
        config = row.config
    return schemas.SystemStatus(
        particle_type=row.particle_type,
        particle_count=config.get("particle_count", 0),
        max_particles=config.get("max_particles", 0),
        config=config,
        audio_loaded=row.audio is not None,
    )


async def check_config(
    service: Service, particle_type: str, config: dict[str, Any], *, owner: str
) -> list[AssetReference]:
    """Refuse a config that is invalid both with and without a song; returns its references to assets of the owner.

    Raises:
        SceneError: says what is wrong.
        LimitError: it exceeds a limit of this server.
    """
    references = references_in(particle_type, config)
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
) -> SystemRow:
    """Store the values that ``wanted`` returns for a system; repeats if the system changed meanwhile.

    Raises:
        HTTPException: there is no such system, or it keeps changing.
        SceneError: the new values are invalid.
    """
    for _ in range(_TRIES):
        row = await service.system_or_404(caller, system_id)
        values = wanted(row)
        kind, config = values.get("particle_type", row.particle_type), values.get("config", row.config)
        references = await check_config(service, kind, config, owner=row.owner)
        unchanged = update(SystemRow).where(SystemRow.id == row.id, SystemRow.revision == row.revision)
        values["revision"] = row.revision + 1
        async with service.sessions.begin() as session:
            result = await session.execute(unchanged.values(**values))
            assert isinstance(result, CursorResult)
            if result.rowcount:
                await refer(session, row.id, references, row.owner)
        if result.rowcount:
            for name, value in values.items():
                setattr(row, name, value)
            return row
    raise HTTPException(409, "System is being changed by many others; try again", {"Retry-After": "1"})


async def merge_config(service: Service, caller: Caller, system_id: str, config: dict[str, Any]) -> SystemRow:
    """Change settings of a system; settings that are not named stay, also within nested objects."""
    return await update_system(service, caller, system_id, lambda row: {"config": merged(row.config, config)})


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A config with settings that change; those that are not named stay, also within nested objects."""
    both = (name for name in old if isinstance(old[name], dict) and isinstance(new.get(name), dict))
    return {**old, **new, **{name: merged(old[name], new[name]) for name in both}}
