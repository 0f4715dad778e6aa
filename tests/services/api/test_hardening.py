"""What browsers are told, which pages get in where no keys are asked for, and how long anybody is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import HTTPException
from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from services.api.middleware import connections, hardening
from services.api.middleware.connections import server_options
from services.api.routes import systems
from services.auth.api_keys import ApiKeys
from services.database.engine import Sessions
from services.database.models import new_id
from services.settings import ServiceSettings
from tests.services.api.world import SMALL, changed, served
from tests.waiting import HANG

OURS = "https://app.example.org"
EVIL = "https://evil.example"
PATIENCE = (
    (connections, "HEADERS_TIMEOUT"),
    (connections, "WRITE_TIMEOUT"),
    (connections, "_PING_INTERVAL"),
    (hardening, "_GRACE"),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder, and settings that servers of these tests share: no keys, as on one's own machine."""
    folder = tmp_path_factory.mktemp("hardening")
    values = {"DATA": str(folder), "DATABASE_URL": "", "REDIS_URL": "redis://127.0.0.1:1/0", "AUTH": "auto"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(f"MOTES_{name}", value)
        yield folder


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[httpx.Client]:
    """As ``motes api`` serves it, and patient; tests of what it does not wait for shorten the time they are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTES_CORS_ORIGINS", f"{OURS}, http://localhost:3000")
        patch.setenv("MOTES_ALLOWED_HOSTS", "motes.local")
        for module, name in PATIENCE:
            patch.setattr(module, name, HANG)
        with (
            served(**server_options(ServiceSettings())) as url,
            httpx.Client(base_url=f"{url}/particles", trust_env=False, timeout=HANG) as client,
        ):
            patch.delenv("MOTES_CORS_ORIGINS")  # it has been read
            patch.delenv("MOTES_ALLOWED_HOSTS")
            yield client


@pytest.fixture(scope="module")
def system(client: httpx.Client) -> str:
    return str(client.post("/create", json={"particle_type": "snow", "config": SMALL}).json()["system_id"])


class TestSecurityHeaders:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/systems", 200),
            ("GET", "/health", 200),
            ("GET", "/systems/00000000-0000-4000-8000-000000000000", 404),
            ("POST", "/create", 400),
            ("POST", "/audio", 415),
            ("PATCH", "/systems", 405),
            ("GET", "/nowhere", 404),
        ],
    )
    def test_are_strict_on_every_response(self, client: httpx.Client, method: str, path: str, status: int) -> None:
        answer = client.request(method, path)
        assert answer.status_code == status
        self.assert_strict(answer)

    def assert_strict(self, answer: httpx.Response) -> None:
        wanted = {
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "Cache-Control": "no-store",
        }
        assert {name: answer.headers.get(name) for name in wanted} == wanted
        assert "Strict-Transport-Security" not in answer.headers  # it was no TLS

    def test_are_strict_on_internal_errors(self, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(systems, "check_config", broken)
        answer = client.post("/create", json={"particle_type": "snow"})
        assert answer.status_code == 500
        assert "ZeroDivisionError" not in answer.text
        self.assert_strict(answer)

    def test_include_hsts_behind_a_tls_proxy(self, client: httpx.Client) -> None:
        answer = client.get("/health", headers={"X-Forwarded-Proto": "https"})
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"

    def test_allow_the_scripts_of_the_docs_page(self, client: httpx.Client) -> None:
        answer = client.get(client.base_url.join("/docs"))
        assert "https://cdn.jsdelivr.net" in answer.text
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'unsafe-inline' https://cdn.jsdelivr.net" in policy
        assert "default-src 'none'; frame-ancestors 'none'" in policy

    def test_forbid_caching_by_default(self, client: httpx.Client, system: str) -> None:
        assert client.get("/types").headers["Cache-Control"] == "no-store"
        assert client.head(f"/download/{new_id()}").headers["Cache-Control"] == "no-store"


class TestCrossSiteRequests:
    """Without API keys, requests that a browser sends for a foreign page are refused."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},
            {"Host": "127.0.0.1.evil.example:8000"},
            {"Host": "localhost.evil.example"},
            {"Host": "evil.example", "Origin": "http://evil.example"},  # what rebinding looks like
            {"Origin": EVIL},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1"},  # another port of this machine
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        ],
    )
    def test_are_refused(self, client: httpx.Client, system: str, headers: dict[str, str]) -> None:
        for method, path, more in (
            ("GET", f"/systems/{system}/frame", {}),
            ("GET", "/jobs", {}),
            ("DELETE", f"/systems/{system}", {}),
            ("POST", "/create", {"json": {"particle_type": "snow"}}),
            ("POST", "/audio", {"files": {"file": ("a.wav", b"x")}}),
        ):
            answer = client.request(method, path, headers=headers, **more)
            assert answer.status_code == 403, (method, path)
            assert names_a_header(answer.json()["detail"])
        assert client.get(f"/systems/{system}").status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Host": "localhost:8000"},
            {"Host": "LOCALHOST"},
            {"Host": "[::1]:8000"},
            {"Host": "192.168.1.5:8000"},
            {"Host": "motes.local"},
            {"Host": "localhost:8000", "Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"},
            {"Origin": OURS, "Sec-Fetch-Site": "cross-site"},
            {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
        ],
    )
    def test_from_the_same_site_are_accepted(self, client: httpx.Client, headers: dict[str, str]) -> None:
        for method, path, more in (("GET", "/jobs", {}), ("POST", "/create", {"json": {"particle_type": "snow"}})):
            assert client.request(method, path, headers=headers, **more).status_code == 200

    def test_may_follow_links_but_not_post(self, client: httpx.Client) -> None:
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert client.get("/jobs", headers=headers).status_code == 200
        assert client.post("/create", json={"particle_type": "snow"}, headers=headers).status_code == 403

    @pytest.mark.parametrize("headers", [{"Origin": EVIL}, {"Host": "evil.example"}])
    def test_cannot_open_websockets(self, client: httpx.Client, system: str, headers: dict[str, str]) -> None:
        host = headers.get("Host", f"127.0.0.1:{client.base_url.port}")
        with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as plain:
            uri = f"ws://{host}/particles/ws/{system}"
            origin: Any = headers.get("Origin")
            with connect(uri, sock=plain, origin=origin, proxy=None) as websocket, pytest.raises(ConnectionClosed):
                websocket.recv(timeout=HANG)
            assert websocket.close_code == 1008
            assert names_a_header(websocket.close_reason or "")

    def test_need_a_key_where_keys_are_required(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No foreign page knows the key, so any host name is accepted with it."""

        async def make(keys: ApiKeys, sessions: Sessions) -> str:
            return (await keys.create(owner="alice"))[1]

        monkeypatch.setenv("MOTES_AUTH", "required")
        with served() as url, httpx.Client(base_url=f"{url}/particles", trust_env=False) as client:
            key = changed(f"sqlite+aiosqlite:///{data / 'motes.db'}", make)  # which has tables once it is served
            strange = {"Host": "motes.example.org", "Origin": EVIL}
            assert client.get("/jobs", headers=strange).status_code == 401
            assert client.get("/jobs", headers=strange | {"X-API-Key": key}).status_code == 200


def names_a_header(text: str) -> bool:
    return text.startswith(("Host: ", "Origin: ", "Sec-Fetch-Site: "))


class TestCors:
    def test_is_off_unless_set(self, data: Path) -> None:
        with served() as url:
            asked = {"Origin": OURS, "Access-Control-Request-Method": "POST"}
            preflight = httpx.options(f"{url}/particles/create", headers=asked, trust_env=False)
            assert preflight.status_code == 405
            read = httpx.get(f"{url}/particles/types", headers={"Origin": OURS}, trust_env=False)
            assert not [name for name in (*preflight.headers, *read.headers) if name.startswith("access-control")]
            assert read.headers["Cross-Origin-Resource-Policy"] == "same-origin"

    @pytest.mark.parametrize("origin", [OURS, "http://localhost:3000"])
    def test_allows_listed_origins(self, client: httpx.Client, origin: str) -> None:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization, x-api-key, content-type, idempotency-key",
        }
        preflight = client.options("/create", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == origin
        assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
        for path in ("/jobs", f"/systems/{new_id()}"):
            answer = client.get(path, headers={"Origin": origin})
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]
            assert "Access-Control-Allow-Credentials" not in answer.headers

    @pytest.mark.parametrize("origin", [EVIL, "null", f"{OURS}.evil.example", "http://app.example.org"])
    def test_refuses_other_origins(self, client: httpx.Client, origin: str) -> None:
        preflight = client.options("/create", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert preflight.status_code == 400
        read = client.get("/health", headers={"Origin": origin})
        for answer in (preflight, read):
            assert "Access-Control-Allow-Origin" not in answer.headers


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "wrong"),
        [
            ("cors_origins", "*"),
            ("cors_origins", "app.example.org"),
            ("cors_origins", "https://app.example.org/"),
            ("cors_origins", "https://app.example.org, null"),
            ("allowed_hosts", "*"),
            ("allowed_hosts", "motes.local:8000"),
            ("allowed_hosts", "http://motes.local"),
            ("trusted_proxies", "*"),
            ("trusted_proxies", "proxy.example"),
            ("trusted_proxies", "10.0.0.1/8"),
            ("max_particles", "10"),
            ("limit_open_jobs", "-1"),
        ],
    )
    def test_invalid_values_are_refused(self, name: str, wrong: str) -> None:
        with pytest.raises(ValidationError, match=name):
            ServiceSettings(**{name: wrong})

    @pytest.mark.parametrize(
        ("name", "right"),
        [
            ("cors_origins", "https://app.example.org,http://localhost:3000 , http://[::1]:3000"),
            ("allowed_hosts", "motes.local, motes"),
            ("trusted_proxies", "10.0.0.0/8, ::1,192.0.2.1"),
            ("trusted_proxies", ""),
        ],
    )
    def test_valid_values_are_accepted(self, name: str, right: str) -> None:
        assert getattr(ServiceSettings(**{name: right}), name) == right


class TestProxies:
    """Only trusted proxies may state the client's address."""

    @pytest.mark.parametrize(("trusted", "status"), [("127.0.0.1", 401), ("", 200), ("10.0.0.0/8", 200)])
    def test_only_trusted_proxies_are_believed(
        self, data: Path, monkeypatch: pytest.MonkeyPatch, trusted: str, status: int
    ) -> None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own, which is not asked
        monkeypatch.setenv("MOTES_TRUSTED_PROXIES", trusted)
        with served() as url:
            headers = {"X-Forwarded-For": "203.0.113.9"}  # from where a key would be needed
            answer = httpx.get(f"{url}/particles/jobs", headers=headers, trust_env=False)
        assert answer.status_code == status

    def test_client_is_the_last_untrusted_address(self, data: Path) -> None:
        """Addresses that the client itself put into the header are ignored."""
        with served(**server_options(ServiceSettings())) as url:
            headers = {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}
            assert httpx.get(f"{url}/particles/jobs", headers=headers, trust_env=False).status_code == 401

    def test_unknown_client_addresses_need_a_key(self, data: Path) -> None:
        with served(**server_options(ServiceSettings())) as url, httpx.Client(trust_env=False) as client:
            for said, status in {"127.0.0.1": 200, "unknown": 401, "foo": 401, "8.8.8.8,": 401, ",": 401}.items():
                answer = client.get(f"{url}/particles/jobs", headers={"X-Forwarded-For": said})
                assert (said, answer.status_code) == (said, status)


@pytest.fixture(scope="module")
def site(data: Path) -> Iterator[httpx.Client]:
    """The whole application."""
    with served() as url, httpx.Client(base_url=url, trust_env=False, timeout=HANG) as client:
        yield client


class TestPrefix:
    """A proxy that strips a prefix from paths says so in X-Forwarded-Prefix."""

    @pytest.mark.parametrize(
        ("said", "prefix"),
        [
            ("/motes", "/motes"),
            ("/motes/", "/motes"),
            ("/apps/motes-2", "/apps/motes-2"),
            ("/outer, /inner", "/outer/inner"),
            ("/", ""),
            ("", ""),
            ("motes", ""),
            ("//evil.example", ""),
            ("/a/../b", ""),
            ("https://evil.example/", ""),
            ("/a>b", ""),
            ("/" + "a" * 300, ""),
        ],
    )
    def test_links_begin_with_the_prefix(self, site: httpx.Client, said: str, prefix: str) -> None:
        headers = {"X-Forwarded-Prefix": said}
        system = site.post("/particles/create", json={"particle_type": "snow"}, headers=headers).json()["system_id"]
        site.post("/particles/create", json={"particle_type": "snow"})
        body = {"duration": 0.1, "width": 16, "height": 16}
        accepted = site.post(f"/particles/systems/{system}/render", json=body, headers=headers)
        assert accepted.headers["Location"] == f"{prefix}/particles/jobs/{accepted.json()['job_id']}"
        page = site.get("/particles/systems?limit=1", headers=headers)
        assert page.headers["Link"].startswith(f"<{prefix}/particles/systems?limit=1&cursor=")

    def test_documentation_is_found_under_the_prefix(self, site: httpx.Client) -> None:
        headers = {"X-Forwarded-Prefix": "/motes"}
        assert "url: '/motes/openapi.json'" in site.get("/docs", headers=headers).text
        assert site.get("/openapi.json", headers=headers).json()["servers"] == [{"url": "/motes"}]
        assert "servers" not in site.get("/openapi.json").json()

    def test_prefix_is_no_part_of_the_route(self, site: httpx.Client) -> None:
        """In metrics, in the methods that are allowed and for requests that are repeated."""
        headers = {"X-Forwarded-Prefix": "/labels"}
        assert site.put("/particles/jobs", headers=headers).headers["Allow"] == "GET"
        assert site.get("/particles/jobs?no=1", headers=headers).status_code == 400
        body, once = {"particle_type": "snow"}, {"Idempotency-Key": "prefix"}
        made = site.post("/particles/create", json=body, headers=headers | once).json()
        assert site.post("/particles/create", json=body, headers=once).json() == made
        text = site.get("/metrics").text
        assert 'route="/particles/jobs"' in text
        assert "/labels" not in text

    def test_others_are_not_believed(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_TRUSTED_PROXIES", "10.0.0.0/8")
        with served() as url:
            said = httpx.get(f"{url}/docs", headers={"X-Forwarded-Prefix": "/motes"}, trust_env=False).text
        assert "url: '/openapi.json'" in said


def plain(client: httpx.Client) -> socket.socket:
    """A connection that sends what it is told to, and reads when it wants to."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(HANG)
    connection.connect(("127.0.0.1", client.base_url.port))
    return connection


def ended(connection: socket.socket) -> bytes:
    """What is said until the other side ends the connection."""
    said = b""
    try:
        while more := connection.recv(65536):
            said += more
    except ConnectionResetError:
        pass
    return said


def until_cut_off(connection: socket.socket, text: Callable[[], bytes], every: float = 0.05) -> None:
    """Send a little now and then, until the other side ends the connection."""
    end = time.monotonic() + HANG
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while time.monotonic() < end:
            connection.sendall(text())
            time.sleep(every)
        raise AssertionError("nobody minds")


HEAD = b"POST /particles/create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class TestSlowClients:
    @pytest.fixture
    def short(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], None]:
        """Shortens one of the times for which a client is waited for, from now on."""
        return lambda module, name: monkeypatch.setattr(module, name, 0.3)

    def test_silent_connection_is_closed(self, client: httpx.Client, short: Callable[[Any, str], None]) -> None:
        short(connections, "HEADERS_TIMEOUT")
        with closing(plain(client)) as connection:
            assert ended(connection) == b""

    def test_endless_headers_are_cut_off(self, client: httpx.Client, short: Callable[[Any, str], None]) -> None:
        short(connections, "HEADERS_TIMEOUT")
        with closing(plain(client)) as connection:
            connection.sendall(b"GET /particles/jobs HTTP/1.1\r\n")
            until_cut_off(connection, lambda: b"X-A: b\r\n")

    def test_endless_headers_of_a_second_request_are_cut_off(
        self, client: httpx.Client, short: Callable[[Any, str], None]
    ) -> None:
        with closing(plain(client)) as connection:
            connection.sendall(b"GET /particles/nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(9) == b"HTTP/1.1 "
            short(connections, "HEADERS_TIMEOUT")
            until_cut_off(connection, lambda: b"G")

    @pytest.mark.parametrize("length", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
    def test_missing_body_is_answered_with_408(
        self, client: httpx.Client, short: Callable[[Any, str], None], length: bytes
    ) -> None:
        short(hardening, "_GRACE")
        with closing(plain(client)) as connection:
            connection.sendall(HEAD + length)
            said = ended(connection)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"The body arrives too slowly" in said
        assert b"connection: close" in said.lower()

    def test_body_that_trickles_is_cut_off(self, client: httpx.Client, short: Callable[[Any, str], None]) -> None:
        short(hardening, "_GRACE")
        with closing(plain(client)) as connection:
            connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            until_cut_off(connection, lambda: b"1\r\n \r\n")

    def test_upload_that_trickles_is_cut_off(self, client: httpx.Client, short: Callable[[Any, str], None]) -> None:
        short(hardening, "_GRACE")
        with closing(plain(client)) as connection:
            head = b"POST /particles/audio HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
            connection.sendall(head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n")
            until_cut_off(connection, lambda: b"x")

    @pytest.mark.parametrize(("piece", "arrives"), [(1000, True), (100, False)])
    def test_body_earns_a_second_for_each_thousand_bytes(
        self, monkeypatch: pytest.MonkeyPatch, piece: int, arrives: bool
    ) -> None:
        """The body comes in one piece per second and exceeds the grace period, which is fine if it is fast enough."""
        seconds = 0.0

        async def receive() -> dict[str, Any]:
            nonlocal seconds
            await asyncio.sleep(0.001)  # so that a timeout that is over is noticed
            seconds += 1.0
            return {"type": "http.request", "body": bytes(piece), "more_body": seconds < 5}

        async def application(scope: Any, receive: Any, send: Any) -> None:
            while (await receive())["more_body"]:
                pass

        async def send(message: Any) -> None:
            raise AssertionError(message)

        monkeypatch.setattr(hardening, "_GRACE", 1.5)
        monkeypatch.setattr(hardening, "time", SimpleNamespace(monotonic=lambda: seconds))
        monkeypatch.setattr(hardening.asyncio, "timeout", lambda left, real=asyncio.timeout: real(HANG if left else 0))
        body = hardening._BodyTimeout(application)({"type": "http"}, receive, send)
        with contextlib.nullcontext() if arrives else pytest.raises(HTTPException, match="too slowly"):
            asyncio.run(body)
        assert (seconds == 5) == arrives

    def test_client_that_reads_no_answers_is_cut_off(
        self, client: httpx.Client, short: Callable[[Any, str], None]
    ) -> None:
        short(connections, "WRITE_TIMEOUT")
        with closing(plain(client)) as connection:
            ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
            until_cut_off(connection, lambda: ask * 20, every=0.02)

    def test_client_that_reads_nothing_of_a_websocket_is_cut_off(
        self, client: httpx.Client, system: str, short: Callable[[Any, str], None]
    ) -> None:
        """It answers no pings either."""
        short(connections, "WRITE_TIMEOUT")
        short(connections, "_PING_INTERVAL")
        with served(**server_options(ServiceSettings())) as url, closing(plain(httpx.Client(base_url=url))) as reader:
            path = f"/particles/ws/{system}".encode()
            reader.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n")
            reader.sendall(b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
            reader.sendall(b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
            frame = b"\x81\xfe" + (1000).to_bytes(2, "big") + bytes(4) + b"?" * 1000  # which is answered at length
            until_cut_off(reader, lambda: frame * 20, every=0.02)

    def test_websocket_message_that_is_too_large_is_refused(self, client: httpx.Client, system: str) -> None:
        with connect(f"ws://localhost:{client.base_url.port}/particles/ws/{system}", proxy=None) as websocket:
            websocket.send("x" * 600_000)
            with contextlib.suppress(ConnectionClosed):
                for _ in websocket:
                    pass
            assert websocket.close_code == 1009

    def test_server_still_answers(self, client: httpx.Client) -> None:
        """The connections of the tests above no longer occupy it."""
        assert client.get("/health").json()["database"] is True


def test_connection_limit_follows_the_open_file_limit() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        options = server_options(ServiceSettings())
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert before[0] <= soft <= (hard if hard != resource.RLIM_INFINITY else soft)
        assert 0 < options["limit_concurrency"] < soft
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
