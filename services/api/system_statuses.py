"""What is shown of a system: computed once for each of its revisions and kept as JSON, so that lists only read it.

To write out all settings of a large config takes tenths of a second, and a list shows hundreds. What another version
of a plugin or of Motes made is made anew, system by system, where somebody looks at it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import cache, partial
from typing import Any

from pydantic_core import to_json
from sqlalchemy import select, update

from ecs_core import SceneError
from ecs_core.plugin_api import particle_type
from ecs_core.scene.settings import validate
from services.api import schemas
from services.api.dependencies import Service
from services.api.routes.particle_types import all_layers, all_types
from services.database.models import SystemRow
from services.jobs.render_spec import written_out
from services.storage.asset_references import in_its_shape, with_files, with_references

COLUMNS = (
    *(SystemRow.id, SystemRow.owner, SystemRow.particle_type, SystemRow.created_at),
    *(SystemRow.revision, SystemRow.shown, SystemRow.shown_as),
)


@cache
def _settings_version() -> str:
    """What changes with the settings that there are and their defaults."""
    return hashlib.sha256(all_types() + all_layers()).hexdigest()[:16]


def _made_of(revision: int) -> str:
    return f"{revision} {_settings_version()}"


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


async def shown_values(service: Service, row: SystemRow) -> tuple[schemas.SystemStatus, dict[str, Any]]:
    """The status of a system, and the values of its row that keep it."""
    status = await service.compute(partial(status_of, row))
    text = status.model_dump_json()
    return status, {"shown": text, "shown_as": _made_of(row.revision), "size": len(text.encode())}


async def systems_as_json(service: Service, rows: Sequence[Any], fields: Collection[str]) -> list[bytes]:
    """Systems, rows of ``COLUMNS``, as the API shows them, with these fields only."""
    return [_as_json(row, await _shown(service, row) if "status" in fields else "", fields) for row in rows]


def columns_for(fields: Collection[str]) -> list[Any]:
    """The columns that are read for these fields."""
    of_status = ("revision", "shown", "shown_as")
    return [column for column in COLUMNS if column.key not in of_status or "status" in fields]


async def _shown(service: Service, row: Any) -> str:
    if row.shown_as == _made_of(row.revision):
        return str(row.shown)
    async with service.sessions() as session:
        system = (await session.scalars(select(SystemRow).where(SystemRow.id == row.id))).one_or_none()
    if system is None:  # it was deleted just now
        system = SystemRow(id=row.id, particle_type=row.particle_type, config={}, audio=None, revision=0)
    _, values = await shown_values(service, system)
    same = (SystemRow.id == system.id, SystemRow.revision == system.revision)
    async with service.sessions.begin() as session:
        await session.execute(update(SystemRow).where(*same).values(**values))
    return str(values["shown"])


def _as_json(row: Any, shown: str, fields: Collection[str]) -> bytes:
    values = {"system_id": row.id, "owner": row.owner, "particle_type": row.particle_type, "status": None}
    values["created_at"] = row.created_at
    plain = (
        b'"%s":%s' % (name.encode(), shown.encode() if name == "status" else to_json(value))
        for name, value in values.items()
        if name in fields
    )
    return b"{%s}" % b",".join(plain)
