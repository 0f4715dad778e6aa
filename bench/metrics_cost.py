"""The CPU time that metrics add to a request and to a render.

    python bench/metrics_cost.py                 # about half a minute on an idle machine
    python bench/metrics_cost.py --rounds 20

The request reads a job from a SQLite database, without a network: alternately with metrics, with metrics that count
nothing, and without the middleware that adds an id and a log line. The render is done by a worker in this process and
its forked processes; counting is timed where it happens, because it takes less time than two renders differ by. The
cost of a scrape is printed separately, as a share of the interval between scrapes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from redis_process import own_redis
from starlette.types import Message

from services.api import Requests, create_app
from services.api.middleware import request_context
from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from services.database.models import JobRow, new_id
from services.jobs.lifecycle import Jobs
from services.jobs.render_spec import build_spec, spec_key
from services.observability import metrics
from services.settings import ServiceSettings
from services.worker.child_processes import ForkServer
from services.worker.main import Worker

GOAL = 0.02
REQUESTS = 300  # of each in a round, in turns
SCRAPES = 15.0  # seconds between two
CONFIG = {"width": 640, "height": 360, "fps": 30, "duration": 8.0, "particle_count": 300}
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds
COUNTING = ("task_done", "task_retried", "job_begun", "job_ended", "leases_lost", "webhook_attempted")


MUTE = SimpleNamespace(observe=lambda seconds: None, inc=lambda: None)
SILENT = {"DATABASE": MUTE, "REDIS": MUTE, "_metrics_for": lambda *labels: (MUTE, MUTE)}


@contextmanager
def instead(of: dict[str, Any]) -> Iterator[None]:
    """Replace the metrics of these names. Not with mocks: they would leave garbage for the next turn to collect."""
    homes = {name: request_context if hasattr(request_context, name) else metrics for name in of}
    before = {name: getattr(home, name) for name, home in homes.items()}
    for name, other in of.items():
        setattr(homes[name], name, other)
    try:
        yield
    finally:
        for name, real in before.items():
            setattr(homes[name], name, real)


class Timed:
    """The time that counting took, and the number of counts."""

    def __init__(self) -> None:
        self.seconds, self.times = 0.0, 0

    def _timed(self, count: Callable[..., None]) -> Callable[..., None]:
        def timed(*arguments: Any, **more: Any) -> None:
            began = time.thread_time()
            count(*arguments, **more)
            self.seconds += time.thread_time() - began
            self.times += 1

        return timed

    def all(self) -> dict[str, Any]:
        """The counting functions, timed."""
        found: dict[str, Any] = {name: self._timed(getattr(metrics, name)) for name in COUNTING}
        return found | {
            name: SimpleNamespace(observe=self._timed(getattr(metrics, name).observe)) for name in ("DATABASE", "REDIS")
        }


def job(seed: int) -> JobRow:
    """A render of a new scene."""
    scene = build_spec("enhanced", {**CONFIG, "seed": seed}, None, "standard")
    more: dict[str, Any] = {"fairness_key": "bench", "system_id": new_id(), "output_path": "video.mp4", "kind": "video"}
    more |= {"priority": "normal", "owner": ""}
    return JobRow(id=new_id(), scene=scene, scene_key=spec_key(scene), **more)


async def request(app: FastAPI, path: str, state: dict[str, Any]) -> None:
    """Send one request; it must be answered with 200."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
    }
    scope |= {"headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    scope |= {"http_version": "1.1", "scheme": "http", "root_path": "", "asgi": {"version": "3.0"}, "state": {**state}}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise SystemExit(f"{path} was answered with {message['status']}")

    await app(scope, receive, send)


async def time_of(app: FastAPI, path: str, state: dict[str, Any]) -> float:
    """CPU seconds of a request."""
    began = time.process_time()
    await request(app, path, state)
    return time.process_time() - began


async def ask(sessions: Sessions, rounds: int) -> None:
    """Requests with and without metrics, alternately."""
    row = await Jobs(sessions).submit(job(0), tasks=3)
    await Jobs(sessions).cancel(row.id)
    path = f"/particles/jobs/{row.id}"
    app, bare = create_app(), create_app()
    metered: object = Requests
    bare.user_middleware = [each for each in bare.user_middleware if each.cls is not metered]
    ways = {"with metrics": (app, {}), "without metrics": (app, SILENT), "without the middleware": (bare, SILENT)}
    took: dict[str, list[float]] = {way: [] for way in ways}
    scrapes, order = [], [*ways]
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        for number in range(rounds * REQUESTS):
            for way in order:
                of, other = ways[way]
                with instead(other):
                    took[way].append(await time_of(of, path, dict(state)))
            order.append(order.pop(0))  # the first request after another application finds cold caches
            if number % REQUESTS == 0:
                scrapes.append(await time_of(app, "/metrics", dict(state)))
    medians = {way: statistics.median(each) for way, each in took.items()}
    print("a request: " + ", ".join(f"{1e3 * each:.3f} ms {way}" for way, each in medians.items()))
    tell("metrics of a request", medians["with metrics"] / medians["without metrics"] - 1)
    tell_scrape("the API", scrapes)


def tell(what: str, share: float) -> None:
    verdict = "reached" if share < GOAL else "MISSED"
    print(f"{what}: {100 * share:.2f} % (goal: under {100 * GOAL:g} %, {verdict})", flush=True)


def tell_scrape(of: str, seconds: list[float]) -> None:
    took = statistics.median(seconds)
    print(f"a scrape of {of}: {1e3 * took:.1f} ms, {100 * took / SCRAPES:.2f} % of a core at one every {SCRAPES:g} s")


def used(fork_server: ForkServer) -> dict[int, float]:
    """CPU seconds so far of the running processes of a fork server, by process."""
    found = {}
    for process in fork_server.pids():
        try:
            words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[process] = (int(words[11]) + int(words[12])) * TICK
    return found


class Meter:
    """CPU time of the worker and its processes, which are polled because they may end at any time."""

    def __init__(self, fork_server: ForkServer) -> None:
        self._fork_server = fork_server

    async def of(self, do: Callable[[], Any]) -> float:
        """CPU seconds of all of them during ``do``."""
        before = last = used(self._fork_server)
        began, doing = time.process_time(), asyncio.ensure_future(do())
        looking = 0.0
        while not doing.done():
            await asyncio.wait({doing}, timeout=0.05)
            looked = time.process_time()
            last = {**last, **used(self._fork_server)}
            looking += time.process_time() - looked
        await doing
        ours = time.process_time() - began - looking
        return ours + sum(last.values()) - sum(before.get(process, 0.0) for process in last)


@asynccontextmanager
async def working(settings: ServiceSettings) -> AsyncIterator[Worker]:
    stop = asyncio.Event()
    worker = Worker(settings, size=1)
    running = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await running


async def renders(settings: ServiceSettings, sessions: Sessions, rounds: int) -> None:
    """The cost of counting while a worker renders."""
    jobs = Jobs(sessions)
    seeds = iter(range(1, 1000))

    async def render() -> None:
        row = await jobs.submit(job(next(seeds)), tasks=5)
        while row.status not in ("completed", "failed"):
            await asyncio.sleep(0.05)
            async with sessions() as session:
                row = await session.get_one(JobRow, row.id)
        if row.status == "failed":
            raise SystemExit(row.error)

    def scrape() -> None:
        urllib.request.urlopen(f"http://{settings.host}:{settings.metrics_port}/metrics").read()

    wholes, scrapes, timed = [], [], Timed()
    async with working(settings) as worker:
        await render()  # load everything
        meter = Meter(worker._fork_server)
        with instead(timed.all()):
            for _ in range(rounds):
                wholes.append(await meter.of(render))
                began = time.process_time()
                await asyncio.to_thread(scrape)
                scrapes.append(time.process_time() - began)
    whole = statistics.mean(wholes)
    print(f"a render of {CONFIG['duration']:g} s of video: {whole:.2f} s, {timed.times // rounds} counts")
    tell("metrics of a render", timed.seconds / rounds / whole)
    tell_scrape("a worker", scrapes)


async def measure(rounds: int, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # the worker listens there itself, and cannot be given a socket
    with own_redis(folder, wanted=True) as redis:
        assert redis is not None
        os.environ |= {"MOTES_DATA": str(folder), "MOTES_REDIS_URL": redis.url, "MOTES_METRICS_PORT": str(port)}
        settings = ServiceSettings()
        await upgrade(settings.database)
        engine, sessions = open_database(settings.database)
        await ask(sessions, rounds)
        await renders(settings, sessions, rounds)
        await engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="renders, and rounds of requests")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(rounds, Path(folder)))


if __name__ == "__main__":
    main()
