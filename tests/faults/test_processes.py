"""Processes die and users press Ctrl-C: the video is right or there is none, and nobody stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecs_core import Progress, RenderCancelled, RenderError, Scene, render
from tests.conftest import CommandLine
from tests.fork_server import HANG
from tests.media import SMALL, read_video
from tests.service import alive, cpu_of_tree, descendants, wait_for

FEW = 10.0  # seconds of CPU after Ctrl-C; what is not interrupted takes several times as many
LONG = ("--type", "snow", "--size", "640x360", "--set", "particle_count=400", "--workers", "2")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def segments(folder: Path) -> list[Path]:
    """Segments that are being rendered or wait to be joined."""
    return [*folder.glob(".*/[0-9]*.mp4*")]


def rendering(process: subprocess.Popen[str], folder: Path) -> list[int]:
    """Wait until children render; their process ids."""
    wait_for(lambda: segments(folder) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return descendants(process.pid)


def analysing(process: subprocess.Popen[str], folder: Path) -> list[int]:
    """Wait until a child loads what it needs: the song is being analysed, unless this test was slow to look."""
    wait_for(lambda: descendants(process.pid))
    assert process.poll() is None
    return descendants(process.pid)


class TestKilledChild:
    def test_its_segment_is_rendered_again(self, motes: CommandLine, tmp_path: Path) -> None:
        command = ("render", *LONG, "--duration", "6", "--segment-seconds", "0.5", "--json")
        process = motes.start(*command, "-o", tmp_path / "out.mp4", "--frame-hashes", tmp_path / "out.json")
        killed = rendering(process, tmp_path)[0]
        os.kill(killed, signal.SIGKILL)
        out, err = process.communicate(timeout=HANG)
        assert process.returncode == 0, err
        assert json.loads(out)["frames"] == 180
        assert len(read_video(tmp_path / "out.mp4").pts) == 180
        assert not alive(killed)
        config = {"width": 640, "height": 360, "particle_count": 400, "duration": 6.0}
        signals_deferred = render(Scene("snow", config=config), tmp_path / "same.mp4", workers=2, frame_hashes=True)
        assert json.loads((tmp_path / "out.json").read_text())["frames"] == list(signals_deferred.frame_hashes)
        assert names(tmp_path) == ["out.json", "out.mp4", "same.mp4"]

    def test_new_process_begins_near_its_segment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from ecs_core.rendering.messages import SegmentReport, Work
        from ecs_core.rendering.pool import Pool, _Child

        scene = Scene("snow", config={"width": 64, "height": 36, "duration": 20.0, "particle_count": 50})
        usual = render(scene, tmp_path / "usual.mp4", workers=2, segment_seconds=0.5, frame_hashes=True)
        given: list[tuple[_Child, Work]] = []
        messages, send = Pool.messages, _Child.send
        killed: list[_Child] = []

        def noted(child: _Child, begin: Any, work: Work | None) -> None:
            if work is not None:
                given.append((child, work))
            send(child, begin, work)

        def killing(pool: Pool, timeout: float) -> Any:
            for message in messages(pool, timeout):
                works = [(child, child.work) for child in pool._children if child.work is not None]
                busy = next((child for child, work in works if work.segment.number >= 10), None)
                if isinstance(message, SegmentReport) and not killed and busy is not None and busy.pid is not None:
                    os.kill(busy.pid, signal.SIGKILL)
                    killed.append(busy)
                yield message

        monkeypatch.setattr(_Child, "send", noted)
        monkeypatch.setattr(Pool, "messages", killing)
        result = render(scene, tmp_path / "out.mp4", workers=2, segment_seconds=0.5, frame_hashes=True)
        assert killed
        assert result.frame_hashes == usual.frame_hashes
        first: dict[_Child, Work] = {}  # of each process
        for child, work in given:
            first.setdefault(child, work)
        *_, late = first.values()
        assert late.segment.number >= 10
        assert late.segment.start - late.snapshot.frame <= 2 * 15  # two segments back at most

    def test_ends_of_segments_are_kept_only_as_long_as_they_may_be_needed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ecs_core.rendering.pool import Pool

        kept: list[int] = []
        forget = Pool._forget_ends

        def noted(pool: Pool) -> None:
            forget(pool)
            kept.append(len(pool._ends))

        monkeypatch.setattr(Pool, "_forget_ends", noted)
        scene = Scene("snow", config={"width": 64, "height": 36, "duration": 8.0, "particle_count": 50})
        render(scene, tmp_path / "out.mp4", workers=3, segment_seconds=0.2)
        assert len(kept) >= 40
        assert max(kept) <= 4

    def test_three_times_fails_the_render(self, motes: CommandLine, tmp_path: Path) -> None:
        process = motes.start("render", *LONG, "--duration", "10", "-o", tmp_path / "out.mp4", "--workers", "1")
        killed: set[int] = set()
        while process.poll() is None and len(killed) < 10:
            for child in set(descendants(process.pid)) - killed:
                os.kill(child, signal.SIGKILL)
                killed.add(child)
            time.sleep(0.005)
        out, err = process.communicate(timeout=HANG)
        assert process.returncode == 2
        assert out == ""
        assert err.startswith("motes: error: a render process died 3 times")
        assert "SIGKILL" in err
        assert err.count("\n") == 1
        assert 3 <= len(killed) <= 5  # twice at most before it got the segment, then three times with it
        assert names(tmp_path) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", [rendering, analysing], ids=["rendering", "analysing"])
def test_interrupted(
    motes: CommandLine,
    tmp_path: Path,
    demo_song: Path,
    sent: signal.Signals,
    moment: Callable[[subprocess.Popen[str], Path], list[int]],
) -> None:
    (tmp_path / "out.mp4").write_text("an earlier video")
    process = motes.start("render", demo_song, *LONG, "--duration", "600", "-o", tmp_path / "out.mp4")
    workers = moment(process, tmp_path)
    assert workers
    before = cpu_of_tree(os.getpid())
    process.send_signal(sent)
    out, err = process.communicate(timeout=HANG)
    assert cpu_of_tree(os.getpid()) - before < FEW
    assert process.returncode == 130
    assert out == ""
    assert err == "motes: cancelled; nothing was left behind\n"
    assert not any(alive(worker) for worker in workers)
    assert names(tmp_path) == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "an earlier video"


@pytest.mark.parametrize("step", [100, pytest.param(25, marks=pytest.mark.campaign)])
def test_interrupted_while_child_processes_start(
    motes: CommandLine, tmp_path: Path, demo_song: Path, step: int
) -> None:
    for milliseconds in range(0, 300, step):  # also while native libraries are imported, which an exception would crash
        process = motes.start("render", demo_song, *LONG, "--duration", "600", "-o", tmp_path / "out.mp4")
        workers = analysing(process, tmp_path)
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG)
        assert (process.returncode, err) == (130, "motes: cancelled; nothing was left behind\n")
        assert not any(alive(worker) for worker in workers)
        assert names(tmp_path) == []


def test_interrupted_while_python_drops_exceptions(tmp_path: Path) -> None:
    """As in a callback of native code, or while an object is destroyed."""
    code = """
