"""Motes where processes have no fork, groups and signals and files no locks, and open files cannot be removed.

Everything runs in processes from which ``like_windows/sitecustomize.py`` took what only POSIX has, with all that they
start. What comes out is what comes out of all others.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from ecs_core import RenderResult, Scene, render
from ecs_core.kernels.compilation import KERNELS
from tests.conftest import CommandLine
from tests.fork_server import HANG, ROOT
from tests.portable.like_windows.sitecustomize import MODULES, OF_OS, OF_SIGNAL, OF_SOCKET
from tests.service import alive, descendants, wait_for

CONFIG = {"width": 320, "height": 180, "particle_count": 60, "duration": 2.0}
SCENE = ("--type", "snow", "--size", "320x180", "--set", "particle_count=60", "--duration", "2", "--workers", "2")
LONG = ("--type", "snow", "--size", "320x180", "--set", "particle_count=60", "--duration", "600", "--workers", "2")
COMMANDS = ("analyze", "frame", "main", "particle_types", "plugin_dev", "plugin_new", "render", "start", "warmup")
# What is used only where it exists.
ALLOWED = {
    "ecs_core/cores.py": {"sched_getaffinity"},
    "ecs_core/kernels/compilation.py": {"SIGCHLD", "fork", "wait"},
    "ecs_core/portability.py": {"ITIMER_REAL", "SIGALRM", "SIGKILL", "killpg", "setitimer"},
    "ecs_core/rendering/child.py": {"SIGCHLD", "fork"},
    "ecs_core/rendering/pool.py": {"SIGKILL"},
}
GUARDED = """
import importlib, mmap, os, signal, subprocess, sys
from pathlib import Path
import pytest
from ecs_core import portability

assert (portability.POSIX, portability.FORKS) == (False, False)
for name in ("fcntl", "resource", "select"):
    with pytest.raises(ImportError):
        importlib.import_module(name)
with pytest.raises(FileNotFoundError):
    open("/proc/cpuinfo")
path, other = Path(sys.argv[1], "file"), Path(sys.argv[1], "other")
path.write_text("held")
other.write_text("other")
for hold in (lambda: path.open("rb"), lambda: mmap.mmap(os.open(path, os.O_RDONLY), 4, prot=mmap.PROT_READ)):
    with hold():
        for change in (lambda: path.unlink(), lambda: path.replace(other), lambda: other.replace(path)):
            with pytest.raises(PermissionError):
                change()
assert portability.is_closed_pipe(OSError(22, "Invalid argument"))
assert not portability.is_closed_pipe(OSError(28, "No space left on device"))
code = "import os, signal; print(hasattr(os, 'fork'), hasattr(signal, 'SIGKILL'))"
sys.exit(subprocess.run([sys.executable, "-c", code]).returncode)
"""
KILLED = """
import json, sys
from ecs_core import Scene, render
from ecs_core.rendering.pool import Pool
from ecs_core.rendering.messages import SegmentReport

messages, killed = Pool.messages, []

def killing(pool, timeout):
    for message in messages(pool, timeout):
        busy = [child for child in pool._children if child.work is not None]
        if isinstance(message, SegmentReport) and busy and not killed:
            killed.append(busy[0])
            busy[0].kill()
        yield message
    if killed:
        replaced.append(killed[0] not in pool._children)

Pool.messages, replaced = killing, []
scene = Scene("snow", sys.argv[1], json.loads(sys.argv[3]))
result = render(scene, sys.argv[2], workers=2, segment_seconds=0.2, frame_hashes=True)
print(json.dumps({"replaced": replaced[-1:], "frames": result.frame_hashes}))
"""
FAILED = """
import sys
from dataclasses import replace
from pathlib import Path
from ecs_core import RenderError, Scene
from ecs_core.rendering.pool import Pool
from ecs_core.rendering.render_video import first_message

folder = Path(sys.argv[1])
first = first_message(*Scene("snow").resolve(), "draft", folder)
with Pool(2, folder) as pool:
    pool.prepare(replace(first, type="unknown"))
    try:
        while True:
            list(pool.messages(1.0))
    except RenderError as error:
        print(error, *error.__notes__)
"""
COMPILED = """
import json, sys
from ecs_core.kernels.compilation import compile_missing, missing

states = []
compile_missing(sys.argv[1:], report=states.append)
print(json.dumps([states[-1].done, missing()]))
"""
DROPPED = """
import sys, time
from services.cli import main, particle_types

class Slow:
    def __del__(self):
        print("destroyed", flush=True)
        while True:
            time.sleep(0.01)

def run(arguments):
    slow = Slow()
    del slow
    while True:
        time.sleep(0.01)

