"""API keys: creating, checking, rotating and revoking them. Only digests of keys are stored."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import string
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, true

from ecs_core import MotesError
from services.database.clock import time_in
from services.database.engine import Sessions
from services.database.models import KeyRow
from services.settings import LIMITS

SCOPES = ("read", "render", "priority", "admin")  # priority: may ask for jobs of high priority
CACHE_SECONDS = 4.0  # seconds for which a look-up is cached; revoking takes effect within five seconds
SESSION_CACHE_SECONDS = 2.0  # likewise, for long-lived connections
_CACHE_SIZE = 1000  # cached keys
_NO_DIGEST = "0" * 64  # stands for a key that does not exist
_ID = string.ascii_lowercase + string.digits
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and what it may do; ``key`` is the id of its API key, None without authentication."""

    owner: str
    key: str | None
    scopes: frozenset[str]
    limits: Mapping[str, float]  # where they differ from the defaults

    @property
    def is_admin(self) -> bool:
        """Whether it has access to everything of every owner."""
        return "admin" in self.scopes

    def has_scope(self, scope: str) -> bool:
        """Whether it has a scope; an admin has all."""
        return scope in self.scopes or self.is_admin

    def visible_rows(self, table: Any) -> ColumnElement[bool]:
        """Condition: the rows of a table with owners that it may see."""
        return true() if self.is_admin else table.owner == self.owner

    @property
    def only_owner(self) -> str | None:
        """The owner of all that it may see; None if it may see everything."""
        return None if self.is_admin else self.owner

    def can_see(self, owner: str) -> bool:
        """Whether it may see what this owner has."""
        return self.is_admin or owner == self.owner


ANONYMOUS = Caller(owner="", key=None, scopes=frozenset(SCOPES), limits={})  # without authentication


