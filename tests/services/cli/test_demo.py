"""``make demo``, with a smaller video: what it leaves, and what it says when something goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

import services.cli.demo
from tests.media import read_video
from tests.service import ROOT, alive, children, descendants, redis_or_skip, wait_for
from tests.services.api.world import served
from tests.waiting import HANG

pytestmark = [pytest.mark.debian("redis-server"), pytest.mark.usefixtures("_redis")]

SMALL = {"width": 320, "height": 180, "duration": 2.0, "particle_count": 100}
LONG = SMALL | {"duration": 600.0}


@pytest.fixture(scope="session")
def _redis() -> None:
    redis_or_skip()


def demo(
    folder: Path, config: dict[str, object], *, python: str = sys.executable, **environment: str
) -> subprocess.Popen[str]:
    """The demo as make starts it, but for the size and length of its video."""
    code = (
        "import sys, pathlib, services.cli.demo as demo\n"
        f"sys.executable = {python!r}  # what starts the service\n"
        f"demo.SECONDS, demo.POSTER_AT, demo.CONFIG = 2.0, 1.0, {config}\n"
        "sys.exit(demo.main(pathlib.Path(sys.argv[1])))"
    )
    return subprocess.Popen(
        (sys.executable, "-c", code, folder),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_demo_makes_a_video_and_its_poster(tmp_path: Path) -> None:
    process = demo(tmp_path / "out", SMALL, MOTES_PORT="1", MOTES_DATA="/nowhere")  # settings of others do not count
    out, said = process.communicate(timeout=HANG)
    assert (process.returncode, said) == (0, "")
    song, service, video, poster = out.splitlines()
    assert song == f"song     {tmp_path}/out/demo.wav"
    assert service.startswith("service  http://127.0.0.1:")
    assert video.startswith(f"video    {tmp_path}/out/demo.mp4  (60 frames in ")
    assert poster == f"poster   {tmp_path}/out/demo.png"
    assert len(read_video(tmp_path / "out/demo.mp4").pts) == 60
    with av.open(str(tmp_path / "out/demo.png")) as picture:
        assert next(picture.decode(video=0)).width == 320
    assert names(tmp_path / "out") == ["demo.log", "demo.mp4", "demo.png", "demo.wav"]


def test_refused_request_is_a_one_line_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTES_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MOTES_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(services.cli.demo, "_service", lambda data, log: served())
    monkeypatch.setattr(services.cli.demo, "CONFIG", {"particle_count": -1})
    monkeypatch.setattr(services.cli.demo, "SECONDS", 0.5)
    assert services.cli.demo.main(tmp_path / "out") == 2
    assert capsys.readouterr().err == "motes: error: particle_count = -1: must be between 0 and 1000000\n"
    assert names(tmp_path / "out") == ["demo.wav"]


def test_service_that_does_not_start_is_reported(tmp_path: Path) -> None:
    process = demo(tmp_path, SMALL, python="/bin/false")
    _, said = process.communicate(timeout=HANG)
    assert (process.returncode, said) == (2, "motes: error: the service did not start\n")
    assert names(tmp_path) == ["demo.log", "demo.wav"]


@pytest.mark.campaign
def test_service_that_exits_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = demo(tmp_path, LONG)
    service = wait_for(lambda: descendants(process.pid))[0]
    os.kill(wait_for(lambda: children(service).get("worker")), signal.SIGKILL)
    wait_for(lambda: len(descendants(process.pid)) >= 7)
    os.kill(service, signal.SIGKILL)
    _, said = process.communicate(timeout=HANG)
    assert process.returncode == 2
    first, second, *log = said.splitlines()
    assert first.startswith("motes: error: ")
    assert second == f"The end of {tmp_path}/demo.log:"
    assert any("was killed by SIGKILL; restarting it" in line for line in log)


@pytest.mark.campaign
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_demo_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    process = demo(tmp_path, LONG)
    wait_for(lambda: len(descendants(process.pid)) >= 7)  # it has begun, and does a task
    everything = descendants(process.pid)
    process.send_signal(number)
    _, said = process.communicate(timeout=HANG)
    wait_for(lambda: not any(map(alive, everything)))
    if number == signal.SIGINT:
        assert (process.returncode, said) == (130, "motes: cancelled\n")
        assert names(tmp_path) == ["demo.log", "demo.wav"]
