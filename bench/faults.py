"""Kill everything, again and again, and see that no job is lost, none is done twice, and every frame is right.

    python bench/faults.py                                   # 60 kills while 20 jobs are open, about five minutes
    python bench/faults.py --kills 10 --jobs 5 --seed 7      # sooner
    python -m tests.services.servers bench/faults.py         # with PostgreSQL and S3 instead of SQLite and a folder

``motes serve`` runs with a worker for each core, and with the database and the storage that MOTES_DATABASE_URL and
MOTES_STORAGE_URL name: an empty database, and nothing that anybody else needs. At random moments a process that
renders, a worker, the API or redis-server is killed with SIGKILL, Redis is told to forget everything, or PostgreSQL to
end all connections, each once before any happens again; meanwhile jobs are submitted so that there are always enough.
In the end each must be completed, once, and its video must hold the frames of an undisturbed render of the same scene,
decoded and compared by hash. It prints how long each segment that was lost waited until somebody rendered it again
(goal: 99 % within 20 s). The exit code is 1 if anything is not as it should be.

Compared is what a client downloads, not raw frames, of which workers keep no hashes. So a segment that was encoded, put
in order or joined wrongly is found, too. A difference in a raw frame that is too small for the encoder to keep may not
be: that raw frames are the same to the last bit, by any number of processes, in segments of any length and after a
kill, is what tests/ecs_core/rendering/test_same_frames.py and tests/faults/test_processes.py compare.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx
import redis
from sqlalchemy import Select, select, text

from ecs_core import Scene, render
from services.cli.demo_song import write_wav
from services.database.engine import open_database
from services.database.models import EventRow
from services.settings import ServiceSettings

WITHIN = 20.0  # seconds
PATIENCE = 900.0  # seconds that everything may take to be completed after the last kill
KINDS = ("renderer", "worker", "api", "redis", "flush")
DISCONNECT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid != pg_backend_pid()"""
TYPES = ("enhanced", "snow", "zen", "bouncing", "no_music")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MOTES_")}
PLACES = {name: os.environ[name] for name in ("MOTES_DATABASE_URL", "MOTES_STORAGE_URL") if name in os.environ}


def scene_of(number: int) -> tuple[str, dict[str, Any]]:
    """The type and the config of the job with this number."""
    config = {"width": 320, "height": 180, "duration": 6.0 + number % 3, "particle_count": 200, "seed": number}
    return TYPES[number % len(TYPES)], config


# --- the stack ---


