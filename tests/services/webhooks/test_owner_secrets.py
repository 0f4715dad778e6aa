"""Each owner's webhooks are signed with a secret of its own, and with two while one is rotated."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from ecs_core.errors import MotesError
from services.auth.api_keys import ApiKeys
from services.database.clock import db_now
from services.database.engine import Sessions, open_database
from services.database.models import WebhookSecretRow
from services.webhooks.owner_secrets import NoSecretError, OwnerSecrets, RotationError
from tests.services.api.world import World, world_of
from tests.services.webhooks.test_delivery import PAYLOAD, SECRET, Receiver, delivering, receiver
from tests.services.webhooks.test_delivery_faults import add, all_delivered

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sessions(database: str) -> AsyncIterator[Sessions]:
    engine, sessions = open_database(database)
    yield sessions
    await engine.dispose()


@pytest.fixture
def secrets(sessions: Sessions) -> OwnerSecrets:
    return OwnerSecrets(sessions, SecretStr(SECRET))


def is_signed(server: Receiver, secret: str) -> bool:
    """Whether a receiver with this secret believes the last message."""
    headers, body = server.received[-1]
    try:
        return bool(Webhook(secret).verify(body.decode(), headers) == PAYLOAD)
    except WebhookVerificationError:
        return False


async def test_secrets_of_owners_differ(sessions: Sessions, secrets: OwnerSecrets) -> None:
    found = {owner: (await secrets.of(owner)).current for owner in ("alice", "bob", "alice1")}
    assert len({*found.values(), SECRET}) == 4
    assert {len(base64.b64decode(each.removeprefix("whsec_"))) for each in found.values()} == {32}
    assert found == {owner: (await secrets.of(owner)).current for owner in found}
    other = OwnerSecrets(sessions, SecretStr("whsec_" + base64.b64encode(bytes(32)).decode()))
    assert (await other.of("alice")).current != found["alice"]
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(WebhookSecretRow)) == 0


async def test_messages_are_signed_with_the_owners_secret(
    sessions: Sessions, secrets: OwnerSecrets, tmp_path: Path
) -> None:
    with receiver() as server:
        async with delivering(sessions, tmp_path):
            await all_delivered(sessions, await add(sessions, server.url, owner="alice"))
    assert is_signed(server, (await secrets.of("alice")).current)
    assert not is_signed(server, (await secrets.of("bob")).current)
    assert not is_signed(server, SECRET)


async def test_without_api_keys_the_installations_secret_signs(sessions: Sessions, tmp_path: Path) -> None:
    with receiver() as server:
        async with delivering(sessions, tmp_path):
            await all_delivered(sessions, await add(sessions, server.url))
    assert is_signed(server, SECRET)


async def test_two_secrets_are_valid_while_one_is_rotated(
    sessions: Sessions, secrets: OwnerSecrets, tmp_path: Path
) -> None:
    old, others = (await secrets.of("alice")).current, (await secrets.of("bob")).current
    rotated = await secrets.rotate("alice")
    assert rotated.current != old == rotated.previous
    assert await secrets.of("alice") == rotated
    assert (await secrets.of("bob")).valid == [others]
    with receiver() as server:
        async with delivering(sessions, tmp_path):
            await all_delivered(sessions, await add(sessions, server.url, owner="alice"))
            assert is_signed(server, old)
            assert is_signed(server, rotated.current)
            async with sessions.begin() as session:
                over = db_now(timedelta(seconds=-1))
                await session.execute(update(WebhookSecretRow).values(previous_until=over))
            assert (await secrets.of("alice")).valid == [rotated.current]
            await all_delivered(sessions, await add(sessions, server.url, owner="alice"))
            assert not is_signed(server, old)
            assert is_signed(server, rotated.current)
    assert (await secrets.rotate("alice")).previous == rotated.current


async def test_second_rotation_ends_no_secret_by_mistake(secrets: OwnerSecrets) -> None:
    """Such as that of a client who did not hear the answer, and asks again."""
    rotated = await secrets.rotate("alice", overlap=timedelta(hours=1))
    with pytest.raises(RotationError, match=r"^the webhook secret was rotated already, and the one before it is valid"):
        await secrets.rotate("alice")
    assert await secrets.of("alice") == rotated
    leaked = await secrets.rotate("alice", overlap=timedelta(0))
    assert (leaked.valid, leaked.previous_until) == ([leaked.current], None)
    assert leaked.current not in rotated.valid


async def test_concurrent_rotations_are_one(secrets: OwnerSecrets) -> None:
    found = await asyncio.gather(*(secrets.rotate("alice") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(each, RotationError) for each in found) == 4
    assert await secrets.of("alice") in found


@pytest.mark.parametrize("seconds", [-1, 31 * 86_400])
async def test_overlap_has_limits(secrets: OwnerSecrets, seconds: int) -> None:
    with pytest.raises(MotesError, match=r"^overlap = .* s: must be from 0 to 2592000 s$"):
        await secrets.rotate("alice", overlap=timedelta(seconds=seconds))


async def test_nobodys_secret_is_not_told(sessions: Sessions, secrets: OwnerSecrets) -> None:
    with pytest.raises(NoSecretError, match="MOTES_WEBHOOK_SECRET signs all webhooks"):
        await secrets.of("")
    with pytest.raises(NoSecretError, match="its operator must set MOTES_WEBHOOK_SECRET"):
        await OwnerSecrets(sessions, None).of("alice")


class TestApi:
    @pytest.fixture
    def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
        async def make(keys: ApiKeys, sessions: Sessions) -> dict[str, str]:
            wanted = {"alice": ("read", "render"), "reader": ("read",), "bob": ("read", "render"), "admin": ("admin",)}
            owners = {"reader": "alice"}
            return {
                name: (await keys.create(owner=owners.get(name, name), scopes=scopes))[1]
                for name, scopes in wanted.items()
            }

        with world_of(tmp_path, make, webhook_secret=SECRET, auth=request.param) as world:
            yield world

    @pytest.mark.parametrize("world", ["required"], indirect=True)
    def test_owner_reads_and_rotates_its_own(self, world: World) -> None:
        found = {who: world.call(who, "GET", "/webhook-secret") for who in ("alice", "bob", "admin")}
        assert {each.status_code for each in found.values()} == {200}
        assert {each.headers["cache-control"] for each in found.values()} == {"no-store"}
        assert len({each.json()["secret"] for each in found.values()}) == 3
        rotated = world.call("alice", "POST", "/webhook-secret/rotate", params={"overlap": 60}).json()
        assert rotated["previous_secret"] == found["alice"].json()["secret"] != rotated["secret"]
        assert world.call("alice", "GET", "/webhook-secret").json() == rotated
        assert world.call("bob", "GET", "/webhook-secret").json() == found["bob"].json()
        assert world.call("alice", "POST", "/webhook-secret/rotate").status_code == 409
        ended = world.call("alice", "POST", "/webhook-secret/rotate", params={"overlap": 0}).json()
        assert (ended["previous_secret"], ended["previous_until"]) == (None, None)
        assert world.call("alice", "POST", "/webhook-secret/rotate", params={"overlap": -1}).status_code == 400

    @pytest.mark.parametrize("world", ["required"], indirect=True)
    def test_keys_for_reading_do_not_read_it(self, world: World) -> None:
        """They are given to browsers."""
        for method, path in (("GET", "/webhook-secret"), ("POST", "/webhook-secret/rotate")):
            refused = world.call("reader", method, path)
            assert refused.status_code == 403
            assert refused.json()["detail"] == "The API key lacks the scope 'render'; it has read"

    @pytest.mark.parametrize("world", ["off"], indirect=True)
    def test_installations_secret_is_not_told(self, world: World) -> None:
        for method, path in (("GET", "/webhook-secret"), ("POST", "/webhook-secret/rotate")):
            refused = world.call(None, method, path)
            assert refused.status_code == 409
            assert SECRET not in refused.text
