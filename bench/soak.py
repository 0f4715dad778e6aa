"""Soak test: an hour of mixed work with faults; afterwards memory, files, processes, keys and rows must be as before.

    python bench/soak.py                       # an hour
    python bench/soak.py --minutes 0.3         # as the tests do

``motes serve`` runs with one worker per core. Clients submit renders, cancel some, follow some by events and by
WebSocket, upload songs, fetch frames and delete what they created, while processes that render, workers, the API and
the fork server are killed now and then. At the end everything is deleted, and the state is compared with the state
after a first round of work: memory and open files of each process, number of processes, Redis keys (with --redis),
rows of every table, files in storage. The script prints a table. The exit code is 1 if anything grew.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from fault_kinds import FaultKinds
from faults import Faults
from redis_process import own_redis
from served import ENVIRONMENT, Clients, Stack, children, serving
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from services.cli.demo_song import write_wav

GROWTH = 1.15  # of memory
SLACK = 5.0  # MB that any process may grow by
KEEP_ORPHANS = "60"  # seconds that files of killed attempts are kept
SWEPT = 180.0  # seconds in which they must be deleted
KILL_EVERY = (3.0, 15.0)  # seconds, at random
PROGRAMS = ("api", "worker", "fork_server")
# Rows that there may be, however many there were: idempotency keys are kept for a day, changes of tallies until
# retention adds them up; of leases there is one for each purpose, of tallies one for each kind and state of an owner.
ROWS = {"idempotency": float("inf"), "tally_changes": float("inf"), "leases": 4, "tallies": 50}


@dataclass(frozen=True)
class Left:
    """The state of the idle service."""

    memory: dict[str, int]  # bytes of the largest process, by program
    files: dict[str, int]  # open files of the largest process, by program
    processes: int
    keys: int  # in Redis
    rows: dict[str, int]  # by table
    stored: int  # files in storage


def memory_of(pid: int) -> int:
    """Bytes of memory of its own, with a proportional share of what it shares with those that it forked.

    Files that are mapped do not count: the share of them depends on who else has the same libraries at the time.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))


def descendants(pid: int) -> list[int]:
    """The child processes of a process, and their children; not decoding servers, which start when there is a song."""
    found = [child for child in children(pid) if not is_decoding_server(child)]
    return [each for child in found for each in (child, *descendants(child))]


