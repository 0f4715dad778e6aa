"""Webhooks when something is wrong: killed workers, databases that fail, receivers that are slow or never stop."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from standardwebhooks import Webhook

from services.database.engine import Sessions, open_database
from services.database.models import DeliveryRow, JobRow, new_id
from tests.services.webhooks.test_delivery import (
    PAYLOAD,
    SECRET,
    deliver,
    delivering,
    expire_leases,
    message,
    receiver,
    stored,
    until,
)
from tests.waiting import HANG, eventually

WORKER = """
import asyncio, sys
from pathlib import Path
from services.database.engine import open_database
from services.webhooks.delivery import Deliverer
from tests.services.webhooks.test_delivery import settings_of

settings = settings_of(Path(sys.argv[1]), webhook_private_targets=True)
_, sessions = open_database(settings.database)
asyncio.run(Deliverer(sessions, settings, lease=3600.0, look_every=0.02).run())
"""


async def add(
    sessions: Sessions, *urls: str, owner: str = "", count: int = 1, payload: dict[str, Any] = PAYLOAD
) -> list[str]:
    """More messages, so many to each URL; returns their ids."""
    job = JobRow(
        id=new_id(),
        owner=owner,
        fairness_key="me",
        system_id="x",
        scene={"type": "snow"},
        scene_key="x",
        output_path="x.mp4",
    )
    rows = [
        DeliveryRow(job_id=job.id, url=url, event="job.completed", payload=payload)
        for url in urls
        for _ in range(count)
    ]
    async with sessions.begin() as session:
        session.add(job)
        await session.flush()
        session.add_all(rows)
    return [row.id for row in rows]


async def statuses(sessions: Sessions) -> dict[str, str]:
    async with sessions() as session:
        return {row.id: row.status for row in await session.scalars(select(DeliveryRow))}


async def all_delivered(sessions: Sessions, ids: list[str]) -> None:
    async def are_delivered() -> bool:
        found = await statuses(sessions)
        return {found[each] for each in ids} == {"delivered"}

    await eventually(are_delivered)


@contextmanager
def raw_receiver(*pieces: bytes, every: float = 0.0, repeats: int = 1_000_000) -> Iterator[tuple[str, list[int]]]:
    """A server that says these pieces, the last one again and again; and how many bytes a client took of it each."""
    taken: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    taken.append(0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                    connection.recv(65536)
                    connection.settimeout(HANG)
                    with suppress(ConnectionError):
                        for number in range(repeats):
                            taken[-1] += connection.send(pieces[min(number, len(pieces) - 1)])
                            time.sleep(every)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", taken
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_each_message_is_delivered_by_one_of_many_workers(database: str, tmp_path: Path) -> None:
    """On SQLite and PostgreSQL."""

    async def main(url: str) -> list[str]:
        engine, sessions = open_database(database)
        ids = await add(sessions, url, count=40)
        async with delivering(sessions, tmp_path, count=4):
            await all_delivered(sessions, ids)
        await engine.dispose()
        return ids

    with receiver() as server:
        ids = asyncio.run(main(server.url))
    assert Counter(headers["webhook-id"] for headers, _ in server.received) == Counter(ids)


def test_killed_workers_message_is_delivered_again_under_the_same_id(tmp_path: Path) -> None:
    async def main() -> DeliveryRow:
        async with message(tmp_path, server.url) as (sessions, _):
            worker = subprocess.Popen((sys.executable, "-c", WORKER, str(tmp_path)))
            await eventually(lambda: server.received or worker.poll() is not None)
            assert worker.poll() is None
            worker.kill()
            worker.wait()
            assert (await stored(sessions)).attempts == []
            server.answering.set()
            await expire_leases(sessions)
            async with delivering(sessions, tmp_path):
                return await until(sessions, lambda row: row.status == "delivered")

    with receiver(silent=True) as server:
        row = asyncio.run(main())
    assert [headers["webhook-id"] for headers, _ in server.received] == [row.id, row.id]
    assert len(row.attempts) == 1


def test_silent_receivers_do_not_delay_others(tmp_path: Path) -> None:
    async def main() -> None:
        async with message(tmp_path, silent.url) as (sessions, _):
            await add(sessions, silent.url, count=5)
            async with delivering(sessions, tmp_path):
                await eventually(lambda: len(silent.received) == 4)  # which an owner may have under way to a host
                for _ in range(3):
                    await all_delivered(sessions, await add(sessions, quick.url, count=4))

    with receiver(silent=True) as silent, receiver() as quick:
        asyncio.run(main())
        assert not silent.answering.is_set()
    assert len(quick.received) == 12


def test_deliverer_survives_database_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> DeliveryRow:
        async with message(tmp_path, server.url) as (sessions, _):
            async with sessions.begin() as session:
                await session.execute(text("ALTER TABLE deliveries RENAME TO gone"))
            async with delivering(sessions, tmp_path):
                await eventually(lambda: "looking for webhooks failed" in caplog.text)
                async with sessions.begin() as session:
                    await session.execute(text("ALTER TABLE gone RENAME TO deliveries"))
                return await until(sessions, lambda row: row.status == "delivered")

    with receiver() as server:
        asyncio.run(main())
    assert len(server.received) == 1


def test_unrecorded_delivery_is_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> DeliveryRow:
        async with message(tmp_path, server.url) as (sessions, _), delivering(sessions, tmp_path, lease=60.0):
            await eventually(lambda: server.received)
            async with sessions.begin() as session:
                await session.execute(text("ALTER TABLE deliveries RENAME TO gone"))
            server.answering.set()
            await eventually(lambda: "cannot be stored" in caplog.text)
            async with sessions.begin() as session:
                await session.execute(text("ALTER TABLE gone RENAME TO deliveries"))
            await expire_leases(sessions)
            return await until(sessions, lambda row: row.status == "delivered")

    with receiver(silent=True) as server:
        row = asyncio.run(main())
    assert {headers["webhook-id"] for headers, _ in server.received} == {row.id}
    assert len(server.received) == 2


def test_status_counts_even_if_the_body_is_cut_off(tmp_path: Path) -> None:
    with raw_receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x", repeats=9) as (url, taken):
        row = deliver(tmp_path, url, backoff=())
    assert (row.status, row.attempts[0]["status"], row.attempts[0]["error"]) == ("delivered", 200, None)
    assert len(taken) == 1


def test_endless_response_is_not_read(tmp_path: Path) -> None:
    with raw_receiver(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536) as (url, taken):
        row = deliver(tmp_path, url, backoff=())
    assert row.status == "delivered"
    assert sum(taken) < 10_000_000  # what the system took off the wire by itself


def test_dripping_response_head_times_out(tmp_path: Path) -> None:
    """Every byte arrives in time but the head never ends, so the total timeout applies."""
    with raw_receiver(b"HTTP/1.1 200 OK\r\n", b"x", every=0.05) as (url, _):
        row = deliver(tmp_path, url, backoff=(), timeout=0.3)
    assert row.status == "failed"
    assert "Timeout" in row.attempts[0]["error"]  # of a single byte, too, where the machine is busy


def test_response_that_is_not_http_is_a_failure(tmp_path: Path) -> None:
    with raw_receiver(b"SSH-2.0-OpenSSH_9.2\r\n") as (url, _):
        row = deliver(tmp_path, url)
    assert (row.status, len(row.attempts)) == ("failed", 4)
    assert {attempt["error"].partition(":")[0] for attempt in row.attempts} == {"RemoteProtocolError"}


@pytest.mark.parametrize("url", ["", "nonsense", "http://[", "http://x\n/", "ftp://example.com/"])
def test_unsendable_message_is_given_up(tmp_path: Path, url: str) -> None:
    """An older version may have accepted it."""
    row = deliver(tmp_path, url)
    assert (row.status, len(row.attempts)) == ("failed", 4)


def test_invalid_unicode_is_delivered(tmp_path: Path) -> None:
    """A job's error may quote a file name that is not valid Unicode."""
    payload = {**PAYLOAD, "data": {"error": "no such file: \udcff.mp3"}}

    async def main() -> None:
        async with message(tmp_path, server.url) as (sessions, _), delivering(sessions, tmp_path):
            await all_delivered(sessions, await add(sessions, server.url, payload=payload))

    with receiver() as server:
        asyncio.run(main())
    told = [Webhook(SECRET).verify(body.decode(), headers) for headers, body in server.received]
    assert payload in told


def test_payload_is_the_stored_data_as_compact_json(tmp_path: Path) -> None:
    with receiver() as server:
        deliver(tmp_path, server.url)
    [(_, body)] = server.received
    assert body == json.dumps(PAYLOAD, separators=(",", ":")).encode()
