"""The time to import the plugin contract, to load all plugins on top, and what they must not import.

    python bench/start.py

Each figure is the best of several fresh processes, because other load on the machine can only add to it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

HEAVY = ("numba", "scipy", "librosa", "av", "soxr")
GOAL = 50.0  # ms
_START = """
import json, sys, time
began = time.perf_counter()
import ecs_core.plugin_api
ready = time.perf_counter()
registry = ecs_core.plugin_api.particle_types()
loaded = time.perf_counter()
heavy = sorted(set(json.loads(sys.argv[1])) & set(sys.modules))
print(json.dumps([1e3 * (ready - began), 1e3 * (loaded - ready), list(registry.types), heavy]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    command = [sys.executable, "-c", _START, json.dumps(HEAVY)]
    runs = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(rounds)]
    contract, plugins = (min(run[column] for run in runs) for column in (0, 1))
    _, _, types, heavy = runs[0]
    verdict = "reached" if plugins <= GOAL and not heavy else "MISSED"
    print(f"importing the plugin contract (numpy, pydantic, pluggy): {contract:.0f} ms")
    print(f"loading {len(types)} particle types on top: {plugins:.0f} ms (goal: under {GOAL:.0f}, {verdict})")
    print(f"heavy modules imported: {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    main()
