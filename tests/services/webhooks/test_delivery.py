"""Webhooks: signed, repeated until they are heard, delivered by one worker at a time, never to a private address."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update
from standardwebhooks import Webhook

from services.database.clock import db_now
from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from services.database.models import DeliveryRow, JobRow, new_id
from services.settings import ServiceSettings
from services.webhooks.delivery import Deliverer, check_target
from services.webhooks.ssrf_guard import TargetRefusedError
from tests.services.board import Board
from tests.services.moments import Clock
from tests.waiting import HANG, eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAYLOAD = {"type": "job.completed", "timestamp": "2026-01-01T00:00:00+00:00", "data": {"job_id": "x", "name": "é"}}


@dataclass
class Receiver:
    """Somebody's server: what it received, and what it answers, in order; the last answer again and again.

    It answers nothing while ``answering`` is not set.
    """

    url: str = ""
    port: int = 0
    answers: list[int] = field(default_factory=lambda: [204])
    answering: threading.Event = field(default_factory=threading.Event)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiver(
    *answers: int, silent: bool = False, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    found = Receiver(answers=list(answers) or [204])
    if not silent:
        found.answering.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # it keeps connections open

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            found.answering.wait(HANG)
            self.send_response(found.answers.pop(0) if len(found.answers) > 1 else found.answers[0])
            self.send_header("Location", "/elsewhere")
            self.send_header("Set-Cookie", "of=another")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def finish_request(self, request: Any, client_address: Any) -> None:
            # A handshake that fails is nothing to report.
            with contextlib.suppress(ssl.SSLError, ConnectionError), contextlib.ExitStack() as stack:
                if tls is not None:
                    request = stack.enter_context(tls.wrap_socket(request, server_side=True))
                super().finish_request(request, client_address)

    server = Server((host, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    found.port = server.server_port
    found.url = f"http://{f'[{host}]' if ':' in host else host}:{found.port}/hook?of=me"
    try:
        yield found
    finally:
        found.answering.set()
        server.shutdown()
        thread.join()
        server.server_close()


def settings_of(folder: Path, **more: Any) -> ServiceSettings:
    return ServiceSettings.model_validate({"data": folder, "webhook_secret": SECRET, **more})


@asynccontextmanager
async def message(folder: Path, url: str) -> AsyncIterator[tuple[Sessions, str]]:
    """A database with one message to be delivered."""
    settings = settings_of(folder)
    await upgrade(settings.database)
    engine, sessions = open_database(settings.database)
    job = JobRow(
        id=new_id(), fairness_key="me", system_id="x", scene={"type": "snow"}, scene_key="x", output_path="x.mp4"
    )
    async with sessions.begin() as session:
        session.add(job)
        await session.flush()
        row = DeliveryRow(job_id=job.id, url=url, event="job.completed", payload=PAYLOAD)
        session.add(row)
    try:
        yield sessions, row.id
    finally:
        await engine.dispose()


async def stored(sessions: Sessions) -> DeliveryRow:
    async with sessions() as session:
        return (await session.scalars(select(DeliveryRow))).one()


async def until(sessions: Sessions, what: Callable[[DeliveryRow], bool]) -> DeliveryRow:
    """The message, as soon as that is true of it."""

    async def found() -> DeliveryRow | None:
        return row if what(row := await stored(sessions)) else None

    row: DeliveryRow = await eventually(found)
    return row


async def expire_leases(sessions: Sessions) -> None:
    """What is under way may be claimed again, as if its lease had ended."""
    over = db_now(timedelta(seconds=-1))
    async with sessions.begin() as session:
        await session.execute(
            update(DeliveryRow).where(DeliveryRow.lease_until.is_not(None)).values(lease_until=over, next_at=over)
        )


@asynccontextmanager
async def delivering(sessions: Sessions, folder: Path, *, count: int = 1, **options: Any) -> AsyncIterator[None]:
    settings = settings_of(folder, webhook_private_targets=options.pop("private", True))
    given = {"backoff": (0.05, 0.05, 0.05), "look_every": 0.02, "timeout": HANG, "lease": 2 * HANG, **options}
    tasks = [asyncio.create_task(Deliverer(sessions, settings, **given).run()) for _ in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def deliver(folder: Path, url: str, **options: Any) -> DeliveryRow:
    """Deliver one message; returns it as soon as nothing more will be done about it."""

    async def main() -> DeliveryRow:
        async with message(folder, url) as (sessions, _), delivering(sessions, folder, **options):
            return await until(sessions, lambda row: row.status != "pending")

    return asyncio.run(main())


def test_message_is_signed_with_the_time_of_the_database(tmp_path: Path, clock: Clock) -> None:
    clock.step(hours=-5)
    with receiver() as server:
        deliver(tmp_path, server.url)
    [(headers, _)] = server.received
    assert int(headers["webhook-timestamp"]) == int(clock().timestamp())


def test_message_is_signed_per_standard_webhooks(tmp_path: Path) -> None:
    with receiver() as server:
        row = deliver(tmp_path, server.url)
    [(headers, body)] = server.received
    assert Webhook(SECRET).verify(body.decode(), headers) == PAYLOAD
    assert (headers["webhook-id"], headers["content-type"]) == (row.id, "application/json")
    assert headers["host"] == server.url.split("/")[2]
    assert row.status == "delivered"
    assert [(attempt["status"], attempt["error"]) for attempt in row.attempts] == [(204, None)]


@pytest.mark.anyio
async def test_every_end_of_a_job_is_delivered(board: Board, tmp_path: Path) -> None:
    with receiver() as server:
        done = await board.submit(webhook_url=server.url)
        await board.work()
        broken, stopped = [await board.submit(webhook_url=server.url) for _ in range(2)]
        await board.submit()  # nobody is told of this one
        await board.jobs.fail(broken, "no such song")
        await board.jobs.cancel(stopped)
        async with delivering(board.sessions, tmp_path):
            await eventually(lambda: len(server.received) == 3)
    told = [Webhook(SECRET).verify(body.decode(), headers) for headers, body in server.received]
    assert {(each["type"], each["data"]["job_id"], each["data"]["error"]) for each in told} == {
        ("job.completed", done, None),
        ("job.failed", broken, "no such song"),
        ("job.cancelled", stopped, None),
    }
    assert {each["type"] == f"job.{each['data']['status']}" for each in told} == {True}


def test_failed_delivery_is_retried_under_the_same_id(tmp_path: Path) -> None:
    with receiver(500, 429, 200) as server:
        row = deliver(tmp_path, server.url)
    assert [attempt["status"] for attempt in row.attempts] == [500, 429, 200]
    assert row.status == "delivered"
    assert {headers["webhook-id"] for headers, _ in server.received} == {row.id}


def test_delivery_is_given_up_after_the_last_retry(tmp_path: Path) -> None:
    with receiver(503) as server:
        row = deliver(tmp_path, server.url)
    assert (row.status, len(row.attempts)) == ("failed", 4)  # at once, and after each of the three waits


def test_status_410_stops_the_retries(tmp_path: Path) -> None:
    with receiver(410) as server:
        row = deliver(tmp_path, server.url)
    assert (row.status, len(row.attempts)) == ("failed", 1)


def test_redirect_is_not_followed(tmp_path: Path) -> None:
    with receiver(302) as server:
        row = deliver(tmp_path, server.url, backoff=())
    assert (row.status, row.attempts[0]["error"], len(server.received)) == ("failed", "answered 302", 1)


def test_slow_receiver_times_out(tmp_path: Path) -> None:
    with receiver(silent=True) as server:
        row = deliver(tmp_path, server.url, backoff=(), timeout=0.2)
    assert row.status == "failed"
    assert "Timeout" in row.attempts[0]["error"]


def test_refused_connection_is_recorded(tmp_path: Path) -> None:
    row = deliver(tmp_path, "http://127.0.0.1:1/", backoff=())
    assert row.attempts[0]["status"] is None
    assert row.attempts[0]["error"].startswith("ConnectError")


def test_target_that_turned_private_is_not_called(tmp_path: Path) -> None:
    with receiver() as server:
        row = deliver(tmp_path, server.url, backoff=(), private=False)
    assert server.received == []
    assert row.attempts[0]["error"] == "127.0.0.1: is not a public address"


def test_one_of_many_workers_delivers(tmp_path: Path) -> None:
    with receiver() as server:
        deliver(tmp_path, server.url, count=5)
    assert len(server.received) == 1


def test_expired_delivery_is_taken_over(tmp_path: Path) -> None:
    async def main(server: Receiver) -> DeliveryRow:
        async with message(tmp_path, server.url) as (sessions, _):
            async with delivering(sessions, tmp_path, lease=60.0):
                await eventually(lambda: server.received)
            assert (await stored(sessions)).attempts == []  # it vanished before it could note anything
            server.answering.set()
            async with delivering(sessions, tmp_path):
                await expire_leases(sessions)
                return await until(sessions, lambda row: row.status == "delivered")

    with receiver(silent=True) as server:
        row = asyncio.run(main(server))
    assert [headers["webhook-id"] for headers, _ in server.received] == [row.id, row.id]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://0.0.0.0/",
        "http://10.1.2.3/",
        "http://192.168.0.1:8080/",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://127.1/",
    ],
)
def test_non_public_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(TargetRefusedError, match=r"^webhook_url: .*: is not a public address; "):
        asyncio.run(check_target(url, settings_of(tmp_path)))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.com/", "must begin with https:// or http://"),
        ("file:///etc/passwd", "must begin with"),
        ("example.com/hook", "must begin with"),
        ("http://", "must begin with"),
        ("http://me:secret@93.184.215.14/", "must not hold a user name"),
        ("http://93.184.215.14/" + "x" * 2000, "characters"),
        ("http://93.184.215.14:99999/", "port"),
        ("http://a b/", "webhook_url"),
        ("http://0177.0.0.1/", "invalid ipv4 address"),
        ("http://no-such-host.invalid/", "no-such-host.invalid: "),
        ("", "must begin with"),
    ],
)
def test_invalid_url_is_refused(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(TargetRefusedError, match=r"^webhook_url: ") as refused:
        asyncio.run(check_target(url, settings_of(tmp_path)))
    assert words in str(refused.value).lower()


def test_public_address_is_accepted(tmp_path: Path) -> None:
    asyncio.run(check_target("https://93.184.215.14:8443/hook", settings_of(tmp_path)))


def test_private_address_is_accepted_if_enabled(tmp_path: Path) -> None:
    asyncio.run(check_target("http://127.0.0.1/", settings_of(tmp_path, webhook_private_targets=True)))


def test_webhooks_need_a_secret(tmp_path: Path) -> None:
    with pytest.raises(TargetRefusedError, match="MOTES_WEBHOOK_SECRET"):
        asyncio.run(check_target("https://93.184.215.14/", settings_of(tmp_path, webhook_secret=None)))


@pytest.mark.parametrize("secret", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!"])
def test_weak_secret_is_refused_and_not_shown(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ValidationError, match="as base64") as refused:
        settings_of(tmp_path, webhook_secret=secret)
    assert "c2hvcnQ" not in str(refused.value)


def test_secret_is_neither_shown_nor_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), receiver(500, 200) as server:
        deliver(tmp_path, server.url)
    assert SECRET not in caplog.text
    assert SECRET not in repr(settings_of(tmp_path))
    assert SECRET not in json.dumps(settings_of(tmp_path).model_dump(mode="json"))
