"""The cost of starting the service: CPU seconds of all its processes, and wall time.

    python bench/serve_start.py                    # this checkout
    python bench/serve_start.py --against ../old   # and another one, in turns, with the ratio

``motes serve`` is started in an empty folder, with two workers unless told otherwise. Three moments are noted:

- answers: the API does, and ``motes serve`` says so;
- settled: everything is loaded, as the processes have used next to nothing for a second;
- picture: a frame of a new system has been rendered by a worker and was downloaded.

The CPU is that of the whole process tree, children that have ended included. Each checkout runs with its own
``.venv/bin/python``, once unmeasured so that kernels and bytecode are there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

MOMENTS = ("answers", "settled", "picture")
GOAL = 1 / 3  # of the CPU of the other checkout, until it answers
_TICK = os.sysconf("SC_CLK_TCK")
_HERE = Path(__file__).parent.parent
_HANG = 300.0  # seconds until we give up


def tree(root: int) -> list[int]:
    """A process and all its descendants."""
    found = [root]
    for process in found:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    return found


def cpu(root: int) -> float:
    """CPU seconds of a process tree so far, including children that have ended."""
    ticks = 0
    for process in tree(root):
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / _TICK


def memory(root: int) -> float:
    """Megabytes of a process tree; shared memory is counted once."""
    total = 0
    for process in tree(root):
        with suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1024


def ask(url: str, body: object = None) -> bytes:
    """The response to GET, or to POST if there is a body; proxies are ignored."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_HANG) as answer:
        found: bytes = answer.read()
        return found


def start(checkout: Path, *, workers: int) -> dict[str, tuple[float, float]]:
    """CPU seconds and wall seconds until each moment; also the number of processes and megabytes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MOTES_")}
    environment |= {"MOTES_LOG_LEVEL": "warning", "PYTHONPATH": str(checkout)}
    with tempfile.TemporaryDirectory(prefix="motes-start-") as data:
        command = [str(checkout / ".venv/bin/python"), "-m", "services.cli.main", "serve", "--port", "0"]
        command += ["--data", data, "--workers", str(workers)]
        began = time.monotonic()
        with subprocess.Popen(
            command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, process_group=0
        ) as process:
            try:
                found = {}

                def note(moment: str) -> None:
                    found[moment] = cpu(process.pid), time.monotonic() - began

                assert process.stdout is not None
                ready = re.search(r"http://\S+/particles", process.stdout.readline())
                if ready is None:
                    raise SystemExit(f"{checkout}: the service did not start")
                url = ready[0]
                note("answers")
                used = -1.0
                while (latest := cpu(process.pid)) - used > 0.1:  # a second has a few looks for work in it
                    used = latest
                    note("settled")
                    time.sleep(1)
                before = cpu(process.pid), time.monotonic()
                system = json.loads(ask(f"{url}/create", {"particle_type": "snow", "config": {"duration": 2}}))
                ask(f"{url}/systems/{system['system_id']}/frame?t=0.5")
                cost, took = cpu(process.pid) - before[0], time.monotonic() - before[1]
                found["picture"] = found["settled"][0] + cost, took
                found["size"] = float(len(tree(process.pid))), memory(process.pid)
                return found
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout with a .venv of its own, measured in turns")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    checkouts = [_HERE] + ([] if arguments.against is None else [arguments.against.absolute()])
    for checkout in checkouts:
        start(checkout, workers=arguments.workers)
    runs: dict[Path, list[dict[str, tuple[float, float]]]] = {checkout: [] for checkout in checkouts}
    for _ in range(arguments.rounds):
        for checkout in checkouts:
            runs[checkout].append(start(checkout, workers=arguments.workers))

    def middle(checkout: Path, moment: str, column: int) -> float:
        return statistics.median(run[moment][column] for run in runs[checkout])

    for checkout in checkouts:
        print(f"{checkout} ({arguments.workers} workers, median of {arguments.rounds})")
        for moment in MOMENTS:
            print(f"  {moment:9} CPU {middle(checkout, moment, 0):6.2f} s   clock {middle(checkout, moment, 1):6.2f} s")
        print(f"  {middle(checkout, 'size', 0):.0f} processes, {middle(checkout, 'size', 1):.0f} MB")
    if arguments.against is not None:
        ours, theirs = checkouts
        for moment in MOMENTS:
            ratios = (middle(ours, moment, column) / middle(theirs, moment, column) for column in (0, 1))
            print("{:9} ratio of CPU {:.2f}, of the clock {:.2f}".format(moment, *ratios))
        reached = middle(ours, "answers", 0) <= GOAL * middle(theirs, "answers", 0)
        print(f"goal: CPU until it answers at most {GOAL:.2f} of the other's: {'reached' if reached else 'MISSED'}")
        sys.exit(not reached)


if __name__ == "__main__":
    main()