class ApiKeys:
    """The API keys in a database."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions, self._clock = sessions, sessions.clock
        self._session_cache: dict[str, tuple[float, KeyRow | None]] = {}  # by key id
        # By digest. Those of keys that do not exist are apart: whoever makes them up pushes out no others.
        self._cache: dict[str, tuple[float, KeyRow | None]] = {}
        self._unknown: dict[str, tuple[float, KeyRow | None]] = {}

    async def caller(self, key: str) -> Caller | None:
        """The caller with this key; None if the key is unknown, expired or revoked. Takes equally long in each case.

        The result is cached for ``CACHE_SECONDS`` seconds.
        """
        digest, present = _digest(key), await self.now()  # asked for whatever the key is
        at, row = self._cache.get(digest) or self._unknown.get(digest, (-math.inf, None))
        if time.monotonic() - at > CACHE_SECONDS:
            row = await self._load(digest)
        if row is None or state_of(row, present) != "valid":
            return None
        return Caller(row.owner, row.id, frozenset(row.scopes), row.limits)

    async def _load(self, digest: str) -> KeyRow | None:
        async with self._sessions() as session:
            row = (await session.scalars(select(KeyRow).where(KeyRow.digest == digest))).one_or_none()
        if not hmac.compare_digest(_NO_DIGEST if row is None else row.digest, digest):
            row = None
        cache, other = (self._unknown, self._cache) if row is None else (self._cache, self._unknown)
        other.pop(digest, None)
        cache.pop(digest, None)  # so that it counts as the newest
        if len(cache) >= _CACHE_SIZE:
            del cache[next(iter(cache))]  # the oldest
        cache[digest] = (time.monotonic(), row)
        return row

    def is_known(self, key: str) -> bool:
        """Whether this process has found the key before; it may have ended since."""
        return _digest(key) in self._cache

    async def still_valid(self, caller: Caller) -> bool:
        """Whether the caller's key is still valid; for long-lived connections."""
        if caller.key is None:
            return True
        at, row = self._session_cache.get(caller.key, (-math.inf, None))
        if time.monotonic() - at > SESSION_CACHE_SECONDS:
            async with self._sessions() as session:
                row = await session.get(KeyRow, caller.key)
            if len(self._session_cache) >= _CACHE_SIZE:
                self._session_cache.clear()
            self._session_cache[caller.key] = (time.monotonic(), row)
        return row is not None and state_of(row, await self.now()) == "valid"

    async def all(self) -> list[KeyRow]:
        """Every key, newest first, including expired and revoked ones."""
        async with self._sessions() as session:
            return list(await session.scalars(select(KeyRow).order_by(KeyRow.created_at.desc(), KeyRow.id)))

    async def now(self) -> datetime:
        """The time by which keys expire."""
        return await self._clock.now()

    async def any_valid(self) -> bool:
        """Whether any key is valid."""
        at = await self.now()
        return any(state_of(row, at) == "valid" for row in await self.all())

    async def create(
        self,
        *,
        owner: str,
        name: str = "",
        scopes: Iterable[str] = ("read", "render"),
        limits: Mapping[str, float] | None = None,
        lasts: timedelta | None = None,
    ) -> tuple[KeyRow, str]:
        """Create a key, which expires after ``lasts``; returns its row and the key, which cannot be recovered later.

        Raises:
            MotesError: the owner, name, a scope or a limit is invalid.
        """
        check_owner(owner)
        if len(name) > 128 or not name.isprintable():
            raise MotesError(f"name {name[:200]!r}: must be at most 128 characters of one line")
        wanted = set(scopes)
        if not wanted or not wanted <= set(SCOPES):
            raise MotesError(f"scopes {sorted(wanted)}: must be of {', '.join(SCOPES)}, and at least one")
        for limit, value in (limits or {}).items():
            if limit not in LIMITS or not 0 <= value < math.inf:
                raise MotesError(f"limit {limit}={value:g}: must be one of {', '.join(LIMITS)}, and a number from 0")
        row, key = _new(owner, name, [scope for scope in SCOPES if scope in wanted], dict(limits or {}))
        async with self._sessions.begin() as session:
            row.created_at = await time_in(session)
            row.expires_at = None if lasts is None else row.created_at + lasts
            session.add(row)
        return row, key

    async def revoke(self, key_id: str) -> KeyRow:
        """Revoke a key; it stops working within five seconds.

        Raises:
            MotesError: there is no such key.
        """
        async with self._sessions.begin() as session:
            row = await session.get(KeyRow, key_id, with_for_update=True)
            if row is None:
                raise MotesError(f"there is no key {key_id!r}; motes keys list shows them")
            row.revoked_at = row.revoked_at or await time_in(session)
        return row

    async def rotate(self, key_id: str, *, overlap: timedelta, lasts: timedelta | None = None) -> tuple[KeyRow, str]:
        """Create a key with the rights of an old one, which expires after the overlap.

        Without ``lasts`` the new key is valid for as long as the old one was meant to be.

        Raises:
            MotesError: there is no such key, or it is not valid.
        """
        async with self._sessions.begin() as session:
            old = await session.get(KeyRow, key_id, with_for_update=True)
            if old is None:
                raise MotesError(f"there is no key {key_id!r}; motes keys list shows them")
            at = await time_in(session)
            if (state := state_of(old, at)) != "valid":
                raise MotesError(f"key {key_id} is {state}: make a new one with motes keys create")
            if lasts is None and old.expires_at is not None:
                lasts = old.expires_at - old.created_at
            row, key = _new(old.owner, old.name, old.scopes, old.limits)
            row.created_at, row.expires_at = at, None if lasts is None else at + lasts
            session.add(row)
            end = at + overlap
            old.expires_at = end if old.expires_at is None else min(end, old.expires_at)
        return row, key


def check_owner(owner: str) -> None:
    """Refuse what cannot be the name of an owner.

    Raises:
        MotesError: says what is allowed.
    """
    if not _OWNER.fullmatch(owner):
        raise MotesError(f"owner {owner[:200]!r}: must be a letter or digit, then up to 63 of these or . _ @ + -")


def state_of(row: KeyRow, at: datetime) -> str:
    """Valid, expired or revoked; ``at`` is the database's time."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= at else "valid"


def _new(owner: str, name: str, scopes: list[str], limits: dict[str, float]) -> tuple[KeyRow, str]:
    key_id = "".join(secrets.choice(_ID) for _ in range(8))
    key = f"motes_{key_id}_{secrets.token_urlsafe(32)}"
    row = KeyRow(id=key_id, owner=owner, name=name, digest=_digest(key), scopes=scopes, limits=limits)
    return row, key


def _digest(key: str) -> str:
    # 256 random bits cannot be guessed, so no slow hash is needed.
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
