"""Load test: hundreds of clients while workers render; then one owner with 1,000 jobs beside another with one.

    python bench/load.py                              # 300 clients for 3 minutes, about 5 minutes in all
    python bench/load.py --clients 50 --seconds 20 --jobs 100

Each client creates systems, polls and lists jobs, downloads a video and uses a WebSocket, with pauses of about four
seconds between requests. Everything runs on this machine, including the clients, and API keys are required. The
script prints throughput, p50 and p99 of each kind of request, and the memory and open files of the API process. The
exit code is 1 if a request failed, if memory grew by more than 10 % from the second quarter of the time to the last,
if more files are open afterwards than after a first round of clients, or if the second owner's job did not start
next.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any

import httpx
from served import HANG, Stack, client_of, key_of, serving
from websockets.asyncio.client import connect

GROWTH = 1.10
POOLED = 12  # open files that pooled database connections may add; a leak would add one per client
PAUSE = 4.0  # mean seconds between requests of a client; the clients share the two cores
SMALL = {"width": 320, "height": 180, "duration": 1.0, "particle_count": 100}
LONG = {"width": 1280, "height": 720, "duration": 60.0, "particle_count": 1000}
KINDS = {"status": 10, "list": 3, "download": 3, "create": 2, "websocket": 4}  # kind of request: relative frequency


@dataclass
class Seen:
    """Results of the clients: seconds by kind of request, and errors."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    wrong: Counter[str] = field(default_factory=Counter)


class Client:
    """One of many clients."""

    def __init__(self, http: httpx.AsyncClient, seen: Seen, *, key: str, system: str, job: str, chance: int) -> None:
        self._http, self._seen, self._key, self._system, self._job = http, seen, key, system, job
        self._chance = random.Random(chance)

    async def run(self, until: float) -> None:
        """Send random requests until a moment of the monotonic clock."""
        await asyncio.sleep(self._chance.random() * PAUSE)
        url = str(self._http.base_url).replace("http", "ws", 1)
        url = f"{url.rstrip('/')}/ws/{self._system}?key={self._key}"
        async with connect(url, proxy=None, open_timeout=HANG, max_queue=None, ping_interval=None) as websocket:
            self._connection = websocket
            while time.monotonic() < until:
                kind = self._chance.choices(list(KINDS), list(KINDS.values()))[0]
                began = time.perf_counter()
                try:
                    await getattr(self, f"_{kind}")()
                except Exception as error:
                    self._seen.wrong[f"{kind}: {type(error).__name__} {str(error)[:100]}"] += 1
                self._seen.seconds[kind].append(time.perf_counter() - began)
                pause = self._chance.expovariate(1 / PAUSE)
                await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))

    async def _status(self) -> None:
        (await self._http.get(f"/jobs/{self._job}")).raise_for_status()

    async def _list(self) -> None:
        (await self._http.get("/jobs", params={"limit": 20})).raise_for_status()

    async def _download(self) -> None:
        video = (await self._http.get(f"/download/{self._job}")).raise_for_status()
        if video.content[4:8] != b"ftyp":
            raise ValueError("not a video")

    async def _create(self) -> None:
        made = await self._http.post("/create", json={"particle_type": "snow", "config": SMALL})
        system = made.raise_for_status().json()["system_id"]
        (await self._http.delete(f"/systems/{system}")).raise_for_status()

    async def _websocket(self) -> None:
        seed = self._chance.randrange(1 << 30)
        await self._connection.send(json.dumps({"action": "update_config", "config": {"seed": seed}}))
        async with asyncio.timeout(HANG):
            while json.loads(await self._connection.recv())["config"].get("seed") != seed:
                pass


