"""What one owner's requests cost another: ten lists of 150 large configs at once, and somebody else's ``create``.

    python bench/lanes.py                         # a minute
    python bench/lanes.py --rounds 3 --systems 50

``motes serve`` runs in processes of its own. Carol has systems with configs of about 100 KB each, Bob creates small
ones. Rounds alternate between Bob alone and Bob while ten clients of Carol list hers, so that both are measured on the
same machine at the same time (goal: at most three times as long at the median; with the start of each page not yet
known to the process, too).
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

GOAL = 3.0
LISTS = 10
MOTES = (sys.executable, "-m", "services.cli.main")
CURVE = [[round(number / 63, 6), round(0.123456789 * number, 9)] for number in range(64)]
LARGE = {"bindings": [{"source": "bass", "target": "size", "curve": CURVE} for _ in range(64)]}


@contextmanager
def serving(data: Path) -> Iterator[dict[str, httpx.Client]]:
    """``motes serve`` with keys; a client for each owner."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MOTES_")}
    environment |= {"MOTES_AUTH": "required", "MOTES_RESERVE": "0", "MOTES_LIMIT_REQUESTS_PER_MINUTE": "1000000"}
    keys = {}
    for owner in ("carol", "bob"):
        create_key = (*MOTES, "keys", "create", "--owner", owner, "--data", str(data))
        made = subprocess.run(create_key, env=environment, capture_output=True, text=True, check=True)
        keys[owner] = made.stdout.strip()
    command = (*MOTES, "serve", "--port", "0", "--workers", "1", "--data", str(data))
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        url = re.search(r"http://\S+/particles", process.stdout.readline())
        if url is None:
            raise SystemExit("motes serve did not start")
        clients = {
            owner: httpx.Client(
                base_url=url[0], timeout=120, trust_env=False, headers={"Authorization": f"Bearer {key}"}
            )
            for owner, key in keys.items()
        }
        while any(client.get("/health").status_code != 200 for client in clients.values()):
            time.sleep(0.2)
        yield clients
        for client in clients.values():
            client.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def create(client: httpx.Client, config: dict[str, Any]) -> float:
    """Create a system; returns the milliseconds that it took."""
    began = time.perf_counter()
    client.post("/create", json={"particle_type": "snow", "config": config}).raise_for_status()
    return 1000 * (time.perf_counter() - began)


def during_lists(clients: dict[str, httpx.Client], query: dict[str, Any]) -> tuple[list[float], list[tuple[int, int]]]:
    """Milliseconds of Bob's creates while Carol lists, and systems and bytes of each of her pages."""
    pages: list[tuple[int, int]] = []

    def listed() -> None:
        answer = clients["carol"].get("/systems", params=query).raise_for_status()
        pages.append((len(answer.json()), len(answer.content)))

    threads = [threading.Thread(target=listed) for _ in range(LISTS)]
    for thread in threads:
        thread.start()
    spent = [create(clients["bob"], {})]
    while any(thread.is_alive() for thread in threads):
        spent.append(create(clients["bob"], {}))
    for thread in threads:
        thread.join()
    return spent, pages


def measure(systems: int, rounds: int, folder: Path) -> bool:
    """Print both ways and their ratio; returns whether the goal is reached."""
    with serving(folder) as clients:
        began = time.perf_counter()
        for number in range(systems):
            create(clients["carol"], LARGE | {"seed": number})
        print(f"{systems} systems of 100 KB created in {time.perf_counter() - began:.1f} s", flush=True)
        good = True
        for what, query in (("whole", {"limit": systems}), ("of fields", {"limit": systems, "fields": "system_id"})):
            alone, loaded, first = list[float](), list[float](), list[float]()
            for _ in range(rounds):
                idle = [create(clients["bob"], {}) for _ in range(10)]
                spent, pages = during_lists(clients, query)
                alone += idle
                loaded += spent
                first.append(spent[0])
            before, after = statistics.median(alone), statistics.median(loaded)
            ratio = statistics.median(first) / before
            good &= max(ratio, after / before) <= GOAL
            print(
                f"{LISTS} lists {what}: pages of {pages[0][0]} systems, {pages[0][1] / 1e6:.2f} MB; create alone "
                f"{before:.1f} ms, the first during the lists {statistics.median(first):.1f} ms ({ratio:.2f} times), "
                f"all {after:.1f} ms ({after / before:.2f} times), longest {max(loaded):.1f} ms "
                f"(goal at most {GOAL:g}: {'reached' if max(ratio, after / before) <= GOAL else 'MISSED'})",
                flush=True,
            )
    return good


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        raise SystemExit(0 if measure(arguments.systems, arguments.rounds, Path(name)) else 1)


if __name__ == "__main__":
    main()
