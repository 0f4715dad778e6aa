"""Templates of clients: slots hold references to assets where the command line has paths, or what the song's tags hold.

What a song carries itself, its cover and its lyrics, becomes an asset of whoever asks, as if they had uploaded it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ecs_core import SceneError
from ecs_core.platforms import FACTS
from ecs_core.song_file.lyrics_in_tags import are_timed
from ecs_core.templates.filling import fill_template, wants_cover_colours
from ecs_core.templates.template import Template, find_template, template_names
from services.api.dependencies import Service
from services.auth.api_keys import Caller
from services.database.models import AudioRow
from services.media.assets.kinds import AssetError
from services.storage.asset_files import asset_files
from services.storage.asset_references import AssetReference
from services.type_catalogue import REFERENCE

_FROM_TAGS = {"title": "text", "artist": "text", "album": "text", "date": "text", "cover": "image", "lyrics": "lyrics"}


def template_of(name: str) -> Template:
    """A template that comes with Motes, by its name: clients' names are never paths.

    Raises:
        SceneError: there is none of this name; says which there are.
    """
    names = template_names()
    if name not in names:
        raise SceneError(f"template = {name[:100]!r}: there is none; there are: {', '.join(names)}")
    return find_template(name)


async def filled(
    service: Service, caller: Caller, template: Template, given: Mapping[str, Any], song: AudioRow | None
) -> tuple[str, dict[str, Any]]:
    """The type and the config that a template makes of its slots; what is not given, the song's tags may hold.

    Raises:
        SceneError: there is no such slot, one that is needed is empty, or a value does not fit it; names the slot.
        QuotaError: the caller's owner has no room for the song's cover.
    """
    slots = {name: value for name, value in given.items() if value not in (None, "")}
    references = _references(template, slots)
    digests = await service.assets.find(references, caller.owner)
    if song is not None:
        slots |= await _from_tags(service, caller, template, slots, song)
    cover = slots.get("cover")
    if not (isinstance(cover, str) and wants_cover_colours(template, slots)):
        return await service.compute(lambda: fill_template(template, slots))
    sha256 = cover.partition(":")[2]
    found = digests if sha256 in digests else await _digests(service, caller, sha256)

    def fill(file: Path) -> tuple[str, dict[str, Any]]:
        from ecs_core.scene.cover_palette import colours_of_picture  # noqa: PLC0415 - slow, and rarely needed

        return fill_template(template, slots, cover_colours=colours_of_picture(file))

    with ExitStack() as stack:
        held = asset_files(service.storage, {sha256: found[sha256]}, service.folder)
        files = await service.fetch(lambda: stack.enter_context(held))
        return await service.compute(lambda: fill(files[sha256]))


def lasting(config: dict[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """A config for a song that lasts as long as that, unless it, its platform, or others say how long."""
    platform = next((each["platform"] for each in (*others, config) if each.get("platform") in FACTS), None)
    if (platform is not None and FACTS[platform].seconds) or any("duration" in each for each in (config, *others)):
        return config
    return {**config, "duration": "audio"}


def _references(template: Template, slots: Mapping[str, Any]) -> list[AssetReference]:
    """The references to assets in slots.

    Raises:
        SceneError: a slot has something else instead; names it.
    """
    found = []
    for name, slot in template.slots.items():
        if slot.kind not in ("image", "lyrics") or (value := slots.get(name)) is None:
            continue
        if not (isinstance(value, str) and REFERENCE.fullmatch(value)):
            raise SceneError(
                f"slots.{name} = {repr(value)[:100]}: is no uploaded {slot.kind}; upload one with POST "
                '/particles/assets and give "asset:ID"'
            )
        found.append(AssetReference(("slots", name), slot.kind, value.partition(":")[2]))
    return found


async def _digests(service: Service, caller: Caller, sha256: str) -> dict[str, str]:
    return await service.assets.find([AssetReference(("slots", "cover"), "image", sha256)], caller.owner)


async def _from_tags(
    service: Service, caller: Caller, template: Template, slots: Mapping[str, Any], song: AudioRow
) -> dict[str, str]:
    """What the song's tags hold of the slots that nothing is given for."""
    left = {name for name, slot in template.slots.items() if name not in slots and _FROM_TAGS.get(name) == slot.kind}
    if not left:
        return {}
    tags = await service.songs.tags(song.sha256, required=service.settings.sandbox_required(caller.owner))
    found = {name: tags.texts[name] for name in left & tags.texts.keys()}
    named = tags.texts.get("title", "song")
    if "cover" in left and tags.artwork is not None:
        found |= await _stored(service, caller, "cover", tags.artwork, f"cover of {named}")
    if "lyrics" in left and are_timed(tags.lyrics):
        found |= await _stored(service, caller, "lyrics", f"{tags.lyrics}\n".encode(), f"lyrics of {named}")
    return found


async def _stored(service: Service, caller: Caller, slot: str, data: bytes, name: str) -> dict[str, str]:
    """The slot with a reference to an asset that is made of data of a song; nothing if the data are no such asset."""
    sha256 = hashlib.sha256(data).hexdigest()
    async with service.songs.staging_file() as path:
        await service.fetch(lambda: path.write_bytes(data))
        try:
            row = await service.assets.store(path, sha256=sha256, name=name[:200], caller=caller)
        except AssetError:
            return {}
    return {slot: f"asset:{row.sha256}"} if row.kind == _FROM_TAGS[slot] else {}
