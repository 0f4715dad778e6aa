"""``make demo`` in a fresh clone: how long it takes and how much it downloads, here and at another revision.

    python bench/demo.py                     # against 18a0d4e, the last one with a single lock
    python bench/demo.py ../other-checkout --rounds 3

Each run starts in a copy of the files that Git tracks: no environment, no bytecode, no compiled kernels. Packages come
from a folder of wheels, so the network does not count; the folder is filled once, under out/wheels. Both sides take
turns on the same machine. CPU seconds are given too, as they suffer less from whatever else the machine does.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from revision import export as export_revision

ROOT = Path(__file__).parents[1]
BEFORE = "18a0d4e"
TIME_GOAL, BYTES_GOAL = 0.4, 0.5  # of the other's
# What is going on until a line of make's output matches.
PHASES = (
    ("environment", r"pip install|^Installing the packages"),
    ("packages", r"--editable|^Installing Motes"),
    ("Motes", r"ecs_core\.warmup|^Waiting for kernels"),
    ("kernels", r"^kernels ready|^ready after"),
    ("song", r"^song "),
    ("service", r"^service "),
    ("video", r"^video "),
    ("poster", r"^poster "),
)


@dataclass(frozen=True)
class Run:
    """One ``make demo``: seconds of each phase and in total, and CPU seconds."""

    phases: dict[str, float]
    seconds: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", nargs="?", default=BEFORE, help="a checkout's folder, or a revision of this one")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--wheels", type=Path, default=ROOT / "out/wheels", help="folder that keeps the wheels")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sides = {arguments.other: Path(name, "other"), "this": Path(name, "this")}
        export(arguments.other, sides[arguments.other])
        copy_tracked(ROOT, sides["this"])
        wheels = {side: download(tree, arguments.wheels) for side, tree in sides.items()}
        runs: dict[str, list[Run]] = {side: [] for side in sides}
        for _ in range(arguments.rounds):
            for side, tree in sides.items():
                runs[side].append(make_demo(tree, wheels[side], Path(name, "run")))
                report(side, runs[side][-1])
    # The fastest of several: what else the machine does only adds.
    before, now = (min(runs[side], key=lambda run: run.seconds) for side in sides)
    sizes = [sum(file.stat().st_size for file in wheels[side].iterdir()) / 1e6 for side in sides]
    counts = [len(list(wheels[side].iterdir())) for side in sides]
    share, downloaded = now.seconds / before.seconds, sizes[1] / sizes[0]
    print(f"time: {before.seconds:.0f} s, now {now.seconds:.0f} s: {share:.2f} {verdict(share, TIME_GOAL)}")
    print(f"CPU: {before.cpu:.0f} s, now {now.cpu:.0f} s: {now.cpu / before.cpu:.2f}")
    print(
        f"download: {sizes[0]:.1f} MB in {counts[0]} packages, now {sizes[1]:.1f} MB in {counts[1]}: "
        f"{downloaded:.3f} {verdict(downloaded, BYTES_GOAL)}"
    )


def verdict(share: float, goal: float) -> str:
    return f"(goal: at most {goal}, {'reached' if share <= goal else 'MISSED'})"


def report(side: str, run: Run) -> None:
    phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in run.phases.items())
    print(f"{side}: {run.seconds:.1f} s, {run.cpu:.1f} s of CPU ({phases})", flush=True)


def export(other: str, folder: Path) -> None:
    """Write the files of a checkout, or of a revision of this one, to ``folder``."""
    if Path(other, "Makefile").is_file():
        copy_tracked(Path(other), folder)
        return
    try:
        export_revision(other, folder)
    except subprocess.CalledProcessError:
        sys.exit(f"{other} is neither a checkout nor a revision")


def copy_tracked(checkout: Path, folder: Path) -> None:
    """Copy the files that Git tracks, as they are in the work tree."""
    listed = subprocess.run(["git", "-C", checkout, "ls-files", "-z"], capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (checkout / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, folder / name)


def download(tree: Path, cache: Path) -> Path:
    """The folder with the wheels that a fresh clone downloads: those of its lock, and what builds Motes itself."""
    lock = tree / "requirements.lock"
    build = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    key = hashlib.sha256(f"{sys.version_info[:2]} {build} {lock.read_text(encoding='utf-8')}".encode()).hexdigest()
    folder = cache / key[:12]
    if not folder.exists():
        part = cache / f"{key[:12]}.part"
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download")
        command = (*pip, "--only-binary=:all:", "--dest", part, "--requirement", lock, *build)
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        part.rename(folder)
    return folder


def make_demo(tree: Path, wheels: Path, folder: Path) -> Run:
    """Run ``make demo`` in a copy of ``tree``."""
    shutil.copytree(tree, folder)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MOTES_", "NUMBA_", "PIP_", "PYTHON", "MAKE", "VIRTUAL_ENV"))
    }
    environment |= {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels.resolve()),
        "PIP_CONFIG_FILE": os.devnull,
        "PYTHONUNBUFFERED": "1",
    }
    python = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    began = time.monotonic()
    command = ("make", "demo", f"PYTHON={python}")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as make:
        assert make.stdout is not None
        lines = [(time.monotonic() - began, line) for line in make.stdout]
        _, status, usage = os.wait4(make.pid, 0)
        make.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    if make.returncode or not (folder / "out/demo.mp4").is_file():
        sys.exit("".join(line for _, line in lines))
    shutil.rmtree(folder)
    return Run(phases(lines), seconds, usage.ru_utime + usage.ru_stime)


def phases(lines: Sequence[tuple[float, str]]) -> dict[str, float]:
    """How long each phase took, from make's lines and when they came; a phase without its line has no entry."""
    took: dict[str, float] = {}
    began = 0.0
    for name, end in PHASES:
        at = next((at for at, line in lines if at >= began and re.search(end, line)), None)
        if at is not None:
            took[name] = at - began
            began = at
    return took


if __name__ == "__main__":
    main()
