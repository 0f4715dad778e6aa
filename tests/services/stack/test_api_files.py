"""Files over HTTP: songs in, videos, previews and single frames out."""

from __future__ import annotations

import asyncio
import hashlib
import io
import socket
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import obstore
import pytest
from obstore.store import from_url
from sqlalchemy import select

from ecs_core import Scene, render_frame
from services.database.engine import open_database
from services.database.models import ArtefactRow, JobRow
from services.storage.object_keys import result_key
from tests.fork_server import HANG
from tests.media import read_video
from tests.services.stack.api_calls import IMPATIENT, PROBLEM, SMALL, another_api, create, process, rendered
from tests.services.stack.conftest import Stack

pytestmark = pytest.mark.debian("redis-server")


@pytest.fixture(scope="module")
def video(stack: Stack) -> str:
    """A job whose video is there."""
    return rendered(stack, create(stack, **SMALL, seed=301), output_path="my_visualization.mp4")


# --- downloads ---


def test_download_is_complete_and_named(stack: Stack, video: str) -> None:
    answer = stack.client.get(f"/download/{video}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert answer.headers["content-disposition"] == 'attachment; filename="my_visualization.mp4"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    head = stack.client.head(f"/download/{video}")
    assert head.content == b""
    for name in ("content-length", "etag", "last-modified", "content-type", "accept-ranges", "content-disposition"):
        assert head.headers[name] == answer.headers[name]


def test_name_says_the_format(stack: Stack) -> None:
    job = rendered(stack, create(stack, **SMALL, seed=331), output_path="overlay.mov")
    answer = stack.client.get(f"/download/{job}")
    assert answer.headers["content-type"] == "video/quicktime"
    with av.open(io.BytesIO(answer.content)) as video:
        frame = next(video.decode(video=0))
    assert (video.format.name.split(",")[0], frame.format.name) == ("mov", "yuva444p12le")


def test_head_of_frame_and_preview_matches_get(stack: Stack) -> None:
    system = create(stack, **SMALL, seed=314)
    for path in ("frame?t=0.5", "preview?duration=0.5"):
        head, answer = (stack.client.request(how, f"/systems/{system}/{path}") for how in ("HEAD", "GET"))
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "etag", "content-type", "accept-ranges"):
            assert head.headers[name] == answer.headers[name]


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-99", slice(0, 100)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-100", slice(-100, None)),
        ("bytes=10-999999999", slice(10, None)),
        ("bytes=-999999999", slice(None)),
    ],
)
def test_range_request_returns_the_part(stack: Stack, video: str, asked: str, part: slice) -> None:
    whole = stack.client.get(f"/download/{video}").content
    answer = stack.client.get(f"/download/{video}", headers={"Range": asked})
    first, stop, _ = part.indices(len(whole))
    assert (answer.status_code, answer.content) == (206, whole[part])
    assert answer.headers["content-range"] == f"bytes {first}-{stop - 1}/{len(whole)}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-1", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "bytes", "\u00b2"]
)
def test_invalid_range_is_ignored(stack: Stack, video: str, asked: str) -> None:
    whole = stack.client.get(f"/download/{video}").content
    answer = stack.client.get(f"/download/{video}", headers={b"Range": asked.encode("latin-1")})
    assert (answer.status_code, answer.content) == (200, whole)


def test_range_beyond_the_end_is_refused(stack: Stack, video: str) -> None:
    size = stack.client.head(f"/download/{video}").headers["content-length"]
    for asked in (f"bytes={size}-", "bytes=-0"):
        answer = stack.client.get(f"/download/{video}", headers={"Range": asked})
        assert (answer.status_code, answer.headers["content-type"]) == (416, PROBLEM)
        assert answer.headers["content-range"] == f"bytes */{size}"


