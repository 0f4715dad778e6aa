"""What is sent of a file in an object store: no more is read of it than is asked for, and nothing is copied."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import obstore
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from fastapi import HTTPException, Request
from obstore.store import from_url
from starlette.datastructures import Headers

from services.api.file_responses import etag_of, stored_file
from services.jobs.artefacts import Artefact
from services.storage.object_store import Storage
from services.storage.presigned import signed_again
from tests.services.servers import BUCKET

SIZE = (5 << 20) + 12_345
LITTLE = 100_000  # bytes of headers and requests, at most


class Counter:
    """How many bytes a store has sent."""

    received = 0


@contextmanager
def counted(url: str) -> Iterator[tuple[str, Counter]]:
    """Another address of a server, and what it sends there."""
    counter = Counter()
    target = urlsplit(url)

    def pump(source: socket.socket, sink: socket.socket, *, count: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                counter.received += len(data) if count else 0
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def connect(client: socket.socket) -> None:
        with client, socket.create_connection((target.hostname or "", target.port or 0)) as server:
            back = threading.Thread(target=pump, args=(server, client), kwargs={"count": True})
            back.start()
            pump(client, server, count=False)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=connect, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", counter
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()


class Place:
    """A file in a store, and what is answered to requests for it."""

    def __init__(self, storage: Storage, counter: Counter, content: bytes) -> None:
        self.storage, self.counter, self.content = storage, counter, content
        (storage.scratch / "file").write_bytes(content)
        self.made = Artefact("key", "scenes/a/video.mp4", storage.put("scenes/a/video.mp4", storage.scratch / "file"))

    def ask(
        self, method: str = "GET", *, chunks: int | None = None, redirect: bool = False, **headers: str
    ) -> tuple[int, Headers, bytes]:
        """The answer's status, headers and body; a client that takes ``chunks`` goes away then."""
        sent: list[MutableMapping[str, Any]] = []
        raw = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "headers": raw, "asgi": {"spec_version": "2.4"}}

        async def send(message: MutableMapping[str, Any]) -> None:
            if chunks is not None and len(sent) == 1 + chunks:
                raise OSError  # as a server does whose client has gone
            sent.append(message)

        async def run() -> None:
            answer = await stored_file(
                Request(scope),
                self.storage,
                self.made,
                cache="no-cache",
                media_type="video/mp4",
                name="größte „Nacht“.mp4",
                redirect=redirect,
            )
            with suppress(Exception if chunks is not None else ()):
                await answer(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]

        self.counter.received = 0
        asyncio.run(run())
        body = b"".join(bytes(each.get("body", b"")) for each in sent[1:])
        return sent[0]["status"], Headers(raw=sent[0]["headers"]), body

    def leftovers(self) -> list[Path]:
        """What lies in the folder for incomplete files."""
        return [path for path in self.storage.scratch.rglob("*") if path.is_file()]


@pytest.fixture
def place(s3_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with counted(s3_server["AWS_ENDPOINT_URL"]) as (url, counter):
        for name, value in {**s3_server, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        yield Place(Storage(f"s3://{BUCKET}/{tmp_path.name}"), counter, os.urandom(SIZE))


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=4000000-4000099", slice(4_000_000, 4_000_100)),
        ("bytes=-7", slice(-7, None)),
    ],
)
def test_a_range_reads_no_more_than_the_range(place: Place, asked: str, part: slice) -> None:
    status, headers, body = place.ask(range=asked)
    start, stop, _ = part.indices(SIZE)
    assert (status, body) == (206, place.content[part])
    assert headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert place.counter.received < stop - start + LITTLE
    assert place.leftovers() == []


def test_the_whole_file_arrives_without_a_copy(place: Place) -> None:
    status, headers, body = place.ask()
    assert (status, body, headers["content-length"]) == (200, place.content, str(SIZE))
    assert place.counter.received < SIZE + LITTLE
    assert place.leftovers() == []


def test_no_more_is_read_than_the_client_takes(place: Place) -> None:
    _, _, body = place.ask(chunks=1)
    assert 0 < len(body) < SIZE / 4
    assert place.counter.received < SIZE / 2


