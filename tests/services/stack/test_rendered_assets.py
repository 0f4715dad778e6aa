"""Assets from upload to video, with real workers: with a folder, and with an object store."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import av
import pytest

from ecs_core import Scene, render, render_frame
from tests.media import tagged_mp3
from tests.media.moving import numbered, write_video
from tests.services.media.asset_examples import examples, picture
from tests.services.stack.api_calls import SMALL, create, rendered, submit
from tests.services.stack.conftest import Stack

pytestmark = pytest.mark.debian("redis-server")
CONFIG: dict[str, Any] = SMALL | {"duration": 1.0, "particle_count": 300}


@pytest.fixture(params=["stack", "stack_on_servers"])
def either(request: pytest.FixtureRequest) -> Stack:
    """SQLite and a folder; PostgreSQL and an object store."""
    stack: Stack = request.getfixturevalue(request.param)
    return stack


def upload(stack: Stack, data: bytes, name: str = "cover.jpg") -> dict[str, Any]:
    answer = stack.client.post("/assets", files={"file": (name, data)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_uploaded_picture_is_rendered_as_the_engine_renders_its_file(either: Stack, tmp_path: Path) -> None:
    asset = upload(either, picture("JPEG"))
    stored = either.client.get(f"/assets/{asset['asset_id']}/file")
    (tmp_path / "stored.png").write_bytes(stored.content)
    system = create(either, "portrait", **CONFIG, picture=asset["reference"])
    frame = either.client.get(f"/systems/{system}/frame", params={"t": 0.5})
    assert frame.status_code == 200, frame.text
    scene = Scene("portrait", config=CONFIG | {"picture": str(tmp_path / "stored.png")})
    render_frame(scene, 0.5, tmp_path / "frame.png")
    assert frame.content == (tmp_path / "frame.png").read_bytes()
    assert either.client.get(f"/systems/{system}/preview", params={"duration": 0.5}).status_code == 200
    job = rendered(either, system)
    assert either.client.get(f"/download/{job}").status_code == 200
    assert either.client.get(f"/jobs/{job}").json()["warnings"] == []


def test_uploaded_picture_in_a_layer_is_rendered_as_the_engine_renders_its_file(either: Stack, tmp_path: Path) -> None:
    asset = upload(either, picture("WEBP", channels=4))
    (tmp_path / "stored.png").write_bytes(either.client.get(f"/assets/{asset['asset_id']}/file").content)
    layer = {"kind": "image", "crop": "circle", "size": 0.6, "shadow": 0.5, "enter": "grow", "enter_seconds": 1.0}
    system = create(either, "snow", **CONFIG, layers=[layer | {"file": asset["reference"]}])
    frame = either.client.get(f"/systems/{system}/frame", params={"t": 0.5})
    assert frame.status_code == 200, frame.text
    config = CONFIG | {"layers": [layer | {"file": str(tmp_path / "stored.png")}]}
    render_frame(Scene("snow", config=config), 0.5, tmp_path / "frame.png")
    assert frame.content == (tmp_path / "frame.png").read_bytes()
    render_frame(Scene("snow", config=CONFIG), 0.5, tmp_path / "without.png")
    assert frame.content != (tmp_path / "without.png").read_bytes()
    job = rendered(either, system)
    assert either.client.get(f"/download/{job}").status_code == 200


def test_uploaded_video_under_all_is_rendered_as_the_engine_renders_what_is_stored(
    either: Stack, tmp_path: Path
) -> None:
    film = write_video(tmp_path / "film.webm", numbered(20), fps=10)
    asset = upload(either, film.read_bytes(), film.name)
    stored = either.client.get(f"/assets/{asset['asset_id']}/file").content
    (tmp_path / "stored.mp4").write_bytes(stored)
    assert stored != film.read_bytes()
    backdrop = {"kind": "video", "start": 0.4, "dim": 0.2, "zoom": 1.2}
    system = create(either, "snow", **CONFIG, backdrop=backdrop | {"file": asset["reference"]})
    config = CONFIG | {"backdrop": backdrop | {"file": str(tmp_path / "stored.mp4")}}
    shown = []
    for t in (0.2, 0.8):
        frame = either.client.get(f"/systems/{system}/frame", params={"t": t})
        assert frame.status_code == 200, frame.text
        render_frame(Scene("snow", config=config), t, tmp_path / "frame.png")
        assert frame.content == (tmp_path / "frame.png").read_bytes()
        shown.append(frame.content)
    assert shown[0] != shown[1]
    video = either.client.get(f"/download/{rendered(either, system)}").content
    (tmp_path / "video.mp4").write_bytes(video)
    render(Scene("snow", config=config), tmp_path / "again.mp4")
    assert digests(tmp_path / "video.mp4") == digests(tmp_path / "again.mp4")


def digests(path: Path) -> list[str]:
    """Those of the frames of a video."""
    with av.open(str(path)) as container:
        return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in container.decode(video=0)]


def test_uploaded_font_and_lyrics_are_rendered_as_the_engine_renders_their_files(stack: Stack, tmp_path: Path) -> None:
    given = {"font_file": ("font.ttf", examples()["font.ttf"]), "file": ("words.lrc", b"[00:00.00]Hush now\n")}
    assets = {name: upload(stack, data, file) for name, (file, data) in given.items()}
    for _, (file, data) in given.items():
        (tmp_path / file).write_bytes(data)

    def layers(files: dict[str, str]) -> list[dict[str, Any]]:
        font = {"font_file": files["font_file"]}
        text = {"kind": "text", "text": "Nocturne", "size": 0.2, "y": 0.3} | font
        return [text, {"kind": "lyrics", "file": files["file"], "size": 0.15, "y": 0.7} | font]

    system = create(stack, "snow", **CONFIG, layers=layers({name: each["reference"] for name, each in assets.items()}))
    frame = stack.client.get(f"/systems/{system}/frame", params={"t": 0.5})
    assert frame.status_code == 200, frame.text
    config = CONFIG | {"layers": layers({name: str(tmp_path / file) for name, (file, _) in given.items()})}
    render_frame(Scene("snow", config=config), 0.5, tmp_path / "frame.png")
    assert frame.content == (tmp_path / "frame.png").read_bytes()


def test_letter_that_an_uploaded_font_lacks_fails_the_job_in_one_line(stack: Stack) -> None:
    font = upload(stack, examples()["font.ttf"], "font.ttf")["reference"]
    layer = {"kind": "text", "text": "\ue0ff", "font_file": font}
    job = submit(stack, create(stack, "snow", **CONFIG, layers=[layer]))
    failed = stack.wait_for(job, "completed", "failed")
    assert failed["status"] == "failed"
    assert f"text: {font} has no " in failed["error"]


def test_batch_with_a_template_is_rendered_with_what_the_songs_carry(stack: Stack, tmp_path: Path) -> None:
    songs = []
    for name in ("One", "Two"):
        file = tagged_mp3(tmp_path / f"{name}.mp3", {"TIT2": name, "TPE1": "Ärzte"}, [(3, picture("PNG"))])
        answer = stack.client.post("/audio", files={"file": (file.name, file.read_bytes())})
        songs.append(answer.json()["audio_id"])
    body = {"template": "cover-ring", "songs": songs, "size": "128x72", "fps": 10, "duration": 1.0, "quality": "draft"}
    batch = stack.client.post("/batches", json=body).json()
    assert batch["counts"]["queued"] + batch["counts"]["rendering"] == len(songs)
    for job in batch["jobs"]:
        assert stack.wait_for(job["job_id"], "completed", "failed")["status"] == "completed"
    done = stack.client.get(f"/batches/{batch['batch_id']}").json()
    assert (done["progress"], done["counts"]["completed"]) == (100, 2)
    assert [job["audio_id"] for job in done["jobs"]] == songs
    videos = [stack.client.get(job["download_url"].removeprefix("/particles")) for job in done["jobs"]]
    assert [video.status_code for video in videos] == [200, 200]
    assert videos[0].content != videos[1].content


def test_deleted_picture_cannot_be_referred_to(stack: Stack) -> None:
    asset = upload(stack, picture("PNG", channels=4))
    system = create(stack, "portrait", **CONFIG, seed=77, picture=asset["reference"])
    stack.client.put(f"/systems/{system}/config", json={"config": {"picture": None}})
    assert stack.client.delete(f"/assets/{asset['asset_id']}").status_code == 200
    refused = stack.client.put(f"/systems/{system}/config", json={"config": {"picture": asset["reference"]}})
    assert (refused.status_code, "there is no such asset" in refused.text) == (400, True)