@dataclass
class Stack:
    """``motes serve``, and what lives under it."""

    url: str
    pid: int
    data: Path
    database: str

    def __post_init__(self) -> None:
        self._engine, self._sessions = open_database(self.database)
        self._loop, self._turn = asyncio.Runner(), threading.Lock()

    @property
    def kinds(self) -> tuple[str, ...]:
        """What can happen to it."""
        return KINDS if self.database.startswith("sqlite") else (*KINDS, "database")

    def programs(self, name: str) -> list[tuple[int, str]]:
        """Its processes whose command line says so, with that line."""
        found = []
        for pid in children(self.pid):
            with suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
                if f" {name} " in f" {line} " or (name == "redis" and "redis-server" in line):
                    found.append((pid, line))
        return found

    def renderers(self) -> list[tuple[int, str]]:
        """Processes that do tasks, forked by the fork servers that workers started, with the line of their worker."""
        servers = [(fork_server, line) for worker, line in self.programs("worker") for fork_server in children(worker)]
        return [(task, line) for fork_server, line in servers for task in children(fork_server)]

    def rows(self, query: str | Select[Any]) -> list[tuple[Any, ...]]:
        """What the database says."""

        async def ask() -> list[tuple[Any, ...]]:
            async with self._sessions() as session:
                asked = await session.execute(text(query) if isinstance(query, str) else query)
                return [tuple(row) for row in asked]

        with self._turn:  # two threads ask
            return self._loop.run(ask())

    def close(self) -> None:
        """Leave the database."""
        with self._turn:
            self._loop.run(self._engine.dispose())
            self._loop.close()


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@contextmanager
def serving(data: Path, **environment: str) -> Iterator[Stack]:
    """``motes serve`` while the context lasts, with these variables besides."""
    workers = str(os.cpu_count() or 1)
    command = (sys.executable, "-m", "services.cli.main", "serve", "--port", "0", "--workers", workers)
    with (data.parent / "serve.log").open("w") as log:
        process = subprocess.Popen(
            (*command, "--data", str(data)),
            env=ENVIRONMENT | environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        url = re.search(r"http://\S+/particles", process.stdout.readline())
        if url is None:
            raise SystemExit(f"motes serve did not start: {(data.parent / 'serve.log').read_text()}")
        database = ServiceSettings(data=data, database_url=environment.get("MOTES_DATABASE_URL", "")).database
        with closing(Stack(url[0], process.pid, data, database)) as stack:
            yield stack
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


# --- clients, who must not notice much ---


class Clients:
    """Submits jobs, so that enough are open; a request that fails is repeated under its key."""

    def __init__(self, stack: Stack, song: Path, count: int) -> None:
        self._client = httpx.Client(base_url=stack.url, timeout=300, trust_env=False)
        self._stack, self._count = stack, count
        with song.open("rb") as file:
            self._audio = self._client.post("/audio", files={"file": ("song.wav", file)}).json()["audio_path"]
        self.jobs: dict[str, int] = {}
        self.done = threading.Event()

    def run(self) -> None:
        """Until it is done."""
        self.done_well = False
        while not self.done.is_set():
            left = self._stack.rows("SELECT count(*) FROM jobs WHERE status IN ('queued', 'rendering')")[0][0]
            for _ in range(max(0, self._count - left)):
                self._submit(len(self.jobs))
            self.done.wait(0.3)
        self.done_well = True

    def _submit(self, number: int) -> None:
        kind, config = scene_of(number)
        made = self.ask("POST", "/create", key=f"create-{number}", json={"particle_type": kind, "config": config})
        body = {"audio_path": self._audio} if number % 2 else {}
        path = f"/systems/{made.json()['system_id']}/render"
        self.jobs[self.ask("POST", path, key=f"render-{number}", json=body).json()["job_id"]] = number

    def ask(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        """An answer, however often it takes."""
        headers = {} if key is None else {"Idempotency-Key": key}
        while True:
            with suppress(httpx.TransportError):
                answer = self._client.request(method, path, headers=headers, **more)
                if answer.status_code < 400:
                    return answer
                if answer.status_code not in (409, 503):
                    raise RuntimeError(f"{method} {path}: {answer.status_code}: {answer.text}")
            time.sleep(0.2)


# --- faults ---


@dataclass
class Faults:
    """Kills at random, and watches how soon what was lost is done again."""

    stack: Stack
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    lost: dict[tuple[str, int], float] = field(default_factory=dict)  # task and attempt, and when it was lost
    waited: list[float] = field(default_factory=list)
    due: list[str] = field(default_factory=list)  # what must happen before anything happens once more

    def strike(self) -> None:
        """Do the first of what is due that can be done now."""
        self.due = self.due or self.chance.sample(self.stack.kinds, len(self.stack.kinds))
        for kind in self.due:
            if self._do(kind):
                self.kills[kind] += 1
                self.due.remove(kind)
                return

    def _do(self, kind: str) -> bool:
        """Whether it could be done."""
        if kind == "database":
            self.stack.rows(DISCONNECT)
            return True
        if kind == "flush":
            for _, line in self.stack.programs("redis"):
                with suppress(redis.RedisError, OSError):
                    redis.Redis(unix_socket_path=line.rpartition("unixsocket:")[2].split()[0]).flushall()
                    return True
            return False
        victims = self.stack.renderers() if kind == "renderer" else self.stack.programs(kind)
        # A third death would fail the job, as it should: that is no loss, but nothing that this looks for.
        endangered = self.stack.rows("SELECT 1 FROM tasks WHERE status != 'done' AND deaths >= 2")
        if victims and not (kind == "renderer" and endangered):
            pid, line = self.chance.choice(victims)
            held = self._held_by(line)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.lost = dict.fromkeys(held, time.monotonic()) | self.lost
                return True
        return False

    def _held_by(self, line: str) -> list[tuple[str, int]]:
        """The tasks and attempts of the worker with this command line; whatever else it is the line of has none."""
        name = line.partition("--name ")[2].partition(" ")[0]
        running = self.stack.rows("SELECT id, attempt, worker FROM tasks WHERE status = 'running'")
        return [(task, attempt) for task, attempt, worker in running if worker.endswith(f":{name}")]

    def look(self) -> None:
        """Whether what may have been lost is done again: a task whose attempt went on, or is over, was not lost."""
        if not self.lost:
            return
        now = time.monotonic()
        tasks = {task: rest for task, *rest in self.stack.rows("SELECT id, attempt, status FROM tasks")}
        for (task, before), since in list(self.lost.items()):
            attempt, status = tasks[task]
            if attempt > before and status != "ready":
                self.waited.append(now - since)
                del self.lost[task, before]
            elif status == "done" or (attempt == before and now - since > 2 * WITHIN):
                del self.lost[task, before]  # it was just over


# --- what must be true in the end ---


def frames_of(path: Path) -> list[str]:
    """The hash of each decoded frame."""
    with av.open(str(path)) as video:
        return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in video.decode(video=0)]


def wrong_with(clients: Clients, stack: Stack, song: Path, folder: Path) -> list[str]:
    """Everything that is not as it should be."""
    found = [] if clients.done_well else ["the clients gave up"]
    completed = select(EventRow.job_id).where(EventRow.data["status"].as_string() == "completed")
    completions = Counter(job for (job,) in stack.rows(completed))
    reasons = dict(stack.rows("SELECT id, coalesce(error, status) FROM jobs"))
    for job, number in sorted(clients.jobs.items(), key=lambda item: item[1]):
        if completions[job] != 1:
            found.append(f"job {number} was completed {completions[job]} times ({reasons.get(job, 'lost')})")
            continue
        video, alone = folder / "video.mp4", folder / "alone.mp4"
        video.write_bytes(clients.ask("GET", f"/download/{job}").content)
        kind, config = scene_of(number)
        render(Scene(kind, song if number % 2 else None, config), alone)
        if frames_of(video) != frames_of(alone):
            found.append(f"job {number} does not have the frames of an undisturbed render")
    if len(stack.rows("SELECT 1 FROM jobs WHERE kind = 'video'")) != len(clients.jobs):
        found.append("there are jobs that nobody asked for")
    return found


def main() -> None:
    """Kill, wait, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=20, help="open at any time while there are kills")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song = folder / "song.wav"
        write_wav(song, 10.0)
        # What killed workers leave behind goes with the folder.
        with serving(folder / "data", TMPDIR=name, **PLACES) as stack:
            if stack.rows("SELECT 1 FROM jobs"):
                raise SystemExit("MOTES_DATABASE_URL: this database has jobs; give one that is empty")
            clients, faults = Clients(stack, song, arguments.jobs), Faults(stack, random.Random(arguments.seed))
            submitting = threading.Thread(target=clients.run)
            submitting.start()
            while len(clients.jobs) < arguments.jobs and submitting.is_alive():
                time.sleep(0.05)
            strike_at = time.monotonic()
            while sum(faults.kills.values()) < arguments.kills:
                faults.look()
                if time.monotonic() >= strike_at:
                    faults.strike()
                    strike_at = time.monotonic() + faults.chance.uniform(0.3, 2.5)
                time.sleep(0.05)
            clients.done.set()
            submitting.join()
            print(
                f"{len(clients.jobs)} jobs, kills: {dict(sorted(faults.kills.items()))}; waiting for the rest",
                flush=True,
            )
            end = time.monotonic() + PATIENCE
            open_jobs = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'rendering')"
            while stack.rows(open_jobs)[0][0] and time.monotonic() < end:
                faults.look()
                time.sleep(0.05)
            wrong = wrong_with(clients, stack, song, folder)
        said = [line for line in (folder / "serve.log").open() if '"level": "info"' not in line]
    waited = sorted(faults.waited)
    print(f"{len(waited)} tasks were lost and done again; seconds until they were begun again:")
    if waited:
        at = {share: waited[min(len(waited) - 1, int(len(waited) * share))] for share in (0.0, 0.5, 0.9, 0.99, 1.0)}
        print("  " + ", ".join(f"{share:.0%} {value:.1f}" for share, value in at.items()))
        for low, high in ((0, 1), (1, 2), (2, 5), (5, 10), (10, 15), (15, 20), (20, 1e9)):
            count = sum(low <= value < high for value in waited)
            print(f"  {low:2d}–{high if high < 1e9 else '…'} s: {'#' * count} {count}")
    soon = not waited or at[0.99] <= WITHIN
    if wrong:
        sys.stderr.writelines(said)
    for each in wrong:
        print(f"WRONG: {each}")
    print(f"99 % were begun again within {WITHIN:g} s: {soon}")
    print(f"every job completed once, every frame as in an undisturbed render: {not wrong}")
    raise SystemExit(0 if soon and not wrong else 1)


if __name__ == "__main__":
    main()
