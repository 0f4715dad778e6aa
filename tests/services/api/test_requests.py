"""Every request has an id, is logged once, and is answered whatever happens; who may read /metrics."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from starlette.types import Receive, Scope, Send

from services.api import create_app
from services.auth.api_keys import ApiKeys
from services.database.engine import open_database
from services.database.models import SystemRow
from services.observability import logs

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """The application, and routes that go wrong."""
    app = create_app()

    @app.get("/wrong/{job_id}")
    async def wrong(job_id: str) -> None:
        raise RuntimeError("nobody expected this")

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def body() -> Any:
            yield b"half"
            raise RuntimeError("nobody expected this")

        return StreamingResponse(body())

    return app


async def get(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://motes") as client:
        return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("sane", ["7", "1f0c9a", "deploy-7_b.2", "Root=1-67891233-abcdef", "a/b+c==", "x" * 128])
async def test_response_has_the_id_of_the_request(app: FastAPI, sane: str) -> None:
    assert (await get(app, "/nope", x_request_id=sane)).headers["x-request-id"] == sane


@pytest.mark.parametrize("other", ["", "x" * 129, "two words", "-", "a\tb", 'a"b', "a;b", "ä"])
async def test_invalid_id_is_replaced(app: FastAPI, other: str) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://motes") as client:
        answer = await client.get("/nope", headers=[(b"X-Request-ID", other.encode())])
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_generated_ids_are_unique(app: FastAPI) -> None:
    assert len({(await get(app, "/nope")).headers["x-request-id"] for _ in range(20)}) == 20


async def test_unexpected_error_is_a_problem_with_its_log_id(app: FastAPI, said: io.StringIO) -> None:
    answer = await get(app, "/wrong/3", x_request_id="the-request")
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "the-request")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "nobody expected" not in answer.text
    first, second = lines(said)
    assert (first["level"], first["request"]) == ("error", "the-request")
    assert "RuntimeError: nobody expected this" in first["exception"]
    assert (second["level"], second["status"], second["route"]) == ("info", 500, "/wrong/{job_id}")


async def test_interrupted_response_is_logged(app: FastAPI, said: io.StringIO) -> None:
    assert (await get(app, "/half")).status_code == 200
    assert any("nobody expected this" in line.get("exception", "") for line in lines(said))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("HEAD", "/metrics", "GET"),
        ("POST", "/docs", "GET, HEAD"),
        ("PATCH", "/particles/types", "GET"),
        ("PATCH", "/particles/systems/7", "DELETE, GET"),
    ],
)
async def test_wrong_method_is_refused_with_allow(app: FastAPI, method: str, path: str, allowed: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://motes") as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(("status", "lines_said"), [(200, 0), (404, 0), (401, 1), (403, 1), (429, 1)])
async def test_refused_request_is_logged(said: io.StringIO, status: int, lines_said: int) -> None:
    """So that attempts to guess keys are visible."""
    app = create_app()

    @app.get("/answered")
    async def answered() -> None:
        raise HTTPException(status)

    assert (await get(app, "/answered")).status_code == status
    found = [(line["level"], line["status"], line["route"]) for line in lines(said)]
    assert found == lines_said * [("info", status, "/answered")]


async def test_log_line_has_the_route_and_no_query(app: FastAPI, said: io.StringIO) -> None:
    system = "00000000-0000-4000-8000-000000000000"
    await get(app, f"/wrong/{system}?t=Hush")
    await get(app, "/wrong/Hush?title=Hush")
    await get(app, "/Hush")
    found = lines(said)
    assert found[1]["job"] == system
    assert "job" not in found[3]
    assert "Hush" not in said.getvalue()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, own_logging: None) -> io.StringIO:
    """What is logged as JSON at level info."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.set_up(form="json", level="info")
    return stream


def lines(said: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.getvalue().splitlines()]