@dataclass
class Needs:
    """Memory in bytes and open files of a process over time."""

    pid: int
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def look(self) -> None:
        """Record the current values."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        self.memory.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")))
        self.files.append(len(list(Path(f"/proc/{self.pid}/fd").iterdir())))

    def growth(self) -> float:
        """Memory in the last quarter of the time relative to the second quarter."""
        quarter = max(1, len(self.memory) // 4)
        return fmean(self.memory[-quarter:]) / fmean(self.memory[quarter : 2 * quarter])


def system(client: httpx.Client, config: dict[str, Any]) -> str:
    """Create a system; returns its id."""
    made = client.post("/create", json={"particle_type": "enhanced", "config": config}).raise_for_status()
    return str(made.json()["system_id"])


def submit(client: httpx.Client, of: str, **more: Any) -> str:
    """Render a system; returns the id of the job."""
    return str(client.post(f"/systems/{of}/render", json=more).raise_for_status().json()["job_id"])


def finished(client: httpx.Client, job: str) -> None:
    """Wait until a job is completed."""
    while (row := client.get(f"/jobs/{job}").raise_for_status().json())["status"] != "completed":
        if row["status"] in ("failed", "cancelled"):
            raise SystemExit(f"job {job} {row['status']}: {row['error']}")
        time.sleep(0.2)


async def clients(stack: Stack, key: str, job: str, *, count: int, seconds: float) -> tuple[Seen, Needs]:
    """Run ``count`` clients for ``seconds``."""
    seen, needs = Seen(), Needs(stack.programs("api")[0][0])
    limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=stack.url, headers=headers, timeout=HANG, trust_env=False, limits=limits
    ) as http:
        made = [
            (await http.post("/create", json={"particle_type": "snow", "config": SMALL})).raise_for_status().json()
            for _ in range(count)
        ]
        until = time.monotonic() + seconds
        running = [
            asyncio.create_task(Client(http, seen, key=key, system=each["system_id"], job=job, chance=at).run(until))
            for at, each in enumerate(made)
        ]
        while not all(task.done() for task in running):
            needs.look()
            await asyncio.sleep(1)
        for task in running:
            if (error := task.exception()) is not None:
                seen.wrong[f"a client gave up: {type(error).__name__} {str(error)[:100]}"] += 1
    return seen, needs


def under_load(stack: Stack, key: str, *, count: int, seconds: float) -> bool:
    """Part one: many clients while workers render."""
    with client_of(stack, key) as http:
        job = submit(http, system(http, SMALL))
        finished(http, job)
        before_that = min(15.0, max(6.0, seconds / 3))  # its connections stay open
        asyncio.run(clients(stack, key, job, count=count, seconds=before_that))
        before = open_files(stack)
        work = system(http, LONG)
        # More than can be rendered meanwhile.
        rendering = [submit(http, work, seed=seed, priority="low") for seed in range(20)]
        seen, needs = asyncio.run(clients(stack, key, job, count=count, seconds=seconds))
        frames = sum(http.get(f"/jobs/{each}").json()["frames_done"] for each in rendering)
        for each in rendering:
            http.post(f"/jobs/{each}/cancel")
    requests = sum(map(len, seen.seconds.values()))
    rate = requests / seconds
    print(f"{count} clients, {seconds:g} s: {rate:.0f} requests/s; meanwhile {frames} frames were rendered", flush=True)
    for kind, took in seen.seconds.items():
        percent = quantiles(took, n=100)
        print(f"  {kind:9} {len(took):6d}  p50 {1000 * percent[49]:6.1f} ms  p99 {1000 * percent[98]:6.1f} ms")
    after = open_files(stack)
    print(f"  memory of the API: {needs.memory[-1] / 1e6:.0f} MB, last quarter / second quarter {needs.growth():.3f}")
    print(f"  open files of the API: {before} before, {max(needs.files)} at most, {after} afterwards")
    for what, times in seen.wrong.most_common(10):
        print(f"  WRONG, {times} times: {what}")
    return not seen.wrong and needs.growth() <= GROWTH and after <= before + POOLED


def open_files(stack: Stack) -> int:
    """The number of open files of the API, once it has not fallen for five seconds: clients' connections are closed."""
    folder, least, since = Path(f"/proc/{stack.programs('api')[0][0]}/fd"), 1 << 30, time.monotonic()
    while time.monotonic() - since < 5:
        if (now := len(list(folder.iterdir()))) < least:
            least, since = now, time.monotonic()
        time.sleep(0.2)
    return least


def two_owners(stack: Stack, keys: dict[str, str], *, jobs: int) -> bool:
    """Part two: how many jobs start between the submission and the start of the second owner's job."""
    with client_of(stack, keys["alice"]) as alice, client_of(stack, keys["bob"]) as bob:
        many, one = system(alice, SMALL), system(bob, SMALL)
        for seed in range(jobs):
            submit(alice, many, seed=seed)
        while not stack.rows("SELECT 1 FROM tasks WHERE status = 'running'"):
            time.sleep(0.05)
        events = stack.rows("SELECT max(id) FROM events")[0][0]
        began = time.perf_counter()
        job = submit(bob, one, seed=1_000_000)
        started = f"SELECT min(id) FROM events WHERE job_id = '{job}' AND json_extract(data, '$.status') = 'rendering'"
        while (at := stack.rows(started)[0][0]) is None:
            time.sleep(0.02)
        waited = time.perf_counter() - began
        others = stack.rows(
            "SELECT count(DISTINCT job_id) FROM events WHERE json_extract(data, '$.stage') = 'analysing'"
            f" AND id > {events} AND id < {at}"
        )[0][0]
        finished(bob, job)
        left = stack.rows("SELECT count(*) FROM jobs WHERE status IN ('queued', 'rendering')")[0][0]
    print(f"{jobs} jobs of one owner; the only job of another started after {others} others, {waited:.2f} s")
    print(f"  when it was completed, {left} jobs of the first owner were still open")
    return bool(others <= len(stack.programs("worker")) and (left > jobs / 2))


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--jobs", type=int, default=1000, help="of the first owner")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, serving(Path(name) / "data", MOTES_AUTH="required") as stack:
        keys = {owner: key_of(owner, Path(name) / "data") for owner in ("alice", "bob")}
        fine = under_load(stack, keys["alice"], count=arguments.clients, seconds=arguments.seconds)
        fair = two_owners(stack, keys, jobs=arguments.jobs)
    print(f"no errors, flat memory, no leaked files: {fine}; the second owner's job started next: {fair}")
    raise SystemExit(0 if fine and fair else 1)


if __name__ == "__main__":
    main()
