"""Compile kernels before they are needed, side by side: once for this processor and this version of Motes.

numba compiles a function when it is first called and keeps the result on disk. Left to itself, every process of a first
render would compile the same kernels at the same time, one after another. Here one program compiles those that are
missing, a forked process for each, on all cores; other processes that want them meanwhile wait for a file lock.

A small file beside numba's cache lists what was compiled, under a key that changes with the sources of the kernels,
numba, Python and the processor. So finding out that nothing is missing takes a millisecond and no numba.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import json
import os
import platform
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ecs_core.signals import signals_deferred

# Every kernel that Python calls, and about how many seconds of CPU it takes to compile: the longest are begun first.
KERNELS = {
    "tone.develop_band": 4.1,
    "raster.draw_band": 2.4,
    "beats.best_chain": 1.4,
    "collision.collide": 1.2,
    "motion.swirl": 0.9,
    "raster.bin_windows": 0.5,
    "motion.advance": 0.4,
    "motion.advance_reflecting": 0.4,
    "raster.cut_windows": 0.3,
    "collision.sort_into_cells": 0.3,
    "motion.advance_aging": 0.2,
    "rng.uniform_by_birth": 0.2,
    "motion.wrap": 0.1,
}
_LOADING = 0.8  # seconds until the compiler itself is loaded
_LOOK_EVERY = 0.1  # seconds between calls of ``report``
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from ecs_core.kernels.compilation import main; sys.exit(main(json.loads(sys.argv[2])))"
)


@dataclass(frozen=True, slots=True)
class Compiling:
    """How far compiling is: kernels ``done`` of ``total``, and about how many ``seconds`` it takes in all."""

    done: int
    total: int
    seconds: float


def missing(names: Iterable[str] = tuple(KERNELS)) -> list[str]:
    """Those of the kernels ``names`` that are not known to be compiled for this processor, longest first."""
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        return []
    found: set[str] = set()
    key = _key()
    for folder in _folders():
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
            record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
            if record["key"] == key:
                found |= set(record["kernels"])
    wanted = set(names)
    return [name for name in KERNELS if name in wanted - found]


def compile_missing(
    names: Iterable[str] = tuple(KERNELS), *, report: Callable[[Compiling], None] = lambda state: None
) -> float:
    """Compile those of the kernels ``names`` that are missing, on all cores; returns the seconds that it took.

    ``report`` is called at the beginning, whenever a kernel is done, and ten times a second; what it raises stops the
    compiler. Where the cache cannot be written, nothing is compiled: each process will have to do that for itself.

    Raises:
        RuntimeError: the compiler failed; says how.
    """
    began = time.monotonic()
    wanted = missing(names)
    if not wanted or (folder := _writable_folder()) is None:
        return 0.0
    with _alone(folder, lambda: report(_state(wanted, 0))):
        if wanted := missing(wanted):  # else somebody else has compiled them while we waited
            _run(wanted, report)
            _record(folder, wanted)
    return time.monotonic() - began


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _state(wanted: list[str], done: int) -> Compiling:
    costs = [KERNELS[name] for name in wanted]
    return Compiling(done, len(wanted), _LOADING + max(*costs, sum(costs) / cores()))


def _run(wanted: list[str], report: Callable[[Compiling], None]) -> None:
    """Let a process compile the kernels, and report what it says."""
    report(_state(wanted, 0))
    with signals_deferred():
        process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path), json.dumps(wanted)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for us
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # it forks, so it must not have threads
        )
    done = 0
    assert process.stdout is not None
    try:
        while True:
            ready, _, _ = select.select([process.stdout], [], [], _LOOK_EVERY)
            if ready:
                said = os.read(process.stdout.fileno(), 4096)
                if not said:
                    break
                done += said.count(b"\n")
            report(_state(wanted, done))
        if process.wait() or done < len(wanted):  # no exit code where the system was told to forget of our children
            raise RuntimeError(f"kernels could not be compiled: exit code {process.returncode}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()


def main(names: list[str]) -> int:
    """Compile kernels in forked processes, one for each; write a line for each that is done. Returns the exit code."""
    from ecs_core.kernels import jit  # noqa: PLC0415 - numba

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started us may have had it ignored
    for module in {name.partition(".")[0] for name in names}:
        importlib.import_module(f"ecs_core.kernels.{module}")
    jit.load_what_compiling_needs()
    waiting, running, failed = list(names), 0, 0
    while waiting or running:
        while waiting and running < cores():
            name = waiting.pop(0)
            if os.fork() == 0:
                code = 1
                try:
                    jit.compile_kernel(name)
                    print(name, flush=True)
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(code)
            running += 1
        _, status = os.wait()
        running -= 1
        failed += status != 0
    return 1 if failed else 0


# --- what is compiled already ------------------------------------------------------------------------------------

_RECORD = f"compiled-{sys.implementation.cache_tag}.json"


def _folders() -> list[Path]:
    """Where the record may lie: as numba's cache, in the folder that is set, else the package's, else the user's."""
    if own := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(own)]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return [Path(__file__).parent / "__pycache__", Path(cache) / "motes"]


def _writable_folder() -> Path | None:
    for folder in _folders():
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    return None


@contextlib.contextmanager
def _alone(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the folder; ``waiting`` is called ten times a second while another process has it."""
    with (folder / "compiling.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                time.sleep(_LOOK_EVERY)
            else:
                break
        yield


def _record(folder: Path, names: Iterable[str]) -> None:
    compiled = {name for name in KERNELS if name not in missing()} | set(names)
    part = folder / f"{_RECORD}.{os.getpid()}.part"
    with contextlib.suppress(OSError):  # a full disk: what follows takes a second longer
        part.write_text(json.dumps({"key": _key(), "kernels": sorted(compiled)}), encoding="utf-8")
        os.replace(part, folder / _RECORD)


def _key() -> str:
    """What compiled kernels depend on: sources as numba tells them apart, versions, and the processor."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    stamps = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in sources]
    facts = [stamps, version("numba"), version("llvmlite"), platform.python_version(), _processor()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _processor() -> list[str]:
    chosen = [os.environ.get(name, "") for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")]
    if all(name in os.environ for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")):  # as in an image for any machine
        return chosen
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
        said = dict(line.split(":", 1) for line in lines if ":" in line)
        known = {name.strip(): value.strip() for name, value in said.items()}
        return [*chosen, *(known.get(name, "") for name in ("model name", "flags", "CPU part", "Features"))]
    return [*chosen, platform.machine(), platform.processor()]
