"""Posters over HTTP: the picture of the command line, with the headers of a download, as long as there is the video."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from ecs_core import Scene, render
from services.database.models import new_id
from tests.media import tagged_mp3
from tests.services.stack.api_calls import LONG, PROBLEM, SMALL, create, rendered, submit
from tests.services.stack.conftest import Stack
from tests.services.stack.test_retention import age, gc, scene

pytestmark = pytest.mark.debian("redis-server")
PNG = b"\x89PNG\r\n\x1a\n"
FRONT = 3


@pytest.fixture(scope="module")
def video(stack: Stack) -> str:
    """A job whose video is there."""
    return rendered(stack, create(stack, **SMALL, seed=951, poster=1.5))


def test_poster_tags_and_artwork_are_those_of_the_command_line(stack: Stack, tmp_path: Path) -> None:
    artwork = PNG + b" as good as any picture here"
    song = tagged_mp3(tmp_path / "song.mp3", {"TIT2": "Lied 🎵", "TPE1": "Ärzte"}, [(FRONT, artwork)], seconds=2.0)
    uploaded = stack.client.post("/audio", files={"file": ("song.mp3", song.read_bytes())}).json()
    job = rendered(stack, create(stack, **SMALL), audio_path=uploaded["audio_path"])
    render(Scene("enhanced", song, SMALL), tmp_path / "engine.mp4", poster=tmp_path / "engine.png")
    poster = stack.client.get(f"/jobs/{job}/poster")
    assert poster.content == (tmp_path / "engine.png").read_bytes()
    (tmp_path / "service.mp4").write_bytes(stack.client.get(f"/download/{job}").content)
    with av.open(str(tmp_path / "service.mp4")) as container:
        assert (container.metadata["title"], container.metadata["artist"]) == ("Lied 🎵", "Ärzte")
        assert bytes(next(container.demux(container.streams.video[1]))) == artwork


def test_headers_are_those_of_a_download(stack: Stack, video: str) -> None:
    path = f"/jobs/{video}/poster"
    answer = stack.client.get(path)
    assert (answer.status_code, answer.headers["content-type"], answer.content[:8]) == (200, "image/png", PNG)
    assert answer.headers["cache-control"] == "private, max-age=3600"
    head = stack.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "last-modified", "content-type", "accept-ranges"):
        assert head.headers[name] == answer.headers[name]
    assert stack.client.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    part = stack.client.get(path, headers={"Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, PNG)
    assert answer.headers["etag"] != stack.client.head(f"/download/{video}").headers["etag"]


def test_there_is_none_before_the_video(stack: Stack) -> None:
    job = submit(stack, create(stack, **LONG, seed=952))
    early = stack.client.get(f"/jobs/{job}/poster")
    assert (early.status_code, early.headers["content-type"]) == (400, PROBLEM)
    assert early.json()["detail"].startswith("Job not completed: it is ")
    stack.client.post(f"/jobs/{job}/cancel")
    assert stack.client.get(f"/jobs/{job}/poster").json()["detail"] == "Job not completed: it is cancelled"
    assert stack.client.get(f"/jobs/{new_id()}/poster").status_code == 404


def test_time_outside_the_video_is_refused_when_it_is_set(stack: Stack) -> None:
    answer = stack.client.post("/create", json={"particle_type": "snow", "config": {**SMALL, "poster": 2.0}})
    assert answer.status_code == 400
    assert "poster = 2: must be from 0 to 1.96667 seconds" in answer.json()["detail"]


def test_poster_expires_with_its_video_and_viewing_it_keeps_both(stack: Stack) -> None:
    job = rendered(stack, create(stack, **SMALL, seed=953))
    folder = scene(stack, job)
    age(stack, folder)
    assert stack.client.get(f"/jobs/{job}/poster").status_code == 200
    gc(stack, MOTES_KEEP_VIDEOS="600")
    assert stack.client.get(f"/download/{job}").status_code == 200
    age(stack, folder)
    gc(stack, MOTES_KEEP_VIDEOS="600", MOTES_KEEP_SEGMENTS="600")
    gone = stack.client.get(f"/jobs/{job}/poster")
    assert (gone.status_code, gone.headers["content-type"]) == (410, PROBLEM)
    assert not [name for name in stack.files(folder) if "poster" in str(name) or "video" in str(name)]
