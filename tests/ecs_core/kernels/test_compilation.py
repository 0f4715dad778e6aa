"""Kernels are compiled once per machine, by one process, for the arguments that renders call them with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ecs_core.kernels import compilation
from ecs_core.kernels.compilation import KERNELS, Compiling, compile_missing, missing
from tests.service import forked

HANG = 120  # seconds
CALLS = """
import json, sys, tempfile, importlib
from pathlib import Path
from numba.core import sigutils
import numpy as np
from fractions import Fraction
from ecs_core import Burst, Canvas, Collide, Depth, FeatureTimeline, Position, Range, Size, Table, Velocity, World
from ecs_core import Scene, render_frame
from ecs_core.kernels import jit
from ecs_core.plugin_api import particle_types
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.systems import BUILT_IN
from ecs_core.text.drawing import draw
from ecs_core.text.layout import lay_out
from ecs_core.text.style import Style
from ecs_core.raster.light_pictures import LightMask, LightPicture
from ecs_core.raster.marks import BoxesMark, MaskMark, PictureMark, PlacedMark, Pose
from ecs_core.raster.rasteriser import Planes, Rasteriser
from ecs_core.raster.sprites import Sprites
from tests.media import tone, write_song
from tests.media.moving import write_video

folder = Path(tempfile.mkdtemp())
write_song(folder / "song.wav", tone(1.0))
small = {"width": 64, "height": 64, "duration": 0.5, "particle_count": 20}
zen = {"blend": "over", "color_by": "band", "trail": 0.2, "finish": {"bloom": 1.0}}
more = {"bouncing": {"collide": True, "color_by": "speed"}, "enhanced": {"bounce": True}, "zen": zen}
for name in particle_types().types:
    render_frame(Scene(name, folder / "song.wav", small | more.get(name, {})), 0.2, folder / "frame.png")
draft = make_plan(*Scene("zen", None, small | {"width": 720, "height": 720}).resolve(), None, quality="draft")
with (renderer := SegmentRenderer(draft)).simulation:
    renderer.load()
for form in ("mov", "webm", "png"):
    render_frame(Scene("zen", None, small | zen | {"format": form}), 0.2, folder / "frame.png")
table = Table([Position()])
table.spawn(3)
table.remove(np.array([True, False, True]))  # in so short a video no particle dies
balls = [Burst(300.0, 500.0, count=9, size=Range(50.0, 60.0)), Collide(0.8)]  # no type of ours has any
with World(seed=1, fps=30, canvas=Canvas(600.0), timeline=FeatureTimeline.silence(Fraction(30), 2)) as world:
    world.populate((Position, Velocity, Size, Depth), balls)
    for system in BUILT_IN:
        world.add(system())
    world.step()
    world.step()
pose, one = Pose(30.0, 30.0), np.ones(1, np.float32)
marks = [
    PictureMark(LightPicture.of(np.ones((9, 9, 3), np.uint8)), pose, 0.0, 0.0),
    MaskMark(LightMask.of(np.ones((9, 9), np.float32)), pose, 0.0, 0.0, (1.0, 1.0, 1.0)),
    BoxesMark.at(pose, one, one, one, one, np.ones(3)),
]
placed = [PlacedMark(0, mark) for mark in marks]
Rasteriser(64, 64).paint(Sprites.join([]), Planes.empty(64, 64), marks=placed)
write_video(folder / "video.mp4", [np.zeros((64, 64, 3), np.uint8)] * 2)
grounds = {"kind": "gradient", "colors": [[1, 2, 3], [4, 5, 6]]}, {"kind": "video", "file": "video.mp4", "blur": 90}
for ground in grounds:
    ground = ground | ({"file": str(folder / ground["file"])} if "file" in ground else {})
    render_frame(Scene("zen", None, small | {"backdrop": ground}), 0.2, folder / "frame.png")
