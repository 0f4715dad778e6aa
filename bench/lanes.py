"""What one owner's requests cost another: ten lists of 150 large configs at once, and somebody else's ``create``.

    python bench/lanes.py                         # some minutes, mostly to create the systems
    python bench/lanes.py --rounds 3 --systems 50

``motes serve`` runs in processes of its own. Carol has systems with configs of about 100 KB each, Bob creates small
ones. Rounds alternate between Bob alone and Bob while ten clients of Carol list hers, so that both are measured on the
same machine at the same time (goal: at most three times as long at the median). Carol's clients and Bob's are
processes of their own, so that neither waits for the other before a request is sent.
"""

from __future__ import annotations

import argparse
import json
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from served import client_of, key_of, serving

GOAL = 3.0
LISTS = 10
CURVE = [[round(number / 63, 6), round(0.123456789 * number, 9)] for number in range(64)]
LARGE = {"bindings": [{"source": "bass", "target": "size", "curve": CURVE} for _ in range(64)]}


@contextmanager
def owners(data: Path) -> Iterator[dict[str, httpx.Client]]:
    """``motes serve`` with keys; a client for each owner."""
    keys = {owner: key_of(owner, data) for owner in ("carol", "bob")}
    with ExitStack() as held:
        stack = held.enter_context(serving(data, MOTES_AUTH="required", MOTES_RESERVE="0"))
        clients = {owner: held.enter_context(client_of(stack, key)) for owner, key in keys.items()}
        while any(client.get("/health").status_code != 200 for client in clients.values()):
            time.sleep(0.2)
        yield clients


def create(client: httpx.Client, config: dict[str, Any]) -> float:
    """Create a system; returns the milliseconds that it took."""
    began = time.perf_counter()
    client.post("/create", json={"particle_type": "snow", "config": config}).raise_for_status()
    return 1000 * (time.perf_counter() - began)


def during_lists(lister: subprocess.Popen[str], bob: httpx.Client) -> tuple[list[float], list[tuple[int, int]]]:
    """Milliseconds of Bob's creates while Carol lists, and systems and bytes of each of her pages."""
    assert lister.stdin is not None
    assert lister.stdout is not None
    lister.stdin.write("go\n")
    lister.stdin.flush()
    lister.stdout.readline()  # all lists are under way
    spent = [create(bob, {})]
    while not select.select([lister.stdout], [], [], 0)[0]:
        spent.append(create(bob, {}))
    return spent, json.loads(lister.stdout.readline())


def list_systems(url: str, key: str, query: str) -> None:
    """Carol's process: for each line, ten clients list at once; says when they have begun, and what they got."""
    clients = [
        httpx.Client(base_url=url, timeout=120, trust_env=False, headers={"Authorization": f"Bearer {key}"})
        for _ in range(LISTS)
    ]
    for client in clients:
        client.get("/health").raise_for_status()  # they are connected
    with ThreadPoolExecutor(LISTS) as threads:
        for _ in sys.stdin:
            answers = [threads.submit(client.get, f"/systems?{query}") for client in clients]
            print(flush=True)
            bodies = [answer.result().raise_for_status().content for answer in answers]
            print(json.dumps([(body.count(b'"system_id"'), len(body)) for body in bodies]), flush=True)


def measure(systems: int, rounds: int, folder: Path) -> bool:
    """Print both ways and their ratio; returns whether the goal is reached."""
    with owners(folder / "data") as clients:
        began = time.perf_counter()
        for number in range(systems):
            create(clients["carol"], LARGE | {"seed": number})
        print(f"{systems} systems of 100 KB created in {time.perf_counter() - began:.1f} s", flush=True)
        good = True
        for what, query in (("whole", f"limit={systems}"), ("of fields", f"limit={systems}&fields=system_id")):
            url, key = str(clients["carol"].base_url), clients["carol"].headers["Authorization"].split()[1]
            child = (sys.executable, __file__, "--list", url, key, query)
            lister = subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            alone, loaded, first = list[float](), list[float](), list[float]()
            for _ in range(rounds):
                idle = [create(clients["bob"], {}) for _ in range(10)]
                spent, pages = during_lists(lister, clients["bob"])
                alone += idle
                loaded += spent
                first.append(spent[0])
            lister.communicate()
            before, after = statistics.median(alone), statistics.median(loaded)
            ratio = after / before
            good &= ratio <= GOAL
            print(
                f"{LISTS} lists {what}: pages of {pages[0][0]} systems, {pages[0][1] / 1e6:.2f} MB; create alone "
                f"{before:.1f} ms, during the lists {after:.1f} ms: {ratio:.2f} times "
                f"(goal at most {GOAL:g}: {'reached' if ratio <= GOAL else 'MISSED'}); the first of each round "
                f"{statistics.median(first):.1f} ms, the longest {max(loaded):.1f} ms, alone {max(alone):.1f} ms",
                flush=True,
            )
    return good


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--list", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.list:
        list_systems(*arguments.list)
        return
    with tempfile.TemporaryDirectory() as name:
        raise SystemExit(0 if measure(arguments.systems, arguments.rounds, Path(name)) else 1)


if __name__ == "__main__":
    main()
