"""Uploads that arrive in parts (tus 1.0): what counts, what is refused, and what is left of them."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import func, select, update
from tusclient.client import TusClient

from services.api.routes import resumable_uploads
from services.auth.api_keys import ApiKeys
from services.database.clock import db_now
from services.database.engine import Sessions
from services.database.models import ResumablePartRow, ResumableUploadRow
from services.retention.janitor import Janitor
from services.settings import ServiceSettings
from services.storage.object_store import Storage
from services.storage.usage import stored_bytes
from tests.services.api.world import World, picture, song, world_of
from tests.waiting import HANG

TUS = {"Tus-Resumable": "1.0.0"}
APPEND = {**TUS, "Content-Type": "application/offset+octet-stream"}
LIMIT = 3_000_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    async def make(keys: ApiKeys, sessions: Sessions) -> dict[str, str]:
        full = ("read", "render")
        made = {name: (await keys.create(owner=name, scopes=full))[1] for name in ("alice", "bob", "retention")}
        made["reader"] = (await keys.create(owner="alice", scopes=("read",)))[1]
        made["poor"] = (await keys.create(owner="poor", scopes=full, limits={"stored_bytes": 5000}))[1]
        made["few"] = (await keys.create(owner="few", scopes=full, limits={"open_uploads": 2}))[1]
        return made

    with world_of(tmp_path_factory.mktemp("uploads"), make, upload_limit=LIMIT) as world:
        yield world


def metadata(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def begun(world: World, who: str, length: int, *, kind: str = "song", name: str = "song.wav") -> str:
    """The path of a new upload."""
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata(kind=kind, filename=name)}
    answer = world.call(who, "POST", "/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["upload-expires"].endswith(" GMT")
    return answer.headers["location"].removeprefix("/particles")


def append(world: World, who: str, path: str, start: int, data: bytes, **more: str) -> httpx.Response:
    headers = {**APPEND, "Upload-Offset": str(start), **{name.replace("_", "-"): value for name, value in more.items()}}
    return world.call(who, "PATCH", path, headers=headers, content=data)


def received(world: World, who: str, path: str) -> int:
    answer = world.call(who, "HEAD", path, headers=TUS)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return int(answer.headers["upload-offset"])


def files() -> list[str]:
    return [each.key for batch in Storage(ServiceSettings().storage).list("uploads") for each in batch]


def rows(world: World) -> tuple[int, int]:
    """Number of uploads and of parts."""

    async def count(_: ApiKeys, sessions: Sessions) -> tuple[int, int]:
        async with sessions() as session:
            tables = (ResumableUploadRow, ResumablePartRow)
            found = [await session.scalar(select(func.count()).select_from(table)) for table in tables]
            return found[0] or 0, found[1] or 0

    return world.change(count)  # type: ignore[no-any-return]


def used(world: World, owner: str) -> int:
    async def ask(_: ApiKeys, sessions: Sessions) -> int:
        async with sessions() as session:
            return await stored_bytes(session, owner)

    return world.change(ask)  # type: ignore[no-any-return]


def test_a_song_in_parts_is_the_song_that_it_would_be_at_once(world: World) -> None:
    data = song(1.0, 1001)
    before = used(world, "alice")
    path = begun(world, "alice", len(data))
    assert used(world, "alice") == before + len(data)
    for start in range(0, len(data), 5000):
        answer = append(world, "alice", path, start, data[start : start + 5000])
        assert (answer.status_code, answer.content, answer.headers["tus-resumable"]) == (204, b"", "1.0.0")
        stop = min(len(data), start + 5000)
        assert int(answer.headers["upload-offset"]) == received(world, "alice", path) == stop
    assert answer.headers["upload-result"] == hashlib.sha256(data).hexdigest()
    about = world.call("alice", "GET", path).json()
    assert about["audio"] == world.song("alice", data)
    assert [about[name] for name in ("kind", "name", "length", "received")] == ["song", "song.wav", *[len(data)] * 2]
    assert [each for each in files() if path.rpartition("/")[2] in each] == []
    assert used(world, "alice") == before + len(data)
    assert append(world, "alice", path, len(data), b"").headers["upload-result"] == about["audio"]["audio_id"]


def test_an_asset_in_parts(world: World) -> None:
    data = picture(64, 64, level=3)
    path = begun(world, "alice", len(data), kind="asset", name="a/cover.png")
    append(world, "alice", path, 0, data[:100])
    append(world, "alice", path, 100, data[100:])
    made = world.call("alice", "GET", path).json()["asset"]
    assert (made["kind"], made["name"]) == ("image", "cover.png")
    assert made == world.call("alice", "GET", f"/assets/{hashlib.sha256(data).hexdigest()}").json()


def test_a_client_of_the_protocol_resumes(world: World) -> None:
    data = song(2.0, 1002)
    client = TusClient(f"{world.client.base_url}/particles/uploads", {"X-API-Key": world.keys["alice"]})
    about = {"filename": "song.wav", "kind": "song"}
    first = client.uploader(file_stream=io.BytesIO(data), chunk_size=10_000, metadata=about, upload_checksum=True)
    first.upload(stop_at=20_000)
    url = str(first.url)
    second = client.uploader(file_stream=io.BytesIO(data), chunk_size=10_000, url=url)
    assert second.offset == 20_000
    second.upload()
    made = world.call("alice", "GET", urlsplit(url).path.removeprefix("/particles")).json()["audio"]
    assert made["audio_id"] == hashlib.sha256(data).hexdigest()


def test_what_arrived_of_a_broken_connection_counts(world: World) -> None:
    data = song(LIMIT / 16_000 - 1, 1003)
    path = begun(world, "alice", len(data))
    base = world.client.base_url
    broken = http.client.HTTPConnection(base.host, base.port or 80, timeout=HANG)
    broken.putrequest("PATCH", f"/particles{path}")
    headers = {**APPEND, "Upload-Offset": "0", "Content-Length": str(len(data)), "X-API-Key": world.keys["alice"]}
    for name, value in headers.items():
        broken.putheader(name, value)
    broken.endheaders(data[: 2 << 20])
    scratch, end = Storage(ServiceSettings().storage).scratch, time.monotonic() + HANG
    while not any(each.stat().st_size >= 1 << 20 for each in scratch.glob("api*/*/part")):
        assert time.monotonic() < end
        time.sleep(0.01)
    broken.close()
    while (start := received(world, "alice", path)) == 0:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert 1 << 20 <= start <= 2 << 20
    assert append(world, "alice", path, start, data[start:]).headers["upload-result"]


def test_a_long_part_is_stored_as_it_arrives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_uploads, "_PART", 1 << 20)
    monkeypatch.setattr(resumable_uploads, "_BATCH", 1 << 16)
    data = song(LIMIT / 16_000 - 1, 1004)
    path = begun(world, "alice", len(data))
    seen = list[int]()

    def slowly() -> Iterator[bytes]:
        for start in range(0, len(data), 1 << 18):
            yield data[start : start + (1 << 18)]
            seen.append(rows(world)[1])

    answer = world.call("alice", "PATCH", path, headers={**APPEND, "Upload-Offset": "0"}, content=slowly())
    assert answer.headers["upload-result"] == hashlib.sha256(data).hexdigest()
    assert max(seen) >= 1


def test_of_parts_that_begin_at_the_same_byte_one_counts(world: World) -> None:
    data = song(1.0, 1005)
    path = begun(world, "alice", len(data))
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: append(world, "alice", path, 0, data[:4000]), range(4)))
    codes = sorted(each.status_code for each in answers)
    assert codes == [204, 409, 409, 409]
    assert all(each.headers["upload-offset"] == "4000" for each in answers)
    assert len([each for each in files() if path.rpartition("/")[2] in each]) == 1
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: append(world, "alice", path, 4000, data[4000:]), range(3)))
    assert {each.status_code for each in answers} <= {204, 409}
    assert received(world, "alice", path) == len(data)
    assert world.call("alice", "GET", path).json()["audio"]["audio_id"] == hashlib.sha256(data).hexdigest()


class TestChecksums:
    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
    def test_a_part_with_a_wrong_one_does_not_count(self, world: World, algorithm: str) -> None:
        data = song(0.2, 1006)
        path = begun(world, "alice", len(data))
        right = base64.b64encode(hashlib.new(algorithm, data[:50]).digest()).decode()
        answer = append(world, "alice", path, 0, data[1:51], Upload_Checksum=f"{algorithm} {right}")
        assert (answer.status_code, answer.json()["title"]) == (460, "Checksum Mismatch")
        assert received(world, "alice", path) == 0
        assert append(world, "alice", path, 0, data[:50], Upload_Checksum=f"{algorithm} {right}").status_code == 204
        assert received(world, "alice", path) == 50

    @pytest.mark.parametrize("given", ["crc32 AAAA", "sha1 !", "sha1", ""])
    def test_one_that_is_unknown_or_damaged_is_refused(self, world: World, given: str) -> None:
        path = begun(world, "alice", 10)
        status = append(world, "alice", path, 0, b"x", Upload_Checksum=given).status_code
        assert status == (460 if given == "sha1" else 400)


class TestRefusals:
    @pytest.mark.parametrize(
        ("headers", "status", "said"),
        [
            ({"Tus-Resumable": "0.2.2"}, 412, "Tus-Resumable: must be 1.0.0"),
            ({"Upload-Length": "x"}, 400, "Upload-Length: must be a number of bytes"),
            ({"Upload-Length": "-1"}, 400, "Upload-Length: must be a number of bytes"),
            ({"Upload-Length": "0"}, 400, "Upload-Length: must be at least 1"),
            ({"Upload-Length": str(LIMIT + 1)}, 413, f"at most {LIMIT} here (limit upload_limit)"),
            ({"Upload-Metadata": ""}, 400, "kind: must be song or asset"),
            ({"Upload-Metadata": metadata(kind="video")}, 400, "kind: must be song or asset"),
            ({"Upload-Metadata": "kind ?"}, 400, "must be names with values in base64"),
        ],
    )
    def test_of_a_new_upload(self, world: World, headers: dict[str, str], status: int, said: str) -> None:
        right = {**TUS, "Upload-Length": "10", "Upload-Metadata": metadata(kind="song")}
        before = rows(world)
        answer = world.call("alice", "POST", "/uploads", headers=right | headers)
        assert (answer.status_code, answer.headers["tus-resumable"]) == (status, "1.0.0")
        assert said in answer.json()["detail"]
        assert rows(world) == before

    @pytest.mark.parametrize(
        ("headers", "body", "status"),
        [
            ({"Tus-Resumable": "2"}, b"x", 412),
            ({"Content-Type": "application/json"}, b"x", 415),
            ({"Upload-Offset": "x"}, b"x", 400),
            ({"Upload-Offset": "3"}, b"x", 409),
            ({}, b"x" * 11, 413),
        ],
    )
    def test_of_a_part(self, world: World, headers: dict[str, str], body: bytes, status: int) -> None:
        path = begun(world, "alice", 10)
        for content in (body, iter([body])):
            given = {**APPEND, "Upload-Offset": "0"} | headers
            answer = world.call("alice", "PATCH", path, headers=given, content=content)
            assert answer.status_code == status, answer.text
        assert received(world, "alice", path) == 0

    def test_what_is_no_song_is_refused_and_forgotten(self, world: World) -> None:
        path = begun(world, "alice", 10)
        append(world, "alice", path, 0, b"01234")
        answer = append(world, "alice", path, 5, b"56789")
        assert answer.status_code == 415
        assert (
            answer.json() == world.call("alice", "POST", "/audio", files={"file": ("song.wav", b"0123456789")}).json()
        )
        assert world.call("alice", "HEAD", path, headers=TUS).status_code == 404
        assert [each for each in files() if path.rpartition("/")[2] in each] == []

    def test_what_is_no_asset_is_refused_at_its_first_part(self, world: World) -> None:
        path = begun(world, "alice", 2_000_000, kind="asset", name="a.png")
        assert append(world, "alice", path, 0, b"MZ" + bytes(100_000)).status_code == 415
        assert world.call("alice", "HEAD", path, headers=TUS).status_code == 404

    def test_quota_of_bytes_counts_what_is_to_come(self, world: World) -> None:
        path = begun(world, "poor", 4000)
        headers = {**TUS, "Upload-Length": "2000", "Upload-Metadata": metadata(kind="song")}
        refused = world.call("poor", "POST", "/uploads", headers=headers)
        assert (refused.status_code, refused.json()["limit"]) == (429, "stored_bytes")
        assert world.call("poor", "DELETE", path, headers=TUS).status_code == 204
        data = song(0.3, 1007)  # more than half of the quota, so it must not count twice
        path = begun(world, "poor", len(data))
        assert append(world, "poor", path, 0, data).headers["upload-result"]
        assert used(world, "poor") == len(data)

    def test_number_of_unfinished_uploads(self, world: World) -> None:
        paths = [begun(world, "few", 10) for _ in range(2)]
        headers = {**TUS, "Upload-Length": "10", "Upload-Metadata": metadata(kind="song")}
        refused = world.call("few", "POST", "/uploads", headers=headers)
        assert (refused.status_code, refused.json()["limit"]) == (429, "open_uploads")
        world.call("few", "DELETE", paths[0], headers=TUS)
        begun(world, "few", 10)

    def test_others_neither_see_nor_change_it(self, world: World) -> None:
        path = begun(world, "alice", 10)
        change = {**APPEND, "Upload-Offset": "0"}
        for method, headers in (("HEAD", TUS), ("GET", {}), ("PATCH", change), ("DELETE", TUS)):
            assert world.call("bob", method, path, headers=headers).status_code == 404
            assert world.call(None, method, path, headers=headers).status_code == 401
        assert world.call("reader", "HEAD", path, headers=TUS).status_code == 200
        assert append(world, "reader", path, 0, b"x").status_code == 403

    def test_a_deleted_one_is_gone(self, world: World) -> None:
        path = begun(world, "alice", 10)
        append(world, "alice", path, 0, b"x")
        assert world.call("alice", "DELETE", path, headers=TUS).status_code == 204
        assert world.call("alice", "DELETE", path, headers=TUS).status_code == 404
        assert append(world, "alice", path, 1, b"x").status_code == 404
        assert [each for each in files() if path.rpartition("/")[2] in each] == []

    def test_lost_parts_make_it_gone(self, world: World) -> None:
        path = begun(world, "alice", 10)
        append(world, "alice", path, 0, b"x")
        Storage(ServiceSettings().storage).delete_folder(f"uploads/{path.rpartition('/')[2]}/")
        assert append(world, "alice", path, 1, b"y" * 9).status_code == 410
        assert world.call("alice", "HEAD", path, headers=TUS).status_code == 404


def test_the_server_says_what_it_can_do(world: World) -> None:
    answer = world.call("alice", "OPTIONS", "/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-extension"] == "creation,expiration,termination,checksum"
    assert answer.headers["tus-max-size"] == str(LIMIT)


def test_unfinished_uploads_expire_and_stray_parts_are_orphans(world: World) -> None:
    path, other = begun(world, "retention", 10), begun(world, "retention", 10)
    append(world, "retention", path, 0, b"abc")
    append(world, "retention", other, 0, b"abc")
    upload = path.rpartition("/")[2]

    async def expire(_: ApiKeys, sessions: Sessions) -> Any:
        settings = ServiceSettings()
        storage = Storage(settings.storage)
        async with sessions.begin() as session:
            old = update(ResumableUploadRow).where(ResumableUploadRow.id == upload)
            await session.execute(old.values(expires_at=db_now(timedelta(seconds=-1))))
        (storage.scratch / "stray").write_bytes(b"12345")
        storage.put(f"uploads/{upload}/3.stray", storage.scratch / "stray")
        stray = Path(settings.storage.removeprefix("file://")) / f"uploads/{other.rpartition('/')[2]}"
        stray.mkdir(parents=True, exist_ok=True)
        (stray / "9.stray").write_bytes(b"12")
        os.utime(stray / "9.stray", (0, 0))
        return await Janitor(settings, sessions, storage).collect(thorough=True)

    assert world.call("retention", "HEAD", path, headers=TUS).status_code == 200
    report = world.change(expire)
    assert report.freed[("expired", "upload")] == (1, 8)
    assert report.freed[("leftover", "file")] == (1, 2)
    assert world.call("retention", "HEAD", path, headers=TUS).status_code == 404
    assert received(world, "retention", other) == 3
    assert used(world, "retention") == 10