import sys, time
from services.cli import main
from services.cli import particle_types

class Slow:
    def __del__(self):
        print("destroyed", flush=True)
        time.sleep(0.5)
        print("not reached", flush=True)

def run(arguments):
    slow = Slow()
    del slow
    time.sleep(60)

particle_types.run = run
sys.exit(main.main(["types"]))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "destroyed\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG)
    assert (process.returncode, out, err) == (130, "", "motes: cancelled; nothing was left behind\n")


def test_interrupted_before_the_command_line_is_loaded(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("motes")), "render", *LONG, "-o", str(tmp_path / "out.mp4")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    wait_for(lambda: "pydantic_core" in Path(f"/proc/{process.pid}/maps").read_text())  # the command line is not yet
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG)
    assert b"Traceback" not in err
    assert out == b""
    assert process.returncode in (-signal.SIGINT, 130)
    assert names(tmp_path) == []


def test_ctrl_c_in_a_terminal_reaches_the_whole_group(motes: CommandLine, tmp_path: Path) -> None:
    process = motes.start("render", *LONG, "--duration", "600", "-o", tmp_path / "out.mp4")
    workers = rendering(process, tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # the test started it in a session of its own
    _, err = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert err == "motes: cancelled; nothing was left behind\n"
    assert not any(alive(worker) for worker in workers)
    assert names(tmp_path) == []


def test_second_ctrl_c_does_not_disturb_cleanup(motes: CommandLine, tmp_path: Path) -> None:
    process = motes.start("render", *LONG, "--duration", "600", "-o", tmp_path / "out.mp4")
    workers = rendering(process, tmp_path)
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    _, err = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert err == "motes: cancelled; nothing was left behind\n"
    assert not any(alive(worker) for worker in workers)
    assert names(tmp_path) == []


def test_interrupted_in_generated_code() -> None:
    # Libraries exec() code while they are imported; a KeyboardInterrupt from there makes Python forget our exit code.
    code = (
        "import sys, services.cli.particle_types, services.cli.main as motes\n"
        "strike = 'import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(5)'\n"
        "services.cli.particle_types.run = lambda arguments: exec(strike)\n"
        "sys.exit(motes.main(['types']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG, check=False)
    assert done.returncode == 130
    assert done.stderr == "motes: cancelled; nothing was left behind\n"


def test_killed_parent_leaves_no_children_and_no_folder(motes: CommandLine, tmp_path: Path) -> None:
    process = motes.start("render", *LONG, "--duration", "600", "-o", tmp_path / "out.mp4")
    workers = rendering(process, tmp_path)
    assert len(workers) == 2
    process.kill()
    process.communicate(timeout=HANG)
    wait_for(lambda: not any(alive(worker) for worker in workers))
    wait_for(lambda: names(tmp_path) == [])


class TestLibrary:
    """The same through the Python API, in this process with its children."""

    @pytest.mark.parametrize("stage", ["analysing", "rendering"])
    def test_cancel_stops_soon(self, tmp_path: Path, demo_song: Path, stage: str) -> None:
        cancel, before = threading.Event(), 0.0
        mine = descendants(os.getpid())

        def on_progress(progress: Progress) -> None:
            nonlocal before
            if progress.stage == stage and not before:
                before = cpu_of_tree(os.getpid())
                cancel.set()

        (tmp_path / "out.mp4").write_text("an earlier video")
        scene = Scene("snow", demo_song, {**SMALL, "duration": 600.0})
        with pytest.raises(RenderCancelled, match="nothing was left behind"):
            render(scene, tmp_path / "out.mp4", workers=2, progress=on_progress, cancel=cancel)
        assert before
        assert cpu_of_tree(os.getpid()) - before < FEW
        assert names(tmp_path) == ["out.mp4"]
        assert (tmp_path / "out.mp4").read_text() == "an earlier video"
        assert descendants(os.getpid(), without=mine) == []

    def test_cancelled_before_it_began(self, tmp_path: Path) -> None:
        cancel = threading.Event()
        cancel.set()
        with pytest.raises(RenderCancelled):
            render(Scene("snow", config=SMALL), tmp_path / "out.mp4", workers=1, cancel=cancel)
        assert names(tmp_path) == []

    def test_failed_render_keeps_the_earlier_video(self, tmp_path: Path) -> None:
        (tmp_path / "out.mp4").write_text("an earlier video")
        mine = descendants(os.getpid())

        def on_progress(progress: Progress) -> None:
            if progress.frames:
                raise KeyError("a fault in the caller's own code")

        with pytest.raises(KeyError, match="caller's own code"):
            render(
                Scene("snow", config={**SMALL, "duration": 30.0}), tmp_path / "out.mp4", workers=1, progress=on_progress
            )
        assert (tmp_path / "out.mp4").read_text() == "an earlier video"
        assert names(tmp_path) == ["out.mp4"]
        assert descendants(os.getpid(), without=mine) == []

    def test_child_that_dies_in_mid_message_is_replaced(self, tmp_path: Path) -> None:
        from ecs_core.rendering.pool import Pool
        from ecs_core.rendering.render_video import first_message

        kind, settings = Scene("snow", config=SMALL).resolve()
        with Pool(1, tmp_path) as pool:
            pool.prepare(first_message(kind, settings, "draft", tmp_path))
            child = pool._children[0]
            theirs, ours = _half_a_message()
            child.connection.close()
            child.connection = ours
            theirs.close()
            assert list(pool.messages(1.0)) == []
            assert pool._children[0].origin.pid != child.origin.pid

    def test_error_in_a_child_has_its_traceback(self, tmp_path: Path) -> None:
        from ecs_core.rendering.messages import Failed
        from ecs_core.rendering.pool import Pool
        from ecs_core.rendering.render_video import first_message

        kind, settings = Scene("snow", config=SMALL).resolve()
        with Pool(1, tmp_path) as pool:
            pool.prepare(first_message(kind, settings, "draft", tmp_path))
            theirs, ours = _pipe()
            pool._children[0].connection.close()
            pool._children[0].connection = ours
            theirs.send(Failed("error", "ZeroDivisionError: division by zero", "Traceback of the child"))
            with pytest.raises(RenderError, match="rendering failed: ZeroDivisionError: division by zero") as caught:
                list(pool.messages(1.0))
            assert caught.value.__notes__ == ["Traceback of the child"]
            theirs.close()


def _pipe() -> tuple[Any, Any]:
    from multiprocessing.connection import Pipe

    return Pipe()


def _half_a_message() -> tuple[Any, Any]:
    theirs, ours = _pipe()
    os.write(theirs.fileno(), (1000).to_bytes(4, "big") + b"only the beginning")
    return theirs, ours
