"""How soon a worker begins what was submitted, and has rendered a first frame: with a Redis and without.

    python bench/wake.py

Two services run side by side, one of them with a Redis, both with a worker per core. Renders are submitted to them in
turns, each when nothing else is to be done. It prints medians and the slowest of both.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import httpx
from redis_process import own_redis
from served import Stack, serving

CONFIG = {"width": 160, "height": 90, "duration": 1.0, "particle_count": 50}
MOMENTS = ("begun", "first frame")


def submit(stack: Stack, seed: int) -> tuple[float, float]:
    """Seconds from POST until a worker has taken the plan, and until frames have been rendered."""
    config = CONFIG | {"seed": seed}  # another scene each time, of which nothing is there
    with (
        httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client,
        closing(sqlite3.connect(f"file:{stack.data / 'motes.db'}?mode=ro", uri=True)) as database,
    ):
        system = client.post("/create", json={"particle_type": "snow", "config": config}).json()["system_id"]
        began = time.perf_counter()
        job = client.post(f"/systems/{system}/render", json={}).raise_for_status().json()["job_id"]

        def until(query: str) -> float:
            while not database.execute(query, (job,)).fetchone()[0]:
                time.sleep(0.001)
            return time.perf_counter() - began

        begun = until("SELECT count(*) FROM tasks WHERE job_id = ? AND kind = 'plan' AND status != 'ready'")
        first = until("SELECT count(*) FROM jobs WHERE id = ? AND frames_done > 0")
        until("SELECT count(*) FROM jobs WHERE id = ? AND status = 'completed'")
        return begun, first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as top:
        one, other = Path(top, "one"), Path(top, "other")
        for folder in (one, other):
            folder.mkdir()
        with (
            own_redis(other, wanted=True) as redis,
            serving(one / "data") as alone,
            serving(other / "data", redis) as with_redis,
        ):
            stacks = {"without Redis": alone, "with Redis": with_redis}
            for stack in stacks.values():
                submit(stack, 0)
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in stacks}
            for number in range(1, rounds + 1):
                for name, stack in stacks.items():
                    times[name].append(submit(stack, number))
    for column, moment in enumerate(MOMENTS):
        for name, found in times.items():
            each = [1e3 * row[column] for row in found]
            print(f"{moment:12} {name:14} median {statistics.median(each):5.0f} ms, slowest {max(each):5.0f} ms")


if __name__ == "__main__":
    main()
