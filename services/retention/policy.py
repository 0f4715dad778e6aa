"""Retention policy: what may be deleted and why, by age, by owner's quota, and by free disk space.

Nothing that an open job needs is deleted, nor an asset that a system refers to. The policy only proposes;
``services.retention.deletion`` checks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.database.engine import Sessions
from services.database.models import (
    OPEN,
    VIDEOS,
    ArtefactRow,
    AssetClaimRow,
    AssetRow,
    AudioRow,
    JobAssetRow,
    JobRow,
    SystemAssetRow,
    UploadRow,
    is_open,
)
from services.jobs.artefacts import FILE, SCENE
from services.retention.cap import Cap
from services.retention.deletion import Deleter
from services.settings import ServiceSettings
from services.storage.object_keys import SINGLE_TASK_KINDS, analyses_folder, result_name
from services.storage.object_store import Storage
from services.storage.usage import plural, usage_by_owner

_EVICTION_ORDER = {
    "segment": 0,
    "frame": 1,
    "preview": 1,
    "analysis": 1,
    "curves": 1,
}  # when space is needed: what nobody asked to keep goes first
_SHARED = ("song", "asset")  # by content, among owners who uploaded the same
_DOCUMENTS = ("analysis", "curves")  # results that a scene may have beside a video
_STAYS = ("song analysis", "system", "correction", "answer", "upload")  # what is never deleted to make room
_RESULT = "result"
_BATCH_SIZE = 500  # values per query


_TABLES: dict[str, tuple[Any, Any]] = {"song": (AudioRow, UploadRow), "asset": (AssetRow, AssetClaimRow)}


@dataclass(frozen=True)
class Item:
    """What is deleted as a whole: a scene's result, some of its segments, a song, or an asset.

    ``used`` holds the last use of a song or an asset by each owner; ``size`` is in bytes.
    """

    kind: str  # video, preview, frame, analysis, curves, segment, song or asset
    name: str  # the scene key, or the sha256 of the song or the asset
    size: int
    used_at: datetime
    artefacts: tuple[str, ...] = ()
    used: dict[str, datetime] = field(default_factory=dict, hash=False)

    @property
    def number(self) -> int:
        """How many of its kind it is."""
        return len(self.artefacts) if self.kind == "segment" else 1


@dataclass(frozen=True)
class Deletion:
    """An item to delete unless it was used since then; for ``owners`` only, if given.

    ``size`` is the bytes freed: zero while other owners have the item.
    """

    item: Item
    reason: str  # expired, quota, room or leftover
    size: int
    unused_since: datetime
    owners: tuple[str, ...] | None = None

    def first(self, number: int) -> Deletion:
        """The deletion of the first so many of its segments, if there are more."""
        if number >= self.item.number:
            return self
        item = replace(self.item, artefacts=self.item.artefacts[:number])
        return replace(self, item=item, size=self.size * number // self.item.number)


class RetentionPolicy:
    """Applies the rules to a database and a storage."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions, storage: Storage) -> None:
        self._settings, self._sessions, self._storage = settings, sessions, storage
        self._deleter = Deleter(sessions, storage)

    async def due(self, *, thorough: bool = True) -> list[Deletion]:
        """What to delete now, in order; if ``thorough``, also songs and assets that nobody has."""
        at = await self._sessions.clock.ask()
        free, total = await asyncio.to_thread(self._storage.free), await asyncio.to_thread(self._storage.total)
        lacking = 0 if free is None else self._settings.free_of(total) - free
        old = self._limits(at)
        spare = at - timedelta(seconds=self._settings.keep_at_least)
        most = old
        usage = await self._usage_over_quota()
        if lacking > 0 or usage:
            most = {kind: spare if limit is None else max(limit, spare) for kind, limit in old.items()}
        async with self._sessions() as session:
            things = [thing async for thing in _items(session, most)]
            found = [deletion for thing in things for deletion in _expired(thing, old)]
            if thorough:
                found += [
                    Deletion(thing, "leftover", thing.size, at)
                    async for thing in _unowned(session, at - timedelta(seconds=self._settings.keep_orphans))
                ]
            if usage:
                found += await self._over_quota(session, usage, things, found, spare)
        found = await asyncio.to_thread(lambda: [self._with_analyses(deletion) for deletion in found])
        lacking -= sum(deletion.size for deletion in found)
        left = [thing for thing in _remaining(things, found) if thing.used_at < spare]
        for thing in sorted(left, key=lambda each: (_EVICTION_ORDER.get(each.kind, 2), each.used_at)):
            if lacking <= 0:
                break
            deletion = await asyncio.to_thread(self._with_analyses, Deletion(thing, "room", thing.size, spare))
            lacking -= deletion.size
            found.append(deletion)
        return found

    async def capped(self, due: Sequence[Deletion], cap: Cap) -> list[Deletion]:
        """Of what is due, what one run deletes: of each kind what was least recently used."""
        by_kind: dict[str, list[Deletion]] = {}
        for deletion in sorted(due, key=lambda each: each.item.used_at):
            by_kind.setdefault(deletion.item.kind, []).append(deletion)
        going = dict[int, Deletion]()
        for kind, mine in by_kind.items():
            number = sum(deletion.item.number for deletion in mine)
            left = number if number <= cap.most(0) else cap.most(await self._number(kind))
            cap.count(plural(kind), max(0, number - left))
            for deletion in mine:
                if left > 0:
                    going[id(deletion)] = deletion.first(left)
                left -= deletion.item.number
        return [going[id(deletion)] for deletion in due if id(deletion) in going]

    async def _number(self, kind: str) -> int:
        """How many items of a kind there are."""
        artefacts = select(func.count()).select_from(ArtefactRow)
        which: dict[str, Any] = {
            "song": select(func.count()).select_from(AudioRow),
            "asset": select(func.count()).select_from(AssetRow),
            "segment": artefacts.where(FILE == "segments"),
            "video": artefacts.where(_is_video()),
            "preview": artefacts.where(_is_preview()),
            **{kind: artefacts.where(_is_result(kind)) for kind in SINGLE_TASK_KINDS},
        }
        async with self._sessions() as session:
            return await session.scalar(which[kind]) or 0

    async def delete(self, deletion: Deletion) -> int:
        """Delete an item unless it was used meanwhile; returns the bytes freed."""
        thing = deletion.item
        how: dict[str, Any] = {"unused_since": deletion.unused_since, "reason": deletion.reason}
        if thing.kind == "song":
            return await self._deleter.delete_song(thing.name, deletion.owners, **how)
        if thing.kind == "asset":
            return await self._deleter.delete_asset(thing.name, deletion.owners, **how)
        if thing.kind == "segment":
            return await self._deleter.delete_segments(thing.name, thing.artefacts, **how)
        [artefact] = thing.artefacts
        owner = None if deletion.owners is None else deletion.owners[0]
        return await self._deleter.delete_result(thing.name, artefact, owner=owner, **how)

    def _limits(self, at: datetime) -> dict[str, datetime | None]:
        """By kind, the last use before which an item may go; None if it is kept for ever."""
        kept = self._settings
        ages = {"video": kept.keep_videos, "preview": kept.keep_previews, "frame": kept.keep_previews}
        ages |= {"segment": kept.keep_segments, "song": kept.keep_uploads, "asset": kept.keep_uploads}
        ages |= dict.fromkeys(_DOCUMENTS, kept.keep_analyses)
        return {kind: at - timedelta(seconds=age) if age else None for kind, age in ages.items()}

    def _with_analyses(self, deletion: Deletion) -> Deletion:
        """The deletion of a song, with the size of its analyses."""
        if deletion.item.kind != "song" or not deletion.size:
            return deletion
        listed = self._storage.list(analyses_folder(deletion.item.name))
        return replace(deletion, size=deletion.size + sum(each.size for batch in listed for each in batch))

    async def _usage_over_quota(self) -> dict[str, int]:
        """Bytes of the owners who have more than their quota."""
        having: dict[str, int] = {}
        if self._settings.keep_bytes:
            async with self._sessions() as session:
                for usage in await usage_by_owner(session):
                    if usage.kind not in _STAYS:
                        having[usage.owner] = having.get(usage.owner, 0) + usage.bytes
        return {owner: size for owner, size in having.items() if size > self._settings.keep_bytes}

    async def _over_quota(
        self,
        session: AsyncSession,
        having: Mapping[str, int],
        things: Sequence[Item],
        expired: Sequence[Deletion],
        spare: datetime,
    ) -> list[Deletion]:
        """For owners above their quota, who have so many bytes: what they used least recently."""
        found: list[Deletion] = []
        by_name = {(_group(thing), thing.name): thing for thing in things if thing.kind != "segment"}
        whole = [deletion for deletion in expired if deletion.item.kind != "segment"]  # a scene may lose these alone
        gone = {(_group(deletion.item), deletion.item.name): deletion.owners for deletion in whole}
        owners = {(thing.kind, thing.name): set(thing.used) for thing in things if thing.kind in _SHARED}
        results = [thing.name for thing in things if thing.kind not in (*_SHARED, "segment")]
        theirs = await _result_owners(session, results)
        owners |= {key: set(sizes) for key, sizes in theirs.items()}
        for key, its_owners in gone.items():
            owners.get(key, set()).difference_update(its_owners or ())
        for owner, size in having.items():
            over = size - self._settings.keep_bytes
            mine = [
                (thing.used.get(owner, thing.used_at), key, thing, theirs.get(key, {}).get(owner, thing.size))
                for key, thing in by_name.items()
                if owner in owners.get(key, ()) or owner in (gone.get(key) or ())
            ]
            for used_at, key, thing, counts in sorted(mine, key=lambda each: (each[0], each[1])):
                if key in gone and owner in (gone[key] or (owner,)):
                    over -= counts
                elif over > 0 and used_at < spare:
                    over -= counts
                    owners[key].discard(owner)
                    freed = 0 if owners[key] else thing.size
                    found.append(Deletion(thing, "quota", freed, spare, (owner,)))
        return found


