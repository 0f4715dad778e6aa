"""Peak memory of every process of a render, for a short and a long song: it must not grow with the song's length.

    python bench/memory.py                                          # 1 and 10 minutes at 1080p: six minutes, two cores
    python bench/memory.py --minutes 1 60 --fps 60 --size 320x180   # an hour: about ten minutes on two cores
    python bench/memory.py --size 320x180 --light                   # with trails, textures, depth, links and a finish

For each role – the parent, and the render processes, of which the largest counts – it prints two figures. The peak of
all resident memory (VmHWM) has a goal: the kernel keeps it, so nothing is missed between two looks, and it includes the
timeline, a file that the processes map. The peak of memory of its own (RssAnon, looked at ten times a second) says how
much of that is left without mapped files, whose pages are shared by all and given back when others need memory.
Processes that compile kernels are left out. Small pictures are quick, and make the ratio stricter: what grows with the
song does not depend on the size, and what it is compared with is smaller.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from analysis_cost import repeat

from services.cli.demo_song import write_wav

LIMIT_MB, GROWTH, GROWTH_OF_AN_HOUR = 600, 1.10, 1.20
LIGHT = {
    "trail": 0.5,
    "finish": {"bloom": 2.0, "vignette": 0.4, "grain": 0.2, "aberration": 6.0},
    "camera": {"drift": 60.0, "shake": 6.0},
    "layers": [{"type": "constellation"}, {"type": "petals", "opacity": 0.5}, {"type": "tunnel"}],
}
FORM = 20.0  # seconds of the demo song, which is repeated
PARENT, LEFT_OUT = "parent", ""
# By what command lines contain. A process that has just been forked still has its parent's.
ROLES = {
    "ecs_core.rendering.child": "render process",
    "ecs_core.kernels.compilation": LEFT_OUT,
    "services.cli.main": LEFT_OUT,
}


@dataclass
class Peaks:
    """Peak memory in KB: everything resident, and what belongs to the process alone."""

    resident: int = 0
    own: int = 0

    def __str__(self) -> str:
        return f"{self.resident / 1024:.0f} MB (its own {self.own / 1024:.0f})"

    def raise_to(self, other: Peaks) -> None:
        """Keep the larger of both figures."""
        self.resident, self.own = max(self.resident, other.resident), max(self.own, other.own)


def peaks_of(command: list[str]) -> dict[str, Peaks]:
    """The peaks of the process and of its children by role, the largest process of each."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    found: dict[str, Peaks] = {}
    while process.poll() is None:
        for pid in (process.pid, *children_of(process.pid)):
            with suppress(OSError):  # it has ended
                role = PARENT if pid == process.pid else role_of(pid)
                found.setdefault(role, Peaks()).raise_to(memory_of(pid))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the render failed: exit code {process.returncode}")
    found.pop(LEFT_OUT, None)
    return found


def role_of(pid: int) -> str:
    """What a child does, by its command line; that itself if it is unknown."""
    line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return next((role for part, role in ROLES.items() if part in line), line.strip()[:60])


def children_of(pid: int) -> Iterator[int]:
    """The child processes of a process, and their children."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from children_of(int(child))


def memory_of(pid: int) -> Peaks:
    """The memory of a process.

    Raises:
        OSError: it has ended.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    sizes = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines) if "kB" in size}
    return Peaks(sizes.get("VmHWM", 0), sizes.get("RssAnon", 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs=2, default=[1, 10])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--fps", default="30")
    parser.add_argument("--light", action="store_true", help="with all that light has to offer")
    arguments = parser.parse_args()
    peaks: list[dict[str, Peaks]] = []
    with tempfile.TemporaryDirectory() as name:
        form = Path(name, "form.wav")
        write_wav(form, FORM)
        for minutes in arguments.minutes:
            song = Path(name, f"{minutes:g}.wav")
            repeat(form, max(1, round(60 * minutes / FORM)), song)
            render = [sys.executable, "-m", "services.cli.main", "render", str(song), "-o", f"{name}/out.mp4"]
            began = time.perf_counter()
            told = ["--size", arguments.size, "--fps", arguments.fps, "--set", f"particle_count={arguments.count}"]
            for setting, value in LIGHT.items() if arguments.light else ():
                told += ["--set", f"{setting}={json.dumps(value)}"]
            peaks.append(peaks_of([*render, *told]))
            song.unlink()
            shown = ", ".join(f"{role} {of}" for role, of in peaks[-1].items())
            print(f"{minutes:g} min: {shown}  ({time.perf_counter() - began:.0f} s)", flush=True)
    goal = GROWTH_OF_AN_HOUR if arguments.minutes[1] >= 60 else GROWTH
    for role, long in peaks[1].items():
        if role not in peaks[0]:
            print(f"{role}: only with the longer song, {long}")
            continue
        print(f"{role}: {verdict(peaks[0][role], long, goal)}")


def verdict(short: Peaks, long: Peaks, goal: float) -> str:
    """Whether a role's memory stays as it is, and is small enough."""
    ratio, peak = long.resident / short.resident, long.resident / 1024
    flat = f"goal {goal:.2f} {'reached' if ratio <= goal else 'MISSED'}"
    small = f"goal {LIMIT_MB} MB {'reached' if peak < LIMIT_MB else 'MISSED'}"
    return f"ratio {ratio:.3f} ({flat}; of its own {long.own / short.own:.3f}), {peak:.0f} MB ({small})"


if __name__ == "__main__":
    main()
