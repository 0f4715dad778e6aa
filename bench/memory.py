"""Peak memory of every process of a render, for a one-minute and a ten-minute song: it must not grow with length.

python bench/memory.py                # 1920×1080, about six minutes on two cores
python bench/memory.py --minutes 1 3  # a shorter run
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from services.cli.demo_song import write_wav

LIMIT_MB, GROWTH = 600, 1.10


def peaks_of(command: list[str]) -> dict[str, float]:
    """Peak resident memory in MB of the process and of its largest child (VmHWM of the kernel)."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    seen: dict[int, int] = {}
    while process.poll() is None:
        for pid in (process.pid, *children_of(process.pid)):
            seen[pid] = max(seen.get(pid, 0), high_water_mark(pid))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the render failed: exit code {process.returncode}")
    parent = seen.pop(process.pid)
    return {"parent": parent / 1024, "worker": max(seen.values()) / 1024}


def children_of(pid: int) -> list[int]:
    """The child processes of a process, and their children."""
    try:
        own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return own + [further for child in own for further in children_of(child)]


def high_water_mark(pid: int) -> int:
    """Peak resident memory in KB; 0 if the process has ended."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs=2, default=[1, 10])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--size", default="1920x1080")
    arguments = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        for minutes in arguments.minutes:
            song = Path(name, f"{minutes:g}.wav")
            write_wav(song, 60 * minutes)
            render = [sys.executable, "-m", "services.cli.main", "render", str(song), "-o", f"{name}/out.mp4"]
            began = time.perf_counter()
            peak = peaks_of([*render, "--size", arguments.size, "--set", f"particle_count={arguments.count}"])
            peaks.append(peak)
            shown = ", ".join(f"{role} {mb:.0f} MB" for role, mb in peak.items())
            print(f"{minutes:g} min: peak {shown}  ({time.perf_counter() - began:.0f} s)", flush=True)
    for role in peaks[0]:
        ratio, peak = peaks[1][role] / peaks[0][role], peaks[1][role]
        flat = "flat" if ratio <= GROWTH else "GROWS"
        small = "under" if peak < LIMIT_MB else "OVER"
        print(f"{role}: ratio {ratio:.2f} ({flat}: goal {GROWTH:.2f}), {peak:.0f} MB ({small} {LIMIT_MB} MB)")


if __name__ == "__main__":
    main()