def _group(thing: Item) -> str:
    """What names an item together with its own name: its kind, if owners share it by content."""
    return thing.kind if thing.kind in (*_SHARED, *_DOCUMENTS) else _RESULT


def _expired(thing: Item, old: dict[str, datetime | None]) -> Iterator[Deletion]:
    """What age alone deletes of an item."""
    limit = old[thing.kind]
    if limit is None:
        return
    if thing.kind in _SHARED:
        theirs = tuple(owner for owner, used_at in thing.used.items() if used_at < limit)
        if theirs:
            yield Deletion(thing, "expired", thing.size if len(theirs) == len(thing.used) else 0, limit, theirs)
    elif thing.used_at < limit:
        yield Deletion(thing, "expired", thing.size, limit)


def _remaining(things: Iterable[Item], taken: Iterable[Deletion]) -> Iterator[Item]:
    """Items that are not deleted yet."""
    known = {(deletion.item.kind, deletion.item.name, deletion.item.artefacts) for deletion in taken}
    return (thing for thing in things if (thing.kind, thing.name, thing.artefacts) not in known)


def _is_result(kind: str) -> ColumnElement[bool]:
    """Condition: an artefact is the result of jobs of this kind."""
    return FILE.in_([result_name(kind)[:8]])


def _of_video() -> ColumnElement[bool]:
    """Condition: an artefact's scene was rendered as a video, not only as a preview."""
    return exists().where(JobRow.scene_key == SCENE, JobRow.kind.in_(VIDEOS))