def test_conditions_are_met_before_anything_is_read(place: Place) -> None:
    etag = etag_of(place.made)
    assert place.ask(if_none_match=etag)[0] == 304
    status, headers, body = place.ask("HEAD")
    assert (status, headers["content-length"], body) == (200, str(SIZE), b"")
    assert place.ask(range="bytes=0-9", if_range=etag)[0] == 206
    assert place.counter.received < LITTLE
    assert place.ask(range="bytes=0-9", if_range='"another"')[0] == 200
    assert place.ask(range="bytes=0-1,5-6")[0] == 200  # several ranges are not served
    with pytest.raises(HTTPException) as refused:
        place.ask(range=f"bytes={SIZE}-")
    assert (refused.value.status_code, refused.value.headers) == (416, {"Content-Range": f"bytes */{SIZE}"})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("redirect", [False, True])
def test_a_file_that_is_gone_or_cut_short_is_missing(place: Place, method: str, redirect: bool) -> None:
    place.made = Artefact("key", place.made.object, SIZE + 1)
    with pytest.raises(FileNotFoundError):
        place.ask(method, redirect=redirect)
    place.made = Artefact("key", "scenes/a/other.mp4", SIZE)
    with pytest.raises(FileNotFoundError):
        place.ask(method, redirect=redirect)


def test_an_empty_file_is_sent(place: Place) -> None:
    empty = Place(place.storage, place.counter, b"")
    assert empty.ask()[::2] == (200, b"")


def test_a_download_can_be_redirected_to_the_store(place: Place) -> None:
    status, headers, body = place.ask(redirect=True, range="bytes=0-0")
    assert (status, body, headers["cache-control"]) == (307, b"", "no-store")
    assert place.counter.received < LITTLE
    query = parse_qs(urlsplit(headers["location"]).query)
    assert query["X-Amz-Expires"] == [str(15 * 60)]
    answer = httpx.get(headers["location"], trust_env=False)
    assert answer.content == place.content
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert "filename*=UTF-8''gr%C3%B6%C3%9Fte" in answer.headers["content-disposition"]
    part = httpx.get(headers["location"], headers={"Range": "bytes=5-9"}, trust_env=False)
    assert (part.status_code, part.content) == (206, place.content[5:10])
    assert place.ask("HEAD", redirect=True)[0] == 200
    assert place.ask(redirect=True, if_none_match=etag_of(place.made))[0] == 304


def test_credentials_of_a_role_sign_without_headers(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    _, headers, _ = place.ask(redirect=True)
    assert "response-content" not in headers["location"]
    answer = httpx.get(headers["location"], trust_env=False)
    assert (answer.content, answer.headers["content-type"]) == (place.content, "video/mp4")


def test_local_files_are_never_redirected(tmp_path: Path) -> None:
    place = Place(Storage(f"file://{tmp_path}"), Counter(), b"content")
    assert place.ask(redirect=True)[::2] == (200, b"content")
    assert place.ask(redirect=True, range="bytes=2-3")[::2] == (206, b"nt")


class TestSignatures:
    SECRET = "wJalr/XUtn+FEMI=K7MDENG"

    @pytest.fixture
    def url(self, monkeypatch: pytest.MonkeyPatch) -> str:
        given = {"ACCESS_KEY_ID": "AKID", "SECRET_ACCESS_KEY": self.SECRET, "SESSION_TOKEN": "to/k+n=", "REGION": "x"}
        for name, value in given.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        return obstore.sign(from_url("s3://bucket/a b"), "GET", "ü/c+d.mp4", timedelta(seconds=60))

    def test_nothing_more_gives_the_same(self, url: str) -> None:
        again = signed_again(url, self.SECRET, {})
        assert parse_qs(urlsplit(again).query) == parse_qs(urlsplit(url).query)
        assert again.partition("?")[0] == url.partition("?")[0]

    def test_with_headers_it_is_as_botocore_signs(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        more = {
            "response-content-disposition": "attachment; filename*=UTF-8''%20",
            "response-content-type": "video/mp4",
        }
        ours = parse_qs(urlsplit(signed_again(url, self.SECRET, more)).query)
        request = AWSRequest("GET", url.partition("?")[0], params=more)
        credentials = Credentials("AKID", self.SECRET, "to/k+n=")
        auth = S3SigV4QueryAuth(credentials, "s3", "x", expires=60)
        when = ours["X-Amz-Date"][0]
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: _moment(when))
        auth.add_auth(request)
        assert ours == parse_qs(urlsplit(request.url).query)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ")
