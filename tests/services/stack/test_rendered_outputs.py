"""Renders with variants, by real workers: analysed once, downloaded one by one, all gone when the job is deleted."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ecs_core import Scene, outputs_of, render
from tests.media import read_video
from tests.services.stack.api_calls import SMALL, create, submit
from tests.services.stack.conftest import Stack, until

pytestmark = pytest.mark.debian("redis-server")

VARIANTS = [{"size": "90x160"}, {"size": "100x100", "format": "webm"}]
NAMES = ("main", "90x160", "100x100-webm")


def outputs(stack: Stack, job: str) -> dict[str, dict[str, object]]:
    return {each["name"]: each for each in stack.client.get(f"/jobs/{job}").json()["outputs"]}


def test_outputs_are_those_of_the_engine_and_are_downloaded_like_videos(
    stack: Stack, demo_song: Path, tmp_path: Path
) -> None:
    with demo_song.open("rb") as song:
        uploaded = stack.client.post("/audio", files={"file": ("demo.wav", song)}).json()
    config = {**SMALL, "variants": VARIANTS, "seed": 1310, "metre": 4}
    system = create(stack, **config)
    job = submit(stack, system, audio_path=uploaded["audio_path"])
    done = stack.wait_for(job, "completed", "failed")
    assert (done["status"], done["progress"], done["frames"]) == ("completed", 100, 180)
    scenes = outputs_of(Scene("enhanced", demo_song, config))
    assert tuple(scenes) == tuple(outputs(stack, job)) == NAMES
    for name, told in outputs(stack, job).items():
        video = stack.client.get(str(told["url"]))
        assert video.status_code == 200
        kind = "video/webm" if name.endswith("webm") else "video/mp4"
        assert video.headers["content-type"] == kind
        file = tmp_path / f"{name}.{told['format']}"
        file.write_bytes(video.content)
        expected = render(scenes[name], tmp_path / f"engine.{told['format']}")
        here, there = read_video(file), read_video(expected.output)
        assert (here.width, here.height) == (expected.width, expected.height) == (told["width"], told["height"])
        assert here.pts == there.pts
        assert len(video.content) < int(str(told["bytes"]))  # and its poster
        etag = video.headers["etag"]
        part = stack.client.get(str(told["url"]), headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, video.content[5:10])
        assert stack.client.get(str(told["url"]), headers={"If-None-Match": etag}).status_code == 304
        assert stack.client.head(str(told["url"])).headers["content-length"] == str(len(video.content))
    main = stack.client.get(f"/download/{job}")
    assert main.headers["etag"] == stack.client.get(f"/jobs/{job}/outputs/main").headers["etag"]
    names = [stack.client.head(f"/jobs/{job}/outputs/{name}").headers["content-disposition"] for name in NAMES]
    assert [name.partition('"')[2] for name in names] == ['video.mp4"', 'video-90x160.mp4"', 'video-100x100.webm"']
    assert stack.client.get(f"/jobs/{job}/poster").status_code == 200
    scenes_before = {file.split("/")[1] for file in stack.files()}
    keys = {row["scene_key"] for row in stack.rows("SELECT scene_key FROM jobs WHERE whole_id = :job", job=job)}
    assert keys <= scenes_before
    assert stack.client.delete(f"/jobs/{job}").status_code == 200
    assert not keys & {file.split("/")[1] for file in stack.files()}
    assert stack.rows("SELECT id FROM jobs WHERE id = :job OR whole_id = :job", job=job) == []


def test_an_output_is_there_before_the_job_is_done_and_a_killed_worker_goes_on(stack: Stack) -> None:
    variants = [{"size": "640x360", "duration": 20.0, "name": "long"}, {"size": "64x64"}]
    job = submit(stack, create(stack, **SMALL, variants=variants, seed=1311))
    until(lambda: outputs(stack, job)["main"]["status"] == "completed", stack)
    assert stack.client.get(f"/jobs/{job}").json()["status"] == "rendering"
    first = stack.client.get(f"/jobs/{job}/outputs/main")
    assert first.status_code == 200
    early = stack.client.get(f"/jobs/{job}/outputs/long")
    assert early.status_code == 400
    assert early.json()["detail"].startswith("Output not completed: it is ")
    stack.stop("worker", signal.SIGKILL)
    stack.start_worker()
    assert stack.wait_for(job, "completed", "failed")["status"] == "completed"
    assert {each["status"] for each in outputs(stack, job).values()} == {"completed"}
    assert stack.client.get(f"/jobs/{job}/outputs/main").headers["etag"] == first.headers["etag"]


def test_cancelling_stops_all_outputs_and_keeps_what_is_complete(stack: Stack) -> None:
    variants = [{"size": "640x360", "duration": 60.0, "name": "long"}, {"size": "64x64"}]
    job = submit(stack, create(stack, **SMALL, variants=variants, seed=1312))
    until(lambda: outputs(stack, job)["main"]["status"] == "completed", stack)
    assert stack.client.post(f"/jobs/{job}/cancel").json() == {"job_id": job, "status": "cancelled"}
    until(lambda: not stack.children(), stack)
    told = outputs(stack, job)
    assert (told["main"]["status"], told["long"]["status"]) == ("completed", "cancelled")
    whole = stack.client.get(str(told["main"]["url"]))
    assert whole.status_code == 200, whole.text
    assert stack.client.get(f"/download/{job}").status_code == 400
    stack.motes("jobs", "retry", job)
    assert outputs(stack, job)["main"]["status"] == "completed"
    assert stack.client.post(f"/jobs/{job}/cancel").status_code == 200