def _is_video() -> ColumnElement[bool]:
    return and_(_is_result("video"), _of_video())


def _is_preview() -> ColumnElement[bool]:
    return and_(_is_result("video"), ~_of_video())


async def _items(session: AsyncSession, limits: dict[str, datetime | None]) -> AsyncIterator[Item]:
    """Items that no open job needs, last used before the limit of their kind."""
    idle = ~exists().where(JobRow.scene_key == SCENE, JobRow.status.in_(OPEN))
    posters = aliased(ArtefactRow)  # each goes with its video
    of_it = select(posters.size).where(posters.key == func.replace(ArtefactRow.key, "/video.mp4", "/poster.png"))
    whole = ArtefactRow.size + func.coalesce(of_it.scalar_subquery(), 0)
    preview = and_(JobRow.kind == "preview", JobRow.status == "completed", JobRow.expired_at.is_(None))
    of_preview = select(literal("scenes/") + JobRow.scene_key + "/video.mp4").where(preview)
    for kind, which, bytes_of in (
        ("video", _is_video(), whole),
        # by their jobs, of which there are few, as no key tells one from a video
        ("preview", and_(ArtefactRow.key.in_(of_preview), ~_of_video()), whole),
        *((kind, _is_result(kind), ArtefactRow.size) for kind in SINGLE_TASK_KINDS),
    ):
        if (limit := limits[kind]) is not None:
            old_ones = select(ArtefactRow.key, bytes_of, ArtefactRow.used_at)
            for key, size, used_at in await session.execute(old_ones.where(which, ArtefactRow.used_at < limit, idle)):
                yield Item(kind, key.split("/")[1], size, used_at, (key,))
    if (limit := limits["segment"]) is not None:
        segments: dict[str, list[Any]] = {}
        rows = select(ArtefactRow.key, ArtefactRow.size, ArtefactRow.used_at)
        for row in await session.execute(rows.where(FILE == "segments", ArtefactRow.used_at < limit, idle)):
            segments.setdefault(row.key.split("/")[1], []).append(row)
        for scene, of_scene in segments.items():
            sizes, last = sum(row.size for row in of_scene), max(row.used_at for row in of_scene)
            yield Item("segment", scene, sizes, last, tuple(row.key for row in of_scene))
    for kind in _SHARED:
        if (limit := limits[kind]) is not None:
            async for item in _shared(session, kind, limit):
                yield item