def test_matching_etag_returns_304(stack: Stack, video: str) -> None:
    etag = stack.client.get(f"/download/{video}").headers["etag"]
    assert not etag.startswith("W/")
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = stack.client.get(f"/download/{video}", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert stack.client.get(f"/download/{video}", headers={"If-None-Match": '"x"'}).status_code == 200


def test_if_range_resumes_only_the_same_file(stack: Stack, video: str) -> None:
    first = stack.client.get(f"/download/{video}")
    for known, status in (
        (first.headers["etag"], 206),
        (first.headers["last-modified"], 206),
        ('"x"', 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
    ):
        headers = {"Range": "bytes=10-", "If-Range": known}
        assert stack.client.get(f"/download/{video}", headers=headers).status_code == status


def test_download_name_may_be_in_any_alphabet(stack: Stack) -> None:
    system = create(stack, **SMALL, seed=301)
    job = rendered(stack, system, output_path='песня "1" 100%.mp4')
    assert stack.client.get(f"/download/{job}").headers["content-disposition"] == (
        'attachment; filename="_____ _1_ 100_.mp4"; '
        "filename*=UTF-8''%D0%BF%D0%B5%D1%81%D0%BD%D1%8F%20%221%22%20100%25.mp4"
    )


# --- looking at a system ---


def test_frame_equals_that_of_the_video(stack: Stack, tmp_path: Path) -> None:
    config: dict[str, Any] = SMALL | {"seed": 302, "fps": "24000/1001"}
    system = create(stack, **config)
    answer = stack.client.get(f"/systems/{system}/frame", params={"t": 1.3})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    render_frame(Scene("enhanced", config=config), 1.3, tmp_path / "frame.png")
    assert answer.content == (tmp_path / "frame.png").read_bytes()
    same = stack.client.get(f"/systems/{system}/frame", params={"t": 1.31})  # a moment later, the same frame
    assert same.headers["etag"] == answer.headers["etag"]
    known = stack.client.get(f"/systems/{system}/frame?t=1.3", headers={"If-None-Match": answer.headers["etag"]})
    assert known.status_code == 304
    stack.client.put(f"/systems/{system}/config", json={"config": {"seed": 303}})
    assert stack.client.get(f"/systems/{system}/frame?t=1.3").headers["etag"] != answer.headers["etag"]


def test_frame_reacts_to_the_song(stack: Stack, demo_song: Path, tmp_path: Path) -> None:
    config: dict[str, Any] = SMALL | {"seed": 304, "duration": "audio"}
    system = create(stack, **config)
    assert stack.client.get(f"/systems/{system}/frame").status_code == 400  # there is no song yet
    load(stack, system, upload(stack, demo_song).json()["audio_path"])
    answer = stack.client.get(f"/systems/{system}/frame", params={"t": 5.0})
    render_frame(Scene("enhanced", demo_song, config), 5.0, tmp_path / "frame.png")
    assert answer.content == (tmp_path / "frame.png").read_bytes()
    late = stack.client.get(f"/systems/{system}/frame", params={"t": 6.0})
    assert (late.status_code, late.json()["detail"]) == (400, "t = 6: must be from 0 to 5.96667 seconds")


def test_frame_of_a_part_is_at_a_second_of_the_video(stack: Stack, demo_song: Path, tmp_path: Path) -> None:
    config: dict[str, Any] = SMALL | {"seed": 308, "duration": "audio", "start": 2.5, "fade_in": 1.0}
    system = create(stack, **config)
    load(stack, system, upload(stack, demo_song).json()["audio_path"])
    answer = stack.client.get(f"/systems/{system}/frame", params={"t": 0.5})
    render_frame(Scene("enhanced", demo_song, config), 0.5, tmp_path / "frame.png")
    assert answer.content == (tmp_path / "frame.png").read_bytes()
    late = stack.client.get(f"/systems/{system}/frame", params={"t": 3.5})
    assert (late.status_code, late.json()["detail"]) == (400, "t = 3.5: must be from 0 to 3.46667 seconds")
    stack.client.put(f"/systems/{system}/config", json={"config": {"start": 6.5}})
    beyond = stack.client.get(f"/systems/{system}/frame", params={"t": 0})
    assert beyond.json()["detail"] == "start = 6.5: must be under 6 seconds, the length of the song"


@pytest.mark.parametrize("t", ["-1", "2", "nan", "inf", "x", "1e300"])
def test_frame_outside_the_video_is_refused(stack: Stack, t: str) -> None:
    answer = stack.client.get(f"/systems/{create(stack, **SMALL)}/frame", params={"t": t})
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)


def test_preview_is_a_short_video_of_the_system(stack: Stack, tmp_path: Path) -> None:
    system = create(stack, **SMALL | {"duration": 60.0}, seed=305)
    answer = stack.client.get(f"/systems/{system}/preview", params={"duration": 1.5})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    (tmp_path / "preview.mp4").write_bytes(answer.content)
    preview = read_video(tmp_path / "preview.mp4")
    assert (preview.width, preview.height, len(preview.pts)) == (160, 90, 45)
    again = stack.client.get(f"/systems/{system}/preview?duration=1.5", headers={"Range": "bytes=0-9"})
    assert (again.status_code, again.content) == (206, answer.content[:10])


def test_preview_does_not_fade_out_before_the_video_does(stack: Stack) -> None:
    plain, faded = create(stack, **SMALL, seed=44), create(stack, **SMALL, seed=44, fade_out=1.0)
    whole, part = (
        [stack.client.get(f"/systems/{system}/preview?duration={seconds}").content for system in (plain, faded)]
        for seconds in (2, 1)
    )
    assert part[0] == part[1]
    assert whole[0] != whole[1]


def test_preview_is_no_longer_than_the_video(stack: Stack, tmp_path: Path) -> None:
    system = create(stack, **SMALL | {"duration": 0.5}, seed=306)
    (tmp_path / "preview.mp4").write_bytes(stack.client.get(f"/systems/{system}/preview").content)
    assert len(read_video(tmp_path / "preview.mp4").pts) == 15
    for duration in ("0", "16", "nan", "x"):
        assert stack.client.get(f"/systems/{system}/preview", params={"duration": duration}).status_code == 400


def test_concurrent_requests_for_a_frame_share_one_job(stack: Stack) -> None:
    system = create(stack, **SMALL, seed=307)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: stack.client.get(f"/systems/{system}/preview?duration=1"), range(6)))
    assert [each.status_code for each in answers] == [200] * 6
    assert len({each.headers["etag"] for each in answers}) == 1
    assert stack.client.get("/jobs", params={"system_id": system}).json() == []  # no list shows it


