"""examples/client.py, and a client of a few plain requests: from a song to the downloaded video, whatever gets lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.client import Motes
from tests.examples.proxy import proxy
from tests.fork_server import HANG
from tests.media import read_video
from tests.service import ROOT, Service, wait_for
from tests.services.media.asset_examples import picture

pytestmark = pytest.mark.debian("redis-server")

COLOURS = {
    "particle_colors": [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
    "enhanced_mode": {"active": True, "threshold": 0.3, "factor": 2.0},
}
SMALL: dict[str, Any] = {"width": 320, "height": 180, "fps": 30, "particle_count": 200} | COLOURS
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.endswith("_proxy")}


def client(*arguments: str | Path) -> subprocess.Popen[str]:
    """The example as a script, where nothing of Motes can be imported."""
    command = (sys.executable, "-I", ROOT / "examples/client.py", *arguments)
    return subprocess.Popen(
        command, cwd="/", env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_script_renders_a_song_as_long_as_it_is(service: Service, demo_song: Path, tmp_path: Path) -> None:
    process = client(demo_song, tmp_path / "out.mp4", "--config", json.dumps(SMALL), "--url", service.url)
    out, said = process.communicate(timeout=HANG)
    assert (process.returncode, out) == (0, f"{tmp_path / 'out.mp4'}\n"), said
    stages = [line.partition(":")[0] for line in said.splitlines()]
    assert [stage for stage in ("queued", "rendering", "completed") if stage in stages] == [
        "queued",
        "rendering",
        "completed",
    ]
    video = read_video(tmp_path / "out.mp4")
    assert (video.width, video.height, len(video.pts)) == (320, 180, 180)
    assert video.sound.any()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_script_uploads_a_picture(service: Service, demo_song: Path, tmp_path: Path) -> None:
    (tmp_path / "cover.webp").write_bytes(picture("WEBP"))
    config = json.dumps(SMALL | {"width": 160, "height": 90, "duration": 1.0})
    shown = ("--type", "portrait", "--picture", tmp_path / "cover.webp", "--config", config)
    process = client(demo_song, tmp_path / "out.mp4", *shown, "--url", service.url)
    out, said = process.communicate(timeout=HANG)
    assert (process.returncode, out) == (0, f"{tmp_path / 'out.mp4'}\n"), said
    assert len(read_video(tmp_path / "out.mp4").pts) == 30


def test_script_fills_a_template(service: Service, demo_song: Path, tmp_path: Path) -> None:
    (tmp_path / "cover.png").write_bytes(picture("PNG"))
    config = json.dumps({"width": 160, "height": 90, "fps": 10, "duration": 1.0})
    shown = ("--template", "cover-ring", "--picture", tmp_path / "cover.png", "--config", config)
    process = client(demo_song, tmp_path / "out.mp4", *shown, "--url", service.url)
    out, said = process.communicate(timeout=HANG)
    assert (process.returncode, out) == (0, f"{tmp_path / 'out.mp4'}\n"), said
    assert len(read_video(tmp_path / "out.mp4").pts) == 10


def test_script_saves_variants_beside_the_video(service: Service, demo_song: Path, tmp_path: Path) -> None:
    config = json.dumps(SMALL | {"width": 160, "height": 90, "duration": 1.0})
    sizes = ("--variant", "90x160", "--variant", "100x100")
    process = client(demo_song, tmp_path / "out.mp4", "--config", config, *sizes, "--url", service.url)
    out, said = process.communicate(timeout=HANG)
    assert (process.returncode, out) == (0, f"{tmp_path / 'out.mp4'}\n"), said
    videos = {path.name: read_video(path) for path in tmp_path.iterdir()}
    assert {name: (video.width, video.height, len(video.pts)) for name, video in videos.items()} == {
        "out.mp4": (160, 90, 30),
        "out-90x160.mp4": (90, 160, 30),
        "out-100x100.mp4": (100, 100, 30),
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("song.wav", "nowhere/out.mp4"), "nowhere/out.mp4: the folder nowhere does not exist"),
        (("song.wav", "out.mp4", "--config", "[1]"), "argument --config: invalid json_object value: '[1]'"),
    ],
)
def test_mistake_is_reported_before_rendering(arguments: tuple[str, ...], said: str) -> None:
    process = client(*arguments)
    _, error = process.communicate(timeout=HANG)
    assert process.returncode == 2
    assert said in error


def test_rendering_takes_few_requests(service: Service, tmp_path: Path) -> None:
    """Create with three colours, load a song on the server, render, poll the progress, download."""
    base = f"{service.url}/particles"
    with httpx.Client(trust_env=False, timeout=HANG) as requests:
        config = {"width": 320, "height": 180, "fps": 30, "duration": 2.0, "particle_count": 200} | COLOURS
        created = requests.post(f"{base}/create", json={"particle_type": "enhanced", "config": config})
        system = created.json()["system_id"]
        song = {"audio_path": "path/to/audio.wav"}
        assert requests.post(f"{base}/systems/{system}/load-audio", params=song).is_success
        body = {"output_path": "my_visualization.mp4", **song}
        job = requests.post(f"{base}/systems/{system}/render", json=body).json()["job_id"]
        while (now := requests.get(f"{base}/jobs/{job}").json())["status"] not in ("completed", "failed"):
            time.sleep(0.2)
        assert (now["status"], now["progress"], now["output_path"]) == ("completed", 100, "my_visualization.mp4")
        (tmp_path / "downloaded_video.mp4").write_bytes(requests.get(f"{base}/download/{job}").content)
    video = read_video(tmp_path / "downloaded_video.mp4")
    assert (video.width, video.height, len(video.pts)) == (320, 180, 60)


def test_broken_stream_resumes_after_the_last_event(service: Service) -> None:
    with proxy(service.url, breaks=3, let_through=2) as between, Motes(between.url) as motes:
        job = motes.render(motes.create("snow", {"width": 320, "height": 180, "duration": 2.0, "seed": 1}))
        told = list(motes.follow(job))
    assert told[-1]["status"] == "completed"
    first, *others = between.asked_after
    assert first == ""
    assert len(others) == 3
    assert all(others)
    assert [each["progress"] for each in told] == sorted(each["progress"] for each in told)
    with service.client() as direct, direct.stream("GET", f"/jobs/{job}/events") as events:
        assert told == [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]


def test_client_polls_if_events_are_blocked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.client.PAUSE", 0.1)
    with proxy(service.url, breaks=1000, let_through=0) as between, Motes(between.url) as motes:
        job = motes.render(motes.create("snow", {"width": 320, "height": 180, "duration": 2.0, "seed": 2}))
        told = list(motes.follow(job))
    assert told[-1]["status"] == "completed"
    assert set(between.asked_after) == {""}


def test_ctrl_c_cancels_the_render(service: Service, demo_song: Path, tmp_path: Path) -> None:
    config = json.dumps({"width": 640, "height": 360, "duration": 120.0})
    process = client(demo_song, tmp_path / "out.mp4", "--config", config, "--url", service.url)
    with service.client() as direct:
        [job] = wait_for(lambda: direct.get("/jobs", params={"status": "rendering"}).json())
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=HANG)
        assert said.endswith("cancelled\n")
        assert "Traceback" not in said
        assert direct.get(f"/jobs/{job['job_id']}").json()["status"] == "cancelled"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--type", "rain"), "POST /particles/create: 400: Invalid particle type: rain. Available types: ["),
        (("--config", '{"colour": 1}'), "POST /particles/create: 400: unknown setting 'colour'"),
    ],
)
def test_refusal_is_shown_as_the_service_worded_it(
    service: Service, demo_song: Path, tmp_path: Path, arguments: tuple[str, str], words: str
) -> None:
    process = client(demo_song, tmp_path / "out.mp4", *arguments, "--url", service.url)
    _, said = process.communicate(timeout=HANG)
    assert process.returncode == 1
    assert words in said
    assert "Traceback" not in said


def test_unreachable_service_is_reported(demo_song: Path, tmp_path: Path) -> None:
    process = client(demo_song, tmp_path / "out.mp4", "--url", "http://127.0.0.1:1")
    _, said = process.communicate(timeout=HANG)
    assert process.returncode == 1
    assert said.startswith("http://127.0.0.1:1 does not answer: ")