async def _shared(session: AsyncSession, kind: str, limit: datetime) -> AsyncIterator[Item]:
    """Songs or assets that nothing needs, and that an owner last used before the limit."""
    table, claims = _TABLES[kind]
    old = select(claims.sha256).where(claims.used_at < limit, ~_is_needed(kind, claims.sha256)).distinct()
    for batch in _batches(list(await session.scalars(old))):
        uploads = select(claims.sha256, claims.owner, claims.used_at, table.size)
        uploads = uploads.join(table, table.sha256 == claims.sha256).where(claims.sha256.in_(batch))
        used: dict[str, dict[str, datetime]] = {}
        sizes_of: dict[str, int] = {}
        for sha256, owner, used_at, size in await session.execute(uploads.order_by(claims.owner)):
            used.setdefault(sha256, {})[owner] = used_at
            sizes_of[sha256] = size
        for sha256, by in used.items():
            yield Item(kind, sha256, sizes_of[sha256], max(by.values()), used=by)


async def _unowned(session: AsyncSession, limit: datetime) -> AsyncIterator[Item]:
    """Songs and assets without an owner that nothing needs."""
    for kind, (table, claims) in _TABLES.items():
        alone = ~exists().where(claims.sha256 == table.sha256)
        rows = select(table).where(table.created_at < limit, alone, ~_is_needed(kind, table.sha256))
        for row in await session.scalars(rows):
            yield Item(kind, row.sha256, row.size, row.created_at)


def _is_needed(kind: str, sha256: Any) -> ColumnElement[bool]:
    """Condition: an open job needs this song or asset, or a system refers to the asset."""
    if kind == "song":
        return exists().where(JobRow.audio == sha256, is_open())
    return or_(exists().where(JobAssetRow.sha256 == sha256), exists().where(SystemAssetRow.sha256 == sha256))


async def _result_owners(session: AsyncSession, scenes: Sequence[str]) -> dict[tuple[str, str], dict[str, int]]:
    """By group, scene and owner: bytes of the results."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for batch in _batches(scenes):
        rows = select(JobRow.kind, JobRow.scene_key, JobRow.owner, func.sum(JobRow.size)).where(
            JobRow.scene_key.in_(batch), JobRow.status == "completed", JobRow.expired_at.is_(None)
        )
        for kind, scene, owner, size in await session.execute(
            rows.group_by(JobRow.kind, JobRow.scene_key, JobRow.owner)
        ):
            sizes = found.setdefault((kind if kind in _DOCUMENTS else _RESULT, scene), {})
            sizes[owner] = sizes.get(owner, 0) + int(size or 0)
    return found


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[first : first + _BATCH_SIZE] for first in range(0, len(values), _BATCH_SIZE))
