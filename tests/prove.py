"""``make prove``: ``make test`` passes on a machine whose cores are busy, and on a slow one.

    python -m tests.prove                              # three times beside four hogs, then once niced to 19
    python -m tests.prove --busy 1 --hogs 8 --nice 0   # once beside eight, and no more

A hog is a process that computes without end. For each run it prints the time by the clock, the CPU time of everything
that the run started, and what pytest said in the end; what a run wrote is in ``out/prove``. The exit code is 1 if a
run failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from services.processes.orphans import adopt_orphans
from tests.service import ROOT, descendants


@contextmanager
def hogs(number: int) -> Iterator[set[int]]:
    """So many processes that want a core each; their pids."""
    code = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
    running = [subprocess.Popen((sys.executable, "-c", code)) for _ in range(number)]
    try:
        yield {hog.pid for hog in running}
    finally:
        for hog in running:
            hog.kill()
            hog.wait()


def run(command: Sequence[str], log: Path, *, niceness: int = 0) -> tuple[int, float, float]:
    """Run a command; its exit code, and seconds by the clock and of CPU, of all that it started."""
    before, began = sum(os.times()[2:4]), time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(("nice", "-n", str(niceness), *command), cwd=ROOT, stdout=out, stderr=out)
    while True:  # what lost its parent is ours and is reaped at once, as by any init
        pid, status = os.wait()
        if pid == process.pid:
            break
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - began
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return process.returncode, took, sum(os.times()[2:4]) - before


def main() -> int:
    """Run it as often as is asked, and print how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=3, help="runs beside hogs (default: 3)")
    parser.add_argument("--hogs", type=int, default=4, help="default: 4")
    parser.add_argument("--nice", type=int, default=1, help="runs niced to 19, with nothing beside (default: 1)")
    parser.add_argument("command", nargs="*", default=["make", "test"], help="instead of make test")
    arguments = parser.parse_args()
    adopt_orphans()
    folder = ROOT / "out" / "prove"
    folder.mkdir(parents=True, exist_ok=True)
    runs = [(f"beside {arguments.hogs} hogs", arguments.hogs, 0)] * arguments.busy
    runs += [("niced to 19", 0, 19)] * arguments.nice
    failed = False
    for number, (how, beside, niceness) in enumerate(runs, 1):
        log = folder / f"{number}.log"
        with hogs(beside) as busy:
            code, took, used = run(arguments.command, log, niceness=niceness)
            left = [pid for pid in descendants(os.getpid()) if pid not in busy]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        failed = failed or code != 0 or bool(left)
        lines = log.read_text(errors="replace").splitlines() or ["(it wrote nothing)"]
        said = next((line for line in reversed(lines) if line.startswith("=") and " in " in line), lines[-1])
        result = "passed" if code == 0 else f"FAILED, see {log}"
        result += f", and left {len(left)} processes" if left else ""
        print(f"{how}: {result}; {took / 60:.1f} min, {used / 60:.1f} min of CPU; {said.strip('= ')}", flush=True)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