class TestLogs:
    def test_line_has_only_the_bound_ids(self, said: io.StringIO) -> None:
        log = logging.getLogger("motes.test")
        with logs.bound(request="r"):
            with logs.bound(job="j"):
                log.info("within", extra={"about": {"status": 200}})
            log.warning("after\nthat")
        log.info("outside")
        within, after, outside = lines(said)
        told = {name: within[name] for name in ("message", "level", "logger", "request", "job", "status")}
        assert told == {
            **{"message": "within", "level": "info", "logger": "motes.test"},
            **{"request": "r", "job": "j", "status": 200},
        }
        assert (after["message"], after["request"], "job" in after) == ("after\nthat", "r", False)
        assert set(outside) == {"time", "level", "logger", "message"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", outside["time"])

    def test_keys_are_masked_in_every_logger(self, said: io.StringIO) -> None:
        key = f"motes_abcdefgh_{'x' * 43}"
        logging.getLogger("motes.test").warning("with %s", key)
        try:
            raise ValueError(f"http://motes/events?key={key}")
        except ValueError:
            logging.getLogger("anybody").exception("wrong")
        assert key not in said.getvalue()
        assert "motes_abcdefgh_****" in said.getvalue()

    def test_other_loggers_log_only_warnings(self, said: io.StringIO) -> None:
        logging.getLogger("httpx").info("HTTP Request: GET http://motes/?token=hush")
        logging.getLogger("motes.test").debug("not at level info")
        assert said.getvalue() == ""

    def test_text_format_suits_a_terminal(self, said: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stderr", said)
        logs.set_up(form="text", level="info")
        with logs.bound(job="j"):
            logging.getLogger("motes.test").info("done", extra={"about": {"status": 200}})
        assert said.getvalue().endswith(" INFO motes.test: done [job=j status=200]\n")


async def test_database_error_shows_no_values(database: str) -> None:
    engine, sessions = open_database(database)
    rows = [{"id": "same", "particle_type": "snow", "config": {"title": "Hush"}, "audio": "Hush"} for _ in range(2)]
    with pytest.raises(IntegrityError) as wrong:
        async with sessions.begin() as session:
            await session.execute(insert(SystemRow), rows)
    await engine.dispose()
    assert "Hush" not in str(wrong.value)


@pytest.fixture
async def keys_required(_sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment asks for keys; these are some, by their scope."""
    shutil.copy(_sqlite_template, tmp_path / "motes.db")
    for name, value in {"DATA": str(tmp_path), "AUTH": "required", "REDIS_URL": "redis://127.0.0.1:1/0"}.items():
        monkeypatch.setenv(f"MOTES_{name}", value)
    engine, sessions = open_database(f"sqlite+aiosqlite:///{tmp_path / 'motes.db'}")
    keys = {scope: (await ApiKeys(sessions).create(owner="x", scopes=(scope,)))[1] for scope in ("read", "admin")}
    await engine.dispose()
    return keys


HERE, ELSEWHERE = "127.0.0.1", "203.0.113.9"


async def get_from(client: str, path: str, headers: dict[str, str]) -> httpx.Response:
    """Request ``path`` as a client with the address ``client``."""
    app = create_app()
    async with app.router.lifespan_context(app) as state:

        async def running(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(running, client=(client, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://motes") as http:
            return await http.get(path, headers=headers)


@pytest.mark.parametrize(
    ("client", "key", "headers", "status"),
    [
        (HERE, None, {}, 200),
        (HERE, None, {"X-Forwarded-For": ELSEWHERE}, 401),
        (HERE, None, {"Forwarded": f"for={ELSEWHERE}"}, 401),
        (ELSEWHERE, None, {}, 401),
        (ELSEWHERE, "read", {}, 403),
        (ELSEWHERE, "admin", {}, 200),
    ],
)
async def test_metrics_need_localhost_or_admin(
    keys_required: dict[str, str], client: str, key: str | None, headers: dict[str, str], status: int
) -> None:
    sent = headers | ({"Authorization": f"Bearer {keys_required[key]}"} if key else {})
    answer = await get_from(client, "/metrics", sent)
    assert answer.status_code == status
    assert ("motes_http_requests_total" in answer.text) == (status == 200)


@pytest.mark.usefixtures("keys_required")
async def test_metrics_can_be_opened_to_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTES_METRICS_OPEN", "true")
    assert (await get_from(ELSEWHERE, "/metrics", {})).status_code == 200
    assert (await get_from(ELSEWHERE, "/particles/jobs", {})).status_code == 401