particle_types.run = run
sys.exit(main.main(["types"]))
"""


@pytest.fixture(scope="module")
def usual(demo_song: Path, tmp_path_factory: pytest.TempPathFactory) -> RenderResult:
    """The video of SCENE, rendered as on Linux."""
    path = tmp_path_factory.mktemp("usual") / "out.mp4"
    return render(Scene("snow", demo_song, CONFIG), path, workers=2, frame_hashes=True)


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that says that kernels are compiled, for processes that know the processor by another name."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "motes").mkdir()
    code = "import sys, pathlib; from ecs_core.kernels import compilation; "
    code += "compilation._record(pathlib.Path(sys.argv[1]), compilation.KERNELS)"
    environment = {**os.environ, "PYTHONPATH": _python_path(), "XDG_CACHE_HOME": str(folder)}
    subprocess.run([sys.executable, "-c", code, folder / "motes"], env=environment, check=True, timeout=HANG)
    return folder


@pytest.fixture(autouse=True)
def _as_on_windows(monkeypatch: pytest.MonkeyPatch, records: Path) -> None:
    """For the processes that a test starts."""
    monkeypatch.setenv("PYTHONPATH", _python_path())
    monkeypatch.setenv("XDG_CACHE_HOME", str(records))


def _python_path() -> str:
    return os.pathsep.join((str(ROOT / "tests" / "portable" / "like_windows"), str(ROOT)))


def run(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rendering(process: subprocess.Popen[str], folder: Path) -> list[int]:
    """Wait until children render; their process ids."""
    wait_for(lambda: [*folder.glob(".*/[0-9]*.mp4*")] or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return descendants(process.pid)


def test_what_windows_lacks_is_taken_away(tmp_path: Path) -> None:
    done = run(GUARDED, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False False\n", "")


def test_frames_are_the_same_although_a_child_is_killed(usual: RenderResult, demo_song: Path, tmp_path: Path) -> None:
    done = run(KILLED, demo_song, tmp_path / "out.mp4", json.dumps(CONFIG))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"replaced": [True], "frames": list(usual.frame_hashes)}
    assert names(tmp_path) == ["out.mp4"]


def test_frames_are_the_same_with_posix_but_without_fork(
    usual: RenderResult, demo_song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS."""
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setattr("ecs_core.rendering.pool.FORKS", False)
    mine = descendants(os.getpid())
    result = render(Scene("snow", demo_song, CONFIG), tmp_path / "out.mp4", workers=2, frame_hashes=True)
    assert result.frame_hashes == usual.frame_hashes
    assert descendants(os.getpid(), without=mine) == []
    assert names(tmp_path) == ["out.mp4"]


def test_render_and_frame(usual: RenderResult, demo_song: Path, motes: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("an earlier video")
    files = ("-o", tmp_path / "out.mp4", "--frame-hashes", tmp_path / "out.json", "--poster", tmp_path / "out.png")
    done = motes("render", demo_song, *SCENE, *files, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["sound"] == usual.sound
    assert json.loads((tmp_path / "out.json").read_text())["frames"] == list(usual.frame_hashes)
    assert (tmp_path / "out.mp4").read_bytes()[4:8] == b"ftyp"
    done = motes("frame", demo_song, *SCENE[:-2], "--at", "1", "-o", tmp_path / "frame.png", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["sha256"] == usual.frame_hashes[30]
    assert names(tmp_path) == ["frame.png", "out.json", "out.mp4", "out.png"]


def test_analyze_and_types(
    demo_song: Path, motes: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [motes("analyze", demo_song, "-o", tmp_path / "here.json"), motes("types")]
    monkeypatch.delenv("PYTHONPATH")
    usual = [motes("analyze", demo_song, "-o", tmp_path / "usual.json"), motes("types")]
    assert [(done.returncode, done.stdout, done.stderr) for done in told] == [(0, done.stdout, "") for done in usual]
    assert (tmp_path / "here.json").read_bytes() == (tmp_path / "usual.json").read_bytes()


def test_output_that_has_not_all_letters(motes: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")  # a pipe on Windows has the letters of a country
    done = motes("types", "snow")
    assert (done.returncode, done.stderr) == (0, "")
    assert "?" in done.stdout


def test_service_says_that_it_needs_linux(motes: CommandLine) -> None:
    done = motes("serve")
    assert (done.returncode, done.stderr) == (2, "motes: error: the service runs on Linux only\n")


def test_ctrl_c_leaves_nothing_behind(motes: CommandLine, demo_song: Path, tmp_path: Path) -> None:
    process = motes.start("render", demo_song, *LONG, "-o", tmp_path / "out.mp4")
    workers = rendering(process, tmp_path)
    assert len(workers) == 2
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG)
    assert (process.returncode, out, err) == (130, "", "motes: cancelled; nothing was left behind\n")
    assert not any(alive(worker) for worker in workers)
    assert names(tmp_path) == []


def test_killed_parent_leaves_no_children_and_no_folder(motes: CommandLine, tmp_path: Path) -> None:
    process = motes.start("render", *LONG, "-o", tmp_path / "out.mp4")
    workers = rendering(process, tmp_path)
    process.kill()
    process.communicate(timeout=HANG)
    wait_for(lambda: not any(alive(worker) for worker in workers))
    wait_for(lambda: names(tmp_path) == [])


def test_error_in_a_child_is_told_although_the_child_ends(tmp_path: Path) -> None:
    done = run(FAILED, tmp_path)
    assert done.stdout.startswith("rendering failed: KeyError: 'unknown' Traceback"), done.stderr


@pytest.mark.campaign
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_kernels_are_compiled_in_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    done = run(COMPILED, "motion.wrap", "lifetime.mark_dead")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        2,
        [name for name in KERNELS if name not in ("motion.wrap", "lifetime.mark_dead")],
    ]


def test_interrupted_while_python_drops_exceptions() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", DROPPED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "destroyed\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG)
    assert (process.returncode, out, err) == (130, "", "motes: cancelled; nothing was left behind\n")


def test_nothing_else_uses_what_only_posix_has() -> None:
    lacking = {"os": OF_OS.split(), "signal": OF_SIGNAL.split(), "socket": OF_SOCKET.split()}
    used = defaultdict(set)
    places = [*(ROOT / "ecs_core").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    for path in places + [ROOT / "services" / "cli" / f"{name}.py" for name in COMMANDS]:
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found |= {node.attr} & {*lacking.get(node.value.id, ())}
            elif isinstance(node, ast.ImportFrom):
                found |= {node.module or ""} & {*MODULES.split()}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names} & {*MODULES.split()}
        if found:
            used[str(path.relative_to(ROOT))] = found
    assert used == ALLOWED
