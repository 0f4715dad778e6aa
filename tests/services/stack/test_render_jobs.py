"""Jobs over HTTP, done by real workers: created, followed, downloaded, cancelled."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from ecs_core import Scene, render, render_frame
from tests.media import read_video
from tests.services.stack.api_calls import LONG, SMALL, create, submit
from tests.services.stack.conftest import Stack, until

pytestmark = pytest.mark.debian("redis-server")

# As in the guide: three colours at once.
COLOURS = {"particle_colors": [[255, 0, 0], [0, 255, 0], [0, 0, 255]]}


def test_documented_steps_from_upload_to_download(stack: Stack, demo_song: Path, tmp_path: Path) -> None:
    with demo_song.open("rb") as song:
        uploaded = stack.client.post("/audio", files={"file": ("demo.wav", song)}).json()
    system = create(stack, **SMALL, **COLOURS)
    loaded = stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": uploaded["audio_path"]}).json()
    assert loaded["status"]["audio_loaded"]
    job = submit(stack, system, output_path="my_visualization.mp4", audio_path=uploaded["audio_path"])
    done = stack.wait_for(job, "completed", "failed")
    assert (done["status"], done["progress"]) == ("completed", 100)
    video = stack.client.get(f"/download/{job}")
    assert video.headers["content-disposition"].endswith('filename="my_visualization.mp4"')
    (tmp_path / "service.mp4").write_bytes(video.content)
    render(Scene("enhanced", demo_song, {**SMALL, **COLOURS}), tmp_path / "engine.mp4")
    service, engine = read_video(tmp_path / "service.mp4"), read_video(tmp_path / "engine.mp4")
    assert service.pts == engine.pts
    part = stack.client.get(f"/download/{job}", headers={"Range": "bytes=0-99"})
    assert (part.status_code, len(part.content)) == (206, 100)


def test_layers_are_rendered_as_by_the_engine(stack: Stack, tmp_path: Path) -> None:
    layers = [{"type": "zen", "behind": True}, {"type": "enhanced", "opacity": 0.5}]
    config = {**SMALL, "duration": 1.0, "layers": layers}
    system = create(stack, "snow", **config)
    assert stack.wait_for(submit(stack, system), "completed", "failed")["status"] == "completed"
    shown = stack.client.get(f"/systems/{system}/frame", params={"t": 0.5}).content
    render_frame(Scene("snow", config=config), 0.5, tmp_path / "frame.png")
    assert shown == (tmp_path / "frame.png").read_bytes()


DIMS = {"source": "beat", "target": "finish.exposure", "op": "add", "gain": -10, "release": 0.02}
STROBE = {"background": [200, 200, 200], "bpm": 290, "finish": {}, "bindings": [DIMS], "duration": 3.0}


@pytest.mark.parametrize("guard", ["report", "limit"])
def test_flashes_are_told_or_limited_as_by_the_engine(
    stack: Stack, demo_song: Path, tmp_path: Path, guard: str
) -> None:
    with demo_song.open("rb") as song:
        uploaded = stack.client.post("/audio", files={"file": ("demo.wav", song)}).json()
    config = {**SMALL, **STROBE, "flash_guard": guard}
    system = create(stack, "snow", **config)
    stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": uploaded["audio_path"]})
    done = stack.wait_for(submit(stack, system), "completed", "failed")
    expected = render(Scene("snow", demo_song, config), tmp_path / "engine.mp4")
    assert expected.flashes is not None
    assert done["flashes"] == [asdict(each) for each in expected.flashes]
    assert bool(done["flashes"]) == (guard == "report")
    assert [each for each in done["warnings"] if "WCAG" in each] == [
        each for each in expected.warnings if "WCAG" in each
    ]
    shown = stack.client.get(f"/systems/{system}/frame", params={"t": 2.0}).content
    render_frame(Scene("snow", demo_song, config), 2.0, tmp_path / "frame.png")
    assert shown == (tmp_path / "frame.png").read_bytes()


def test_same_scene_again_is_not_rendered_again(stack: Stack) -> None:
    system = create(stack, **SMALL, seed=7007)
    first = submit(stack, system)
    stack.wait_for(first, "completed")
    again = submit(stack, system)
    stack.wait_for(again, "completed")
    tasks = stack.rows("SELECT job_id FROM tasks WHERE worker IS NOT NULL")
    assert first in {row["job_id"] for row in tasks}
    assert again not in {row["job_id"] for row in tasks}  # nothing was done for it
    assert stack.client.get(f"/download/{again}").content == stack.client.get(f"/download/{first}").content


def test_later_changes_do_not_affect_a_render(stack: Stack, tmp_path: Path) -> None:
    system = create(stack, **SMALL, seed=7008)
    job = submit(stack, system)
    changed = stack.client.put(f"/systems/{system}/config", json={"config": {"width": 320}})
    assert changed.json()["status"]["config"]["width"] == 320
    stack.wait_for(job, "completed")
    (tmp_path / "video.mp4").write_bytes(stack.client.get(f"/download/{job}").content)
    assert read_video(tmp_path / "video.mp4").width == 160


def test_cancelled_job_stops(stack: Stack) -> None:
    job = submit(stack, create(stack, **LONG, seed=201))
    stack.wait_for(job, "rendering")
    early = stack.client.get(f"/download/{job}")
    assert (early.status_code, early.json()["detail"]) == (400, "Job not completed: it is rendering")
    assert stack.client.post(f"/jobs/{job}/cancel").json() == {"job_id": job, "status": "cancelled"}
    until(lambda: not stack.children(), stack)
    assert stack.client.post(f"/jobs/{job}/cancel").status_code == 200  # again is no error
    assert stack.client.get(f"/jobs/{job}").json()["frames_done"] < LONG["duration"] * 30  # it was not done before


def test_events_follow_a_job_to_its_end(stack: Stack) -> None:
    job = submit(stack, create(stack, **SMALL, seed=11))
    with stack.client.stream("GET", f"/jobs/{job}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        told = [line.removeprefix("data: ") for line in events.iter_lines() if line.startswith("data: ")]
    assert '"status":"completed"' in told[-1]
    assert '"progress":100' in told[-1]
