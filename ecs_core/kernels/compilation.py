"""Compile kernels in parallel before they are needed, once per processor and version of Motes.

numba compiles a function when it is first called and caches the result on disk. By itself, every process of a first
render would compile the same kernels, one after another. Instead, one process loads the compiler and forks a process
for each missing kernel, on all cores; where processes are not forked, one for each core compiles a share. Other
processes that need the kernels wait for a file lock.

A small file beside numba's cache lists the compiled kernels under a key that depends on the kernels' sources, numba,
Python and the processor. So checking that nothing is missing is quick and does not load numba.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import json
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ecs_core.cores import available_cores
from ecs_core.portability import FORKS, kill_all, locked, start_apart
from ecs_core.signals import signals_deferred

# Kernels that Python calls, and roughly the CPU seconds to compile each; the longest are compiled first.
KERNELS = {
    "tone.develop_band": 4.1,
    "raster.draw_band": 2.4,
    "cover.cover_band": 2.0,
    "lines.draw_lines": 2.0,
    "finish.finish_band": 2.0,
    "finish.spread": 2.0,
    "textures.draw_textures": 2.0,
    "straight.develop_yuva420": 3.0,
    "straight.develop_yuva444": 2.5,
    "straight.develop_rgba": 2.5,
    "pictures.draw_picture": 2.0,
    "pictures.draw_mask": 1.5,
    "boxes.draw_boxes": 1.5,
    "grounds.draw_gradient": 1.5,
    "grounds.light_of_frame": 1.5,
    "grounds.soften": 0.5,
    "beats.extend_chains": 1.4,
    "collision.collide": 1.2,
    "collision.collide_in_space": 1.2,
    "birth.bear": 1.5,
    "coverage.add_outline": 1.0,
    "motion.swirl": 0.9,
    "coverage.approach": 0.5,
    "raster.list_bands": 0.5,
    "motion.advance": 0.4,
    "motion.advance_reflecting": 0.4,
    "raster.cut_windows": 0.3,
    "cover.fill_band": 0.3,
    "trails.trace": 0.6,
    "links.link": 0.8,
    "collision.sort_into_cells": 0.3,
    "motion.advance_aging": 0.2,
    "rng.uniform_by_birth": 0.2,
    "motion.jitter": 0.5,
    "shade.twinkle": 0.3,
    "coverage.blur": 0.4,
    "coverage.cover": 0.2,
    "coverage.widen": 0.2,
    "motion.attract": 0.2,
    "motion.grow": 0.2,
    "shade.drive": 0.2,
    "shade.paint": 0.3,
    "shade.paint_in_turn": 0.2,
    "shade.fade_with_distance": 0.2,
    "shade.scale_with_distance": 0.2,
    "lifetime.compact": 0.2,
    "sums.weighted_sums": 0.2,
    "medians.running_medians": 0.3,
    "doubling.double": 0.3,
    "flashes.measure": 0.5,
    "straight.see_behind": 0.3,
    "motion.wrap": 0.1,
    "soft.draw_soft_glows": 0.5,
    "soft.add_soft": 0.5,
    "lifetime.mark_dead": 0.1,
}
_LOADING = 0.8  # seconds to load the compiler
_LOOK_EVERY = 0.1  # seconds between calls of ``report``
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from ecs_core.kernels.compilation import main; sys.exit(main(json.loads(sys.argv[2])))"
)


@dataclass(frozen=True, slots=True)
class Compiling:
    """Progress of compiling: kernels ``done`` of ``total``, and an estimate of the ``seconds`` for all."""

    done: int
    total: int
    seconds: float


def missing(names: Iterable[str] = tuple(KERNELS)) -> list[str]:
    """The kernels among ``names`` that are not known to be compiled for this processor, longest first."""
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
    """Compile the missing kernels among ``names`` on all cores; returns the seconds that it took.

    ``report`` is called ten times a second; an exception from it stops the compiler. If the cache is not writable,
    nothing is compiled here: each process compiles what it needs.

    Raises:
        RuntimeError: the compiler failed.
    """
    began = time.monotonic()
    wanted = missing(names)
    if not wanted or (folder := _writable_folder()) is None:
        return 0.0
    with locked(folder / "compiling.lock", lambda: report(_state(wanted, 0))):
        if wanted := missing(wanted):  # another process may have compiled them while we waited
            _run(wanted, report)
            _record(folder, wanted)
    return time.monotonic() - began


def _state(wanted: list[str], done: int) -> Compiling:
    costs = [KERNELS[name] for name in wanted]
    return Compiling(done, len(wanted), _LOADING + max(*costs, sum(costs) / available_cores()))


def _run(wanted: list[str], report: Callable[[Compiling], None]) -> None:
    """Compile the kernels in processes and report their progress."""
    report(_state(wanted, 0))
    processes: list[subprocess.Popen[bytes]] = []
    said: queue.SimpleQueue[bool] = queue.SimpleQueue()  # a kernel is compiled, or a process has ended
    done = ended = 0
    try:
        for share in [wanted] if FORKS else _shares(wanted, available_cores()):
            with signals_deferred():
                processes.append(_start(share))
            threading.Thread(target=_listen, args=(processes[-1], said), daemon=True).start()
        while ended < len(processes):
            with contextlib.suppress(queue.Empty):
                compiled = said.get(timeout=_LOOK_EVERY)
                done, ended = done + compiled, ended + (not compiled)
            report(_state(wanted, done))
        codes = [process.wait() for process in processes]
        if any(codes) or done < len(wanted):  # with SIGCHLD ignored there are no exit codes
            raise RuntimeError(f"kernels could not be compiled: exit code {next(filter(None, codes), 0)}")
    finally:
        for process in processes:
            kill_all(process)
            process.wait()


def _start(names: list[str]) -> subprocess.Popen[bytes]:
    return start_apart(
        [sys.executable, "-c", _START, json.dumps(sys.path), json.dumps(names)],
        environment={
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",  # it forks, so it must not have threads
            # numba tries many types of arguments until one fits, and would colour a message about each that does not.
            "NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )


def _listen(process: subprocess.Popen[bytes], said: queue.SimpleQueue[bool]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for _ in lines:
            said.put(True)
    said.put(False)


def _shares(names: list[str], count: int) -> list[list[str]]:
    """Kernels for ``count`` processes, or fewer, that take about equally long; ``names`` begin with the longest."""
    shares: list[list[str]] = [[] for _ in range(min(count, len(names)))]
    for name in names:
        min(shares, key=lambda share: sum(KERNELS[each] for each in share)).append(name)
    return shares


def main(names: list[str]) -> int:
    """Compile each kernel and print a line when it is done; returns the exit code."""
    gc.disable()  # it would look through all of numba again and again
    from ecs_core.kernels import jit  # noqa: PLC0415 - numba

    for module in {name.partition(".")[0] for name in names}:
        importlib.import_module(f"ecs_core.kernels.{module}")
    jit.prepare_to_compile()
    if FORKS:
        return _compile_forked(names, jit.compile_kernel)
    for name in names:
        jit.compile_kernel(name)
        print(name, flush=True)
    return 0


def _compile_forked(names: list[str], compile_kernel: Callable[[str], None]) -> int:
    """The same, with a forked process for each core; each takes the next kernel when it is done with one.

    What numba has loaded and compiled for a kernel, it need not for the next one in the same process.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # inherited as ignored from some parents
    reading, writing = os.pipe()
    os.write(writing, bytes(range(len(names))))  # numbers of kernels
    os.close(writing)
    processes = min(available_cores(), len(names))
    for _ in range(processes):
        if os.fork() == 0:
            code = 1
            try:
                while number := os.read(reading, 1):
                    name = names[number[0]]
                    compile_kernel(name)
                    print(name, flush=True)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
    failed = [os.wait()[1] != 0 for _ in range(processes)]
    return int(any(failed))


# --- what is compiled already ------------------------------------------------------------------------------------

_RECORD = f"compiled-{sys.implementation.cache_tag}.json"


def _folders() -> list[Path]:
    """Folders for the record: like numba's cache, NUMBA_CACHE_DIR if set, else the package's or the user's cache."""
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


def _record(folder: Path, names: Iterable[str]) -> None:
    compiled = {name for name in KERNELS if name not in missing()} | set(names)
    part = folder / f"{_RECORD}.{os.getpid()}.part"
    with contextlib.suppress(OSError):  # on a full disk the next start has to check again
        part.write_text(json.dumps({"key": _key(), "kernels": sorted(compiled)}), encoding="utf-8")
        os.replace(part, folder / _RECORD)


def _key() -> str:
    """A digest of what compiled kernels depend on: the stamps of sources that numba uses, versions, the processor."""
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