def test_failed_frame_has_a_reason(stack: Stack, demo_song: Path) -> None:
    """A song missing from storage fails the task in a worker, not in the API."""
    system = create(stack, **SMALL, seed=308)
    body = upload(stack, demo_song, cut=150_000).json()
    load(stack, system, body["audio_path"])
    remove(stack, f"audio/{body['sha256']}")
    answer = stack.client.get(f"/systems/{system}/frame", params={"t": 1})
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)
    assert answer.json()["detail"] == "the song is gone; upload it again"


def remove(stack: Stack, key: str) -> None:
    """Delete a file behind everybody's back."""
    url = stack.environment.get("MOTES_STORAGE_URL", "")
    if url.startswith("s3:"):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in stack.environment.items():
                patch.setenv(name, value)
            obstore.delete(from_url(url), key)
    else:
        (stack.folder / "data" / "storage" / key).unlink()


def made_for(stack: Stack, system: str) -> str:
    """Where the only thing that was made for a system lies in storage."""

    async def run() -> str:
        engine, sessions = open_database(stack.database)
        async with sessions() as session:
            job = (await session.scalars(select(JobRow).where(JobRow.system_id == system))).one()
            row = await session.get_one(ArtefactRow, result_key(job.scene_key, job.kind))
        await engine.dispose()
        return row.object

    return asyncio.run(run())


def test_lost_frame_is_rendered_again(stack: Stack) -> None:
    system = create(stack, **SMALL, seed=311)
    first = stack.client.get(f"/systems/{system}/frame").content
    remove(stack, made_for(stack, system))
    assert stack.client.get(f"/systems/{system}/frame").content == first


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_video_that_is_gone_is_made_again(stack: Stack, method: str) -> None:
    system = create(stack, **SMALL, seed=312 + 100 * len(method))
    job = rendered(stack, system)
    remove(stack, made_for(stack, system))
    answer = stack.client.request(method, f"/download/{job}")
    assert (answer.status_code, int(answer.headers["retry-after"]) >= 1) == (503, True)
    assert stack.wait_for(job, "completed", "failed")["status"] == "completed"
    assert stack.client.request(method, f"/download/{job}").status_code == 200


