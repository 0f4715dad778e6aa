"""What a client may send as a corrected analysis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.auth.api_keys import ANONYMOUS, ApiKeys
from services.database.engine import Sessions
from services.database.migrations import upgrade
from services.database.models import AudioRow, UploadRow
from tests.services.api.world import changed, served
from tests.waiting import HANG

SONG, SECONDS = "a" * 64, 3600
GOOD = {"schema": "motes-analysis", "version": 1, "duration": SECONDS}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The service, where no keys are asked for, with a song of an hour."""
    data = tmp_path_factory.mktemp("analysis")
    database = f"sqlite+aiosqlite:///{data / 'motes.db'}"
    asyncio.run(upgrade(database))

    async def upload(keys: ApiKeys, sessions: Sessions) -> None:
        async with sessions.begin() as session:
            session.add(AudioRow(sha256=SONG, suffix=".mp3", size=1, duration=SECONDS, sample_rate=44_100, channels=2))
            await session.flush()
            session.add(UploadRow(owner=ANONYMOUS.owner, sha256=SONG))

    changed(database, upload)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"DATA": str(data), "DATABASE_URL": database, "REDIS_URL": "redis://127.0.0.1:1/0"}.items():
            patch.setenv(f"MOTES_{name}", value)
        with served() as url, httpx.Client(base_url=f"{url}/particles", trust_env=False, timeout=HANG) as client:
            yield client


def put(client: httpx.Client, **said: Any) -> httpx.Response:
    return client.put(f"/audio/{SONG}/analysis", json=GOOD | said)


def test_analysis_of_an_hour_of_fast_music_is_accepted(client: httpx.Client) -> None:
    every = {"onsets": 0.0625, "hats": 0.0625, "kicks": 0.25, "snares": 0.5, "beats": 0.25, "downbeats": 1.0}
    events = {}
    for name, step in every.items():
        times = [round(number * step + 0.012345, 6) for number in range(int(SECONDS / step))]
        events[name] = {"times": times, "strengths": [0.1234] * len(times)}
    answer = put(client, events=events)
    assert len(answer.request.content) > 2_000_000
    assert answer.status_code == 200, answer.text


def test_curves_that_are_too_long_can_be_left_out(client: httpx.Client) -> None:
    answer = put(client, curves={"rms": {"values": [0.01234] * 400_000}})
    assert answer.status_code == 413
    said = "The body is larger than 3000000 bytes; leave out the curves, and events that are as heard"
    assert answer.json()["detail"] == said


def test_far_too_many_values_are_refused(client: httpx.Client) -> None:
    answer = put(client, labels=[0] * 500_000)
    assert (answer.status_code, answer.json()["detail"]) == (422, "The body has more than 500000 values")


def test_limit_of_other_bodies_is_unchanged(client: httpx.Client) -> None:
    answer = client.post("/create", json={"particle_type": "x" * 600_000})
    assert (answer.status_code, answer.json()["detail"]) == (413, "The body is larger than 500000 bytes")