draw(lay_out("a", Style(outline=0.1, glow=0.1), width=90, height=90, size=30.0))
importlib.import_module("ecs_core.kernels.rng")
declared = {name: str(sigutils.normalize_signature(text)[0]) for name, (_, text) in jit.SIGNATURES.items()}
called = {name: [str(each) for each in kernel.signatures] for name, (kernel, _) in jit.SIGNATURES.items()}
print(json.dumps([declared, called]))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing is compiled yet."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    return tmp_path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the compiler was asked for; it takes no time."""
    asked: list[list[str]] = []
    monkeypatch.setattr(compilation, "_run", lambda wanted, report: asked.append(list(wanted)))
    return asked


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_renders_call_kernels_with_declared_signatures() -> None:
    done = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, timeout=HANG, check=False)
    assert done.returncode == 0, done.stderr
    declared, called = json.loads(done.stdout)
    assert declared.keys() == KERNELS.keys()
    others = {name: found for name, found in called.items() if not set(found) <= {declared[name]}}
    assert others == {}
    assert {name for name, found in called.items() if found} >= KERNELS.keys() - {"motion.wrap", "rng.uniform_by_birth"}


def test_compiled_kernels_are_not_missing(folder: Path, runs: list[list[str]]) -> None:
    assert missing() == list(KERNELS)
    compile_missing(["motion.wrap", "motion.swirl"])
    assert runs == [["motion.swirl", "motion.wrap"]], "the longest first"
    assert missing(["motion.wrap", "motion.swirl"]) == []
    compile_missing()
    assert set(runs[1]) == KERNELS.keys() - {"motion.wrap", "motion.swirl"}
    assert missing() == []
    compile_missing()
    assert len(runs) == 2


def test_another_processor_compiles_again(folder: Path, runs: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    compile_missing()
    monkeypatch.setenv("NUMBA_CPU_NAME", "another")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "")
    assert missing() == list(KERNELS)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"key": 1, "kernels": 2}', "\0"])
def test_damaged_record_is_ignored(folder: Path, runs: list[list[str]], content: str) -> None:
    compile_missing()
    (record,) = folder.glob("compiled-*.json")
    record.write_text(content)
    assert missing() == list(KERNELS)
    compile_missing()
    assert missing() == []


def test_without_a_compiler_nothing_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert missing() == []


def test_nothing_is_compiled_without_a_writable_cache(
    tmp_path: Path, runs: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    assert compile_missing() == 0.0
    assert runs == []


def test_concurrent_processes_compile_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiling, waiting, finish = threading.Event(), threading.Event(), threading.Event()
    runs = []

    def run(wanted: list[str], report: object) -> None:
        runs.append(wanted)
        compiling.set()
        assert finish.wait(HANG)

    monkeypatch.setattr(compilation, "_run", run)
    first = threading.Thread(target=compile_missing)
    first.start()
    assert compiling.wait(HANG)
    second = threading.Thread(target=compile_missing, kwargs={"report": lambda state: waiting.set()})
    second.start()
    assert waiting.wait(HANG)
    finish.set()
    first.join(HANG)
    second.join(HANG)
    assert len(runs) == 1


def test_exception_in_the_callback_stops_the_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_START", "import signal; signal.pause()")
    reports: list[Compiling] = []
    others = set(forked(os.getpid()))  # servers that other tests share

    def report(state: Compiling) -> None:
        reports.append(state)
        if len(reports) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_missing(report=report)
    assert (reports[0].done, reports[0].total) == (0, len(KERNELS))
    assert missing() == list(KERNELS)
    assert set(forked(os.getpid())) <= others


def test_compiler_that_ends_early_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_START", "print('motion.wrap')")
    with pytest.raises(RuntimeError, match="could not be compiled"):
        compile_missing()
    assert missing() == list(KERNELS)


def test_failing_compiler_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_START", "raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="exit code 3"):
        compile_missing()
    assert missing() == list(KERNELS)


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_precompiled_kernels_are_used(folder: Path) -> None:
    states: list[Compiling] = []
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as in a worker's fork server
    try:
        assert compile_missing(["motion.advance"], report=states.append) > 0
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert states[-1].done == 1
    call = (
        "import numpy; from ecs_core import kernels; a = numpy.ones(3, 'f4'); "
        "kernels.motion.advance(a, a.copy(), a.copy(), a.copy(), 1.0, 1.0); stats = kernels.motion.advance.stats; "
        "print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))"
    )
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, timeout=HANG, check=True)
    assert done.stdout.split() == ["1", "0"]