def test_slow_frame_is_answered_with_retry_after(stack: Stack) -> None:
    system = create(stack, **SMALL, seed=313)
    stack.stop("worker")
    try:
        with process(stack, IMPATIENT, "/particles/health") as client:
            answer = client.get(f"/particles/systems/{system}/frame")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.json()["detail"] == "The frame is queued; try again in a few seconds"
    finally:
        stack.start_worker()
    assert stack.client.get(f"/systems/{system}/frame").status_code == 200


# --- songs ---


def upload(stack: Stack, song: Path, *, name: str = "demo.wav", cut: int | None = None) -> httpx.Response:
    data = song.read_bytes()[:cut]
    answer = stack.client.post("/audio", files={"file": (name, data)})
    assert answer.status_code == 201, answer.text
    return answer


def load(stack: Stack, system: str, audio_path: str) -> None:
    answer = stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": audio_path})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"]["audio_loaded"]


def test_uploaded_song_is_stored_once(stack: Stack, demo_song: Path) -> None:
    first = upload(stack, demo_song).json()
    sha256 = hashlib.sha256(demo_song.read_bytes()).hexdigest()
    assert first == {
        "audio_id": sha256,
        "audio_path": f"uploads/{sha256}.wav",
        "duration": 6.0,
        "sample_rate": 44100,
        "channels": 2,
        "warnings": [],
        "sha256": sha256,
    }
    with ThreadPoolExecutor(4) as pool:
        assert [each.json() for each in pool.map(lambda _: upload(stack, demo_song), range(4))] == [first] * 4


def test_upload_and_job_say_that_a_song_breaks_off(stack: Stack, demo_song: Path) -> None:
    answer = upload(stack, demo_song, cut=200_000).json()
    assert answer["warnings"] == ["demo.wav: breaks off after 1.13 s: truncated?"]
    system = create(stack, **SMALL)
    load(stack, system, answer["audio_path"])
    job = stack.client.post(f"/systems/{system}/render", json={}).json()["job_id"]
    assert stack.client.get(f"/jobs/{job}").json()["warnings"] == answer["warnings"]
    listed = {each["job_id"]: each["warnings"] for each in stack.client.get("/jobs").json()}
    assert listed[job] == answer["warnings"]


def test_song_under_the_media_root_can_be_used(stack: Stack, demo_song: Path) -> None:
    (stack.folder / "media" / "album").mkdir()
    (stack.folder / "media" / "album" / "песня.wav").write_bytes(demo_song.read_bytes())
    load(stack, create(stack, **SMALL), "album/песня.wav")
    rendered(stack, create(stack, **SMALL, seed=309), audio_path="album/песня.wav")


def test_link_out_of_the_media_root_is_refused(stack: Stack, demo_song: Path) -> None:
    (stack.folder / "media" / "link.wav").symlink_to(demo_song)
    (stack.folder / "media" / "circle.wav").symlink_to("circle.wav")
    system = create(stack, **SMALL)
    for path in ("link.wav", "x" * 500, "./../media/../secret", "album/../link.wav", "a/Con.x.wav"):
        answer = stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": path})
        assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)
    answer = stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": "circle.wav"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)


def test_upload_keeps_only_the_base_name(stack: Stack) -> None:
    for name in ("../../up.wav", "C:\\songs\\up.wav", "/etc/up.wav"):
        answer = stack.client.post("/audio", files={"file": (name, b"no song")})
        assert (answer.status_code, answer.headers["content-type"]) == (415, PROBLEM)
        assert answer.json()["detail"].startswith("up.wav: ")


