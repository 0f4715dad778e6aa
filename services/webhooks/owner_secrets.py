"""The secrets that sign webhooks: each owner has its own, so that no receiver can forge messages to another's.

A secret is derived from ``MOTES_WEBHOOK_SECRET``, the owner and a version. The database holds the version only, and
that only after the first rotation: a copy of it signs nothing. Without API keys, the owner is empty, and the
installation's secret signs as it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import SecretStr

from ecs_core.errors import MotesError
from services.database.clock import time_in
from services.database.engine import Sessions, advisory_lock
from services.database.models import WebhookSecretRow

OVERLAP = timedelta(days=1)  # for which the old secret is valid beside a new one, unless somebody says otherwise
LONGEST_OVERLAP = timedelta(days=30)


class NoSecretError(MotesError):
    """The owner has no webhook secret of its own."""


class RotationError(MotesError):
    """A rotation that is under way, so that another one would make a secret invalid that receivers still use."""


@dataclass(frozen=True)
class Secrets:
    """An owner's valid secrets, as ``whsec_…``: the current one and, while it is rotated, the one before it."""

    current: str
    previous: str | None = None
    previous_until: datetime | None = None

    @property
    def valid(self) -> list[str]:
        """All of them, the current one first."""
        return [self.current, *([] if self.previous is None else [self.previous])]


class OwnerSecrets:
    """The webhook secrets of owners; ``master`` is the installation's."""

    def __init__(self, sessions: Sessions, master: SecretStr | None) -> None:
        self._sessions, self._master = sessions, master

    async def signing(self, owner: str) -> list[str]:
        """The secrets that sign messages for an owner, empty without API keys.

        Raises:
            NoSecretError: the installation has no secret.
        """
        return [self._installation()] if not owner else (await self.of(owner)).valid

    async def of(self, owner: str) -> Secrets:
        """An owner's secrets.

        Raises:
            NoSecretError: there are no API keys, so no owners, or the installation has no secret.
        """
        self._check(owner)
        async with self._sessions() as session:
            row = await session.get(WebhookSecretRow, owner)
            return self._secrets(owner, row, await time_in(session))

    async def rotate(self, owner: str, *, overlap: timedelta = OVERLAP) -> Secrets:
        """Give an owner a new secret, and keep the old one valid for the overlap; without any, all old ones end.

        Raises:
            NoSecretError: as :meth:`of`.
            RotationError: the secret before this one is still valid, and there is an overlap.
            MotesError: the overlap is negative or too long.
        """
        self._check(owner)
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            seconds = f"{overlap.total_seconds():g}"
            raise MotesError(f"overlap = {seconds} s: must be from 0 to {LONGEST_OVERLAP.total_seconds():.0f} s")
        async with self._sessions.begin() as session:
            await advisory_lock(session, f"webhook secret of {owner}")
            at, row = await time_in(session), await session.get(WebhookSecretRow, owner)
            if row is None:
                row = WebhookSecretRow(owner=owner, version=1)
                session.add(row)
            elif overlap and row.previous_until is not None and row.previous_until > at:
                until = f"{row.previous_until:%Y-%m-%d %H:%M} UTC"
                raise RotationError(
                    f"the webhook secret was rotated already, and the one before it is valid until {until};"
                    " rotate it then, or with an overlap of 0, which ends both at once"
                )
            row.version += 1
            row.previous_until = at + overlap if overlap else None
            return self._secrets(owner, row, at)

    def _check(self, owner: str) -> None:
        self._installation()
        if not owner:
            raise NoSecretError("without API keys there are no owners: MOTES_WEBHOOK_SECRET signs all webhooks")

    def _installation(self) -> str:
        if self._master is None:
            raise NoSecretError("this server sends no webhooks; its operator must set MOTES_WEBHOOK_SECRET")
        return self._master.get_secret_value()

    def _secrets(self, owner: str, row: WebhookSecretRow | None, at: datetime) -> Secrets:
        version = 1 if row is None else row.version
        current = _derive(self._installation(), owner, version)
        if row is None or row.previous_until is None or row.previous_until <= at:
            return Secrets(current)
        return Secrets(current, _derive(self._installation(), owner, version - 1), row.previous_until)


def _derive(master: str, owner: str, version: int) -> str:
    """HKDF-Expand (RFC 5869) to one block: the master is a uniformly random key already.

    What messages sign begins with an id, so the master's own signatures are never one of these.
    """
    key = base64.b64decode(master.removeprefix("whsec_"))
    info = f"motes webhook secret\0{owner}\0{version}".encode()
    return f"whsec_{base64.b64encode(hmac.digest(key, info + bytes([1]), hashlib.sha256)).decode()}"