def is_decoding_server(pid: int) -> bool:
    """Whether a process is one, or was forked by one."""
    with suppress(OSError):
        return b"decoding_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def left(stack: Stack) -> Left:
    """The current state."""
    running = {name: [pid for pid, _ in stack.programs(name)] for name in PROGRAMS}
    tables = [name for (name,) in stack.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    keys = 0
    if stack.redis is not None:
        with stack.redis.client() as client:
            keys = int(client.dbsize())
    return Left(
        {name: max(map(memory_of, pids)) for name, pids in running.items()},
        {name: max(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids) for name, pids in running.items()},
        len(descendants(stack.pid)),
        keys,
        {
            name: stack.rows(f"SELECT count(*) FROM {name}")[0][0]
            for name in sorted(tables)
            if name != "alembic_version"
        },
        sum(path.is_file() for path in (stack.data / "storage").rglob("*")),
    )


class Others:
    """Clients that do everything except wait for their videos."""

    def __init__(self, stack: Stack, folder: Path, chance: random.Random) -> None:
        self._stack, self._folder, self._chance = stack, folder, chance
        self._http = httpx.Client(base_url=stack.url, timeout=300, trust_env=False)
        self.did: Counter[str] = Counter()
        self.done = threading.Event()

    def run(self) -> None:
        """Send requests until ``done`` is set; requests that fail because of a kill are ignored."""
        while not self.done.is_set():
            what = self._chance.choice(("cancel", "watch", "follow", "upload", "look", "delete"))
            with suppress(httpx.HTTPError, OSError, WebSocketException):
                getattr(self, f"_{what}")()
                self.did[what] += 1
            self.done.wait(0.1)

    def _any_job(self) -> str | None:
        jobs = self._http.get("/jobs", params={"limit": 50}).json()
        return self._chance.choice(jobs)["job_id"] if jobs else None

    def _system(self) -> str:
        config = {"width": 160, "height": 90, "duration": 2.0, "particle_count": 50}
        return str(self._http.post("/create", json={"particle_type": "zen", "config": config}).json()["system_id"])

    def _cancel(self) -> None:
        job = self._http.post(f"/systems/{self._system()}/render", json={"priority": "high"}).json()["job_id"]
        self.done.wait(self._chance.uniform(0, 2))
        self._http.post(f"/jobs/{job}/cancel")

    def _watch(self) -> None:
        url = self._stack.url.replace("http", "ws", 1)
        with connect(f"{url}/ws/{self._system()}", proxy=None, open_timeout=5) as websocket:
            websocket.send('{"action": "update_config", "config": {"seed": 5}}')
            websocket.recv(timeout=5)

    def _follow(self) -> None:
        if (job := self._any_job()) is not None:
            with self._http.stream("GET", f"/jobs/{job}/events") as answer:
                for _, line in zip(range(5), answer.iter_lines(), strict=False):
                    assert line is not None

    def _upload(self) -> None:
        song = self._folder / "another.wav"
        write_wav(song, self._chance.uniform(1, 3))
        with song.open("rb") as file:
            self._http.post("/audio", files={"file": ("another.wav", file)})

    def _look(self) -> None:
        self._http.get(f"/systems/{self._system()}/frame", params={"t": 1.0})

    def _delete(self) -> None:
        for job in self._http.get("/jobs", params={"limit": 20, "status": "cancelled"}).json():
            self._http.delete(f"/jobs/{job['job_id']}")


def sweep(stack: Stack) -> None:
    """Look for files of killed attempts now, as the service does every hour."""
    command = (sys.executable, "-m", "services.cli.main", "storage", "gc", "--data", str(stack.data))
    environment = ENVIRONMENT | {"MOTES_KEEP_ORPHANS": KEEP_ORPHANS}
    subprocess.run(command, env=environment, capture_output=True, check=False)  # it fails while the service does so
    time.sleep(1)


def settled(stack: Stack, patience: float = 600.0) -> None:
    """Wait until no job is open."""
    end = time.monotonic() + patience
    while stack.rows("SELECT 1 FROM jobs WHERE status IN ('queued', 'rendering')"):
        if time.monotonic() > end:
            raise SystemExit("jobs are still open")
        time.sleep(0.2)


def work(stack: Stack, folder: Path, *, seconds: float, chance: random.Random, kill: bool) -> Counter[str]:
    """Mixed work for ``seconds``; then everything it created is deleted."""
    clients, others, faults = (
        Clients(stack, folder / "song.wav", 3),
        Others(stack, folder, chance),
        Faults(stack, chance, FaultKinds(stack, chance).kills()),
    )
    threads = [threading.Thread(target=each.run) for each in (clients, others)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    strike_at = time.monotonic() + 3
    while time.monotonic() < end:
        if kill and time.monotonic() >= strike_at:
            faults.strike()
            strike_at = time.monotonic() + chance.uniform(*KILL_EVERY)
        time.sleep(0.1)
    for each in (clients, others):
        each.done.set()
    for thread in threads:
        thread.join()
    settled(stack)
    for job in [job for (job,) in stack.rows("SELECT id FROM jobs")]:
        clients.ask("DELETE", f"/jobs/{job}")
    for system in [system for (system,) in stack.rows("SELECT id FROM systems")]:
        clients.ask("DELETE", f"/systems/{system}")
    for song in [song for (song,) in stack.rows("SELECT sha256 FROM audio")]:
        clients.ask("DELETE", f"/audio/{song}")
    return Counter(render=len(clients.jobs)) + others.did + Counter({f"kill {k}": n for k, n in faults.caused.items()})


def grown(before: Left, after: Left) -> list[str]:
    """Print a comparison; returns what grew."""
    found = []

    def compare(what: str, old: float, new: float, allowed: float) -> None:
        print(f"  {what:32} {old:12.0f} {new:12.0f}")
        if new > allowed:
            found.append(what)

    for name in PROGRAMS:
        old, new = before.memory[name] / 1e6, after.memory[name] / 1e6
        compare(f"MB of memory, {name}", old, new, max(GROWTH * old, old + SLACK))
        compare(f"open files, {name}", before.files[name], after.files[name], before.files[name] + 12)
    compare("processes", before.processes, after.processes, before.processes)
    compare("keys of Redis", before.keys, after.keys, before.keys + 2)
    for table, rows in before.rows.items():
        compare(f"rows of {table}", rows, after.rows[table], ROWS.get(table, rows))
    compare("files in storage", before.stored, after.stored, before.stored)
    return found


def main() -> None:
    """Run the soak test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--redis", action="store_true", help="with a Redis, whose keys are counted, too")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_wav(folder / "song.wav", 6.0)
        with (
            own_redis(folder, wanted=arguments.redis) as own,
            serving(folder / "data", own, MOTES_KEEP_ORPHANS=KEEP_ORPHANS) as stack,
        ):
            first = min(60.0, arguments.minutes * 20)
            work(stack, folder, seconds=first, chance=chance, kill=False)
            time.sleep(5)
            before = left(stack)
            done = work(stack, folder, seconds=60 * arguments.minutes, chance=chance, kill=True)
            while len(descendants(stack.pid)) < before.processes:  # until killed processes have restarted
                time.sleep(1)
            time.sleep(12)  # until it has settled
            swept = time.monotonic() + SWEPT
            while (after := left(stack)).stored > before.stored and time.monotonic() < swept:
                sweep(stack)
    print(f"{arguments.minutes:g} minutes: {dict(sorted(done.items()))}")
    print(f"  {'':32} {'before':>12} {'after':>12}")
    found = grown(before, after)
    print(f"nothing grew: {not found}" + (f"; grown: {', '.join(found)}" if found else ""))
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