def test_upload_that_is_not_a_song_is_refused(stack: Stack, tmp_path: Path) -> None:
    playlist = f"ffconcat version 1.0\nfile {tmp_path}/x.wav\n".encode()
    silent_video = tmp_path / "silent.mp4"
    with av.open(str(silent_video), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height = 32, 32
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        container.mux(stream.encode())
    for data in (b"", b"\0" * 1000, playlist, silent_video.read_bytes(), b"RIFF\xff\xff\xff\xffWAVEfmt "):
        answer = stack.client.post("/audio", files={"file": ("song.wav", data)})
        assert (answer.status_code, answer.headers["content-type"]) == (415, PROBLEM), answer.text
        assert str(stack.folder) not in answer.text


def test_too_long_song_is_refused_even_if_small(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "silence.flac"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        silence = np.zeros((1, 8000 * 60), np.int16)
        for _ in range(3):
            frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with another_api(stack, MOTES_MAX_SONG_SECONDS="120") as client:
        answer = client.post("/audio", files={"file": ("silence.flac", path.read_bytes())})
    assert (answer.status_code, answer.json()["limit"], answer.json()["value"]) == (400, "max_song_seconds", 120)
    assert answer.json()["detail"].startswith("silence.flac: its duration is 180 s: at most 120 here")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/json"}, b"{}"),
        ({"Content-Type": "multipart/form-data"}, b""),
        ({}, b"RIFF"),
    ],
)
def test_upload_that_is_not_a_form_is_refused_with_415(stack: Stack, headers: dict[str, str], body: bytes) -> None:
    answer = stack.client.post("/audio", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (415, PROBLEM)


TOO_LARGE = "the upload has too many bytes: at most %d here (limit upload_limit)"
PART = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a.wav"\r\n\r\nRIFF'


@pytest.mark.parametrize(
    "body",
    [b"", b"nothing", PART % b"song" + b"\r\n--x--\r\n", PART % b"file", b"--x\r\nfile\r\n\r\n", b"--x--\r\n"],
    ids=["empty", "no parts", "another part", "broken off", "no header", "no part"],
)
def test_form_without_a_complete_file_is_refused_with_422(stack: Stack, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = stack.client.post("/audio", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM), answer.text


def test_upload_with_a_too_large_content_length_is_refused_at_once(stack: Stack) -> None:
    url = stack.client.base_url
    assert url.port is not None
    request = (
        f"POST {url.path}audio HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 900000000000\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port), timeout=HANG) as connection:
        connection.sendall(request.encode())
        answer = connection.makefile("rb").read().decode()  # until it is closed
    assert answer.startswith("HTTP/1.1 413 ")
    assert TOO_LARGE.partition(":")[0] in answer


def test_upload_is_refused_once_it_exceeds_the_limit(limited: httpx.Client) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield PART % b"file"
        while sent < 100_000_000:
            sent += 65_536
            yield bytes(65_536)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = limited.post("/audio", content=body(), headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)
    except httpx.TransportError:  # the connection was closed while we sent: as good
        pass
    assert sent < 50_000_000


def large_song(path: Path, seconds: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(bytes(44_100 * 4 * seconds))
    return path


def test_upload_within_the_limit_is_accepted(limited: httpx.Client, tmp_path: Path) -> None:
    data = large_song(tmp_path / "song.wav", 10).read_bytes()  # 1.8 MB
    assert limited.post("/audio", files={"file": ("song.wav", data)}).status_code == 201
    data = large_song(tmp_path / "song.wav", 12).read_bytes()
    answer = limited.post("/audio", files={"file": ("song.wav", data)})
    assert (answer.status_code, answer.json()["detail"]) == (413, TOO_LARGE % 2_000_000)


@pytest.fixture
def limited(stack: Stack) -> Iterator[httpx.Client]:
    """An API that takes 2 MB at most."""
    with another_api(stack, MOTES_UPLOAD_LIMIT="2000000") as client:
        yield client


def test_uploads_leave_no_temporary_files(stack: Stack, demo_song: Path) -> None:
    upload(stack, demo_song, cut=200_000)
    stack.client.post("/audio", files={"file": ("x.wav", b"no song")})
    folders = list(stack.scratch.glob("api.*/"))
    assert folders
    assert [path for folder in folders for path in folder.iterdir()] == []
