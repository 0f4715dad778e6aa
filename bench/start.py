"""What a start costs: a one-second video here and at another revision, and the import of the plugin contract.

    python bench/start.py                    # against 18a0d4e: 7 warm rounds and one cold, about four minutes
    python bench/start.py HEAD~1 --rounds 15 --cold 0
    python bench/start.py --only imports

Both sides run ``motes render`` of the same song in turns, in fresh processes. *Warm*: everything is compiled. *Cold*:
no kernel is, as at the very first start. The wall time is that of the whole command; CPU seconds are those of all its
processes. Imports are the best of several, because other load on the machine can only add to them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from revision import export

from services.cli.demo_song import write_wav

ROOT = Path(__file__).parents[1]
BEFORE = "18a0d4e"
# With bytecode, as usual; many images say that none be written.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
WARM_GOAL, COLD_CPU_GOAL, COLD_GOAL = 0.5, 0.4, 0.25  # of the other's
HEAVY = ("numba", "scipy", "librosa", "av", "soxr")
IMPORT_GOAL = 50.0  # ms
_IMPORTS = """
import json, sys, time
began = time.perf_counter()
import ecs_core.plugin_api
ready = time.perf_counter()
registry = ecs_core.plugin_api.particle_types()
loaded = time.perf_counter()
heavy = sorted(set(json.loads(sys.argv[1])) & set(sys.modules))
print(json.dumps([1e3 * (ready - began), 1e3 * (loaded - ready), list(registry.types), heavy]))
"""


def render(checkout: Path, kernels: Path, song: Path) -> tuple[float, float]:
    """Seconds by the clock, and of CPU, of ``motes render`` with compiled kernels in a folder."""
    video = song.with_name("video.mp4")
    before = sum(os.times()[2:4])
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "services.cli.main", "render", song, "-o", video],
        cwd=checkout,
        env={**ENVIRONMENT, "PYTHONPATH": str(checkout), "NUMBA_CACHE_DIR": str(kernels)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    took = time.perf_counter() - began
    video.unlink()
    return took, sum(os.times()[2:4]) - before


def imports(rounds: int) -> bool:
    """Print what importing the contract and loading all plugins takes; whether that is as quick as it should be."""
    command = [sys.executable, "-c", _IMPORTS, json.dumps(HEAVY)]
    done = [subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True) for _ in range(rounds)]
    runs = [json.loads(each.stdout) for each in done]
    contract, plugins = (min(run[column] for run in runs) for column in (0, 1))
    _, _, types, heavy = runs[0]
    reached = plugins <= IMPORT_GOAL and not heavy
    print(f"importing the plugin contract (numpy, pydantic, pluggy): {contract:.0f} ms")
    print(
        f"loading {len(types)} particle types on top: {plugins:.0f} ms (goal: under {IMPORT_GOAL:.0f}, "
        f"{'reached' if reached else 'MISSED'}); heavy modules imported: {', '.join(heavy) or 'none'}"
    )
    return reached


def compared(name: str, sides: dict[str, list[float]], goal: float | None) -> bool:
    """Print the medians of both sides and their ratio; whether it is within the goal, if there is one."""
    other, this = (statistics.median(values) for values in sides.values())
    reached = goal is None or this / other <= goal
    said = "" if goal is None else f" (goal: at most {goal:.2f}, {'reached' if reached else 'MISSED'})"
    print(f"{name}: {other:.2f} → {this:.2f} s, {this / other:.2f}{said}", flush=True)
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", nargs="?", default=BEFORE, help="a revision of this repository")
    parser.add_argument("--rounds", type=int, default=7, help="warm renders of each side")
    parser.add_argument("--cold", type=int, default=1, help="renders of each side without compiled kernels")
    parser.add_argument("--only", choices=("imports",))
    arguments = parser.parse_args()
    fine = [imports(9)]
    if arguments.only is None:
        with tempfile.TemporaryDirectory() as name:
            other, song = Path(name, "other"), Path(name, "song.wav")
            export(arguments.other, other)
            write_wav(song, 1.0)
            sides = {arguments.other: other, "this": ROOT}
            kernels = {side: Path(name, f"kernels-{number}") for number, side in enumerate(sides)}
            print(f"a video of one second, {arguments.other} → this")
            for kind, rounds in (("cold", arguments.cold), ("warm", arguments.rounds)):
                if kind == "warm":  # what is compiled by now, and bytecode
                    for side, checkout in sides.items():
                        render(checkout, kernels[side], song)
                walls: dict[str, list[float]] = {side: [] for side in sides}
                cpus: dict[str, list[float]] = {side: [] for side in sides}
                for _ in range(rounds):
                    for side, checkout in sides.items():
                        if kind == "cold":
                            shutil.rmtree(kernels[side], ignore_errors=True)
                        wall, cpu = render(checkout, kernels[side], song)
                        walls[side].append(wall)
                        cpus[side].append(cpu)
                if rounds:
                    fine.append(compared(f"{kind}, by the clock", walls, COLD_GOAL if kind == "cold" else WARM_GOAL))
                    fine.append(compared(f"{kind}, of CPU", cpus, COLD_CPU_GOAL if kind == "cold" else None))
    raise SystemExit(0 if all(fine) else 1)


if __name__ == "__main__":
    main()
