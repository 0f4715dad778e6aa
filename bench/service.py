"""What the service adds to the engine: one job through the API, response times under load, and very many small jobs.

    python bench/service.py                       # all three parts, about ten minutes on two cores
    python bench/service.py --parts 1 --seconds 20 --rounds 1
    python bench/service.py --parts 3 --jobs 100

1. A job through the API of an idle, warm service, relative to ``motes render`` of the same scene (goal: at most 1.1);
   the time from POST to the first rendered frame; two workers relative to one (goal: at least 1.8 times as fast).
   From the recorded times of the tasks it estimates the time with more workers, and what limits it.
2. Requests per second and p50/p99 while every core renders, relative to the idle service (goal: p99 at most 5 times).
3. Many jobs of one second each: the cost of a job and a task, how the queue shrinks, and the size of the database.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from services.cli.demo_song import write_wav

SLOWER, FASTER, LOADED = 1.1, 1.8, 5.0
MOTES = (sys.executable, "-m", "services.cli.main")
SIZE = {"width": 1920, "height": 1080}
TINY = {"width": 64, "height": 36, "duration": 1.0, "particle_count": 10}
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MOTES_")}


@contextmanager
def serving(data: Path, *, workers: int) -> Iterator[httpx.Client]:
    """``motes serve``, warmed up."""
    command = (*MOTES, "serve", "--port", "0", "--workers", str(workers), "--data", str(data))
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = re.search(r"http://\S+/particles", process.stdout.readline())
        if url is None:
            raise SystemExit("motes serve did not start")
        with httpx.Client(base_url=url[0], timeout=60, trust_env=False) as client:
            for seed in range(2 * workers):  # a worker has loaded everything once it has rendered something
                submit(client, system(client, TINY | {"seed": 1_000_000 + seed}))
            finish(client)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def system(client: httpx.Client, config: dict[str, Any], audio: str | None = None) -> str:
    """Create a system; returns its id."""
    body = {"particle_type": "enhanced", "config": config}
    made: str = client.post("/create", json=body).raise_for_status().json()["system_id"]
    if audio is not None:
        client.post(f"/systems/{made}/load-audio", params={"audio_path": audio}).raise_for_status()
    return made


def submit(client: httpx.Client, of: str) -> str:
    """Render a system; returns the id of the job."""
    job: str = client.post(f"/systems/{of}/render", json={}).raise_for_status().json()["job_id"]
    return job


def finish(client: httpx.Client) -> None:
    """Wait until no job is open."""
    while any(client.get("/metrics").json()[name] for name in ("queued_jobs", "rendering_jobs")):
        time.sleep(0.05)


# --- 1: one video ---


@dataclass
class Watch:
    """When the tasks of a job became ready, running and done in the database, in seconds."""

    data: Path
    seen: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)

    def look(self, job: str, now: float) -> None:
        """Record changes of the tasks."""
        with sqlite3.connect(f"file:{self.data / 'motes.db'}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT kind, number, status FROM tasks WHERE job_id = ?", (job,)).fetchall()
        database.close()
        for kind, number, status in rows:
            self.seen.setdefault((kind, number), {}).setdefault(status, now)

    def spent(self, kind: str) -> list[float]:
        """Seconds from start to end of each task of a kind."""
        tasks = sorted((key, times) for key, times in self.seen.items() if key[0] == kind)
        return [times["done"] - times.get("running", times["done"]) for _, times in tasks]

    def ready(self, kind: str) -> list[float]:
        """When each task of a kind became ready, in seconds after planning started."""
        began = self.seen["plan", 0]["running"]
        tasks = sorted((key, times) for key, times in self.seen.items() if key[0] == kind)
        return [times.get("ready", times.get("running", began)) - began for _, times in tasks]


def through_the_api(
    client: httpx.Client, config: dict[str, Any], audio: str, watch: Watch | None = None
) -> tuple[float, float]:
    """Seconds from POST to the finished video, and to the first rendered frame."""
    of = system(client, config, audio)
    began = time.perf_counter()
    job, first = submit(client, of), 0.0
    while True:
        found = client.get(f"/jobs/{job}").json()
        now = time.perf_counter() - began
        if watch is not None:
            watch.look(job, now)
        if not first and found["frames_done"]:
            first = now
        if found["status"] in ("completed", "failed"):
            assert found["status"] == "completed", found
            return now, first
        time.sleep(0.02)


def engine(song: Path, config: dict[str, Any], folder: Path) -> float:
    """Seconds that ``motes render`` takes."""
    (folder / "config.json").write_text(json.dumps(config))
    command = ("render", str(song), "--type", "enhanced", "--config", str(folder / "config.json"), "--json")
    began = time.perf_counter()
    subprocess.run((*MOTES, *command, "-o", str(folder / "video.mp4")), check=True, capture_output=True)
    return time.perf_counter() - began


def with_workers(count: int, plan: float, ready: list[float], tasks: list[float], join: float) -> float:
    """Seconds from plan to video if ``count`` workers took the sound and the segments in order as soon as they are
    ready.
    """
    free = [plan, *[0.0] * (count - 1)]  # one worker plans
    heapq.heapify(free)
    ends = []
    for at, seconds in zip(ready, tasks, strict=True):
        end = max(at, heapq.heappop(free)) + seconds
        heapq.heappush(free, end)
        ends.append(end)
    return max(ends) + join


def one_video(seconds: float, rounds: int, folder: Path) -> bool:
    """Part 1: one video through the API and with the engine alone."""
    song = folder / "song.wav"
    write_wav(song, seconds)
    cores = os.cpu_count() or 1
    config = SIZE | {"duration": seconds}
    with serving(folder / "many", workers=cores) as client:
        audio = upload(client, song)
        pairs, firsts, many = [], [], []
        for seed in range(rounds):
            spent, first = through_the_api(client, config | {"seed": seed}, audio)
            alone = engine(song, config | {"seed": seed}, folder)
            pairs.append(spent / alone)
            firsts.append(first)
            many.append(spent)
            print(f"  {seconds:g} s of 1080p: through the API {spent:.2f} s, motes render {alone:.2f} s", flush=True)
    ratio = statistics.median(pairs)
    print(f"API over engine: {ratio:.3f} {goal(ratio <= SLOWER, f'at most {SLOWER}')}")
    print(f"from POST to the first rendered frame: {statistics.median(firsts):.2f} s (as reported by the API)")
    watch = Watch(folder / "one")
    with serving(folder / "one", workers=1) as client:
        one, _ = through_the_api(client, config, upload(client, song), watch)
    speed = one / statistics.median(many)
    print(f"{cores} workers: {speed:.2f} times as fast as 1 {goal(speed >= FASTER, f'at least {FASTER}')}")
    plan, sound, join = (sum(watch.spent(kind)) for kind in ("plan", "sound", "join"))
    segments, ready = watch.spent("segment"), watch.ready("segment")
    print(f"  1 worker: plan {plan:.2f} s, sound {sound:.2f} s,", end=" ")
    print(f"{len(segments)} segments {sum(segments):.2f} s, join {join:.2f} s")
    began, tasks = watch.ready("sound") + ready, watch.spent("sound") + segments
    base = with_workers(1, plan, began, tasks, join)
    for count in (2, 4, 8, 16, 32, 64):
        spent = with_workers(count, plan, began, tasks, join)
        print(f"  estimate for {count:2d} workers on as many cores: {spent:5.2f} s, {base / spent:4.1f} times as fast")
    least = max(at + seconds for at, seconds in zip(began, tasks, strict=True)) + join
    print(f"  lower bound {least:.2f} s: planning up to the last snapshot {ready[-1]:.2f} s,", end=" ")
    print(f"the longest segment {max(segments):.2f} s, the sound {sound:.2f} s, joining {join:.2f} s")
    return ratio <= SLOWER and speed >= FASTER


def upload(client: httpx.Client, song: Path) -> str:
    """Upload a song; returns its ``audio_path``."""
    with song.open("rb") as file:
        path: str = client.post("/audio", files={"file": ("song.wav", file)}).raise_for_status().json()["audio_path"]
    return path


# --- 2: answers under load ---


def timed(do: Callable[[], object], count: int) -> list[float]:
    """Milliseconds of each of ``count`` calls, sorted."""
    spent = []
    for _ in range(count):
        began = time.perf_counter()
        do()
        spent.append(1000 * (time.perf_counter() - began))
    return sorted(spent)


def answers(client: httpx.Client, count: int) -> dict[str, list[float]]:
    """Milliseconds of each kind of request, sent one at a time."""
    of = system(client, TINY)
    job = submit(client, of)
    url = str(client.base_url).replace("http://", "ws://").rstrip("/")
    with connect(f"{url}/ws/{of}", proxy=None) as live:

        def echo() -> None:
            live.send('{"action": "?"}')
            while "error" not in json.loads(live.recv()):
                pass

        return {
            "create": timed(lambda: system(client, TINY), count),
            "status": timed(lambda: client.get(f"/jobs/{job}").raise_for_status(), count),
            "list": timed(lambda: client.get("/jobs").raise_for_status(), count),
            "echo": timed(echo, count),
        }


def under_load(count: int, folder: Path) -> bool:
    """Part 2: response times while every core renders."""
    good = True
    with serving(folder / "load", workers=os.cpu_count() or 1) as client:
        answers(client, 50)
        idle = answers(client, count)
        done = threading.Event()

        def keep_busy() -> None:
            seed = 0
            while not done.is_set():
                if client.get("/metrics").json()["queued_jobs"] < 2:
                    submit(client, system(client, SIZE | {"duration": 30.0, "seed": seed}))
                    seed += 1
                done.wait(0.5)

        thread = threading.Thread(target=keep_busy)
        thread.start()
        try:
            time.sleep(5)
            busy = answers(client, count)
        finally:
            done.set()
            thread.join()
        for name, before in idle.items():
            after = busy[name]
            ratio = p(after, 99) / p(before, 99)
            good &= ratio <= LOADED
            print(
                f"{name:6s}  idle {1000 * len(before) / sum(before):4.0f}/s, p50 {p(before, 50):5.1f}, "
                f"p99 {p(before, 99):5.1f} ms;  rendering {1000 * len(after) / sum(after):4.0f}/s, "
                f"p50 {p(after, 50):5.1f}, p99 {p(after, 99):5.1f} ms;  p99 {ratio:.1f} times "
                f"{goal(ratio <= LOADED, f'at most {LOADED:g}')}",
                flush=True,
            )
    return good


def p(values: list[float], percent: int) -> float:
    """A percentile of sorted values."""
    return values[min(len(values) - 1, len(values) * percent // 100)]


# --- 3: many small jobs ---


def many_jobs(count: int, folder: Path) -> bool:
    """Part 3: many small jobs."""
    cores = os.cpu_count() or 1
    with serving(folder / "jobs", workers=cores) as client:
        of = [system(client, TINY | {"seed": seed}) for seed in range(count)]
        began = time.perf_counter()
        for each in of:
            submit(client, each)
        submitted = time.perf_counter() - began
        while left := sum(client.get("/metrics").json()[name] for name in ("queued_jobs", "rendering_jobs")):
            print(f"  {time.perf_counter() - began:5.1f} s: {left} jobs left", flush=True)
            time.sleep(max(1.0, count / 100))
        spent = time.perf_counter() - began
        counts = client.get("/metrics").json()
    database = folder / "jobs" / "motes.db"
    with sqlite3.connect(database) as connection:
        tasks = connection.execute("SELECT count(*) FROM tasks").fetchone()[0]
        events = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    connection.close()
    failed = counts["failed_jobs"]
    print(f"{count} jobs of 1 s: submitted in {submitted:.1f} s, all done after {spent:.1f} s, {failed} failed")
    print(
        f"  {1000 * spent / count:.0f} ms per job, {1000 * cores * spent / count:.0f} ms of worker time per job, "
        f"{1000 * cores * spent / (3 * count):.0f} ms per task (plan, segment, join; there is no song)"
    )
    print(f"  database: {database.stat().st_size / 1e6:.1f} MB, {tasks} tasks, {events} events")
    return bool(failed == 0)


def goal(reached: bool, what: str) -> str:
    """The verdict on a goal."""
    return f"(goal {what}: {'reached' if reached else 'MISSED'})"


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, nargs="+", default=[1, 2, 3], choices=[1, 2, 3])
    parser.add_argument("--seconds", type=float, default=60.0, help="of the video of part 1")
    parser.add_argument("--rounds", type=int, default=3, help="of part 1")
    parser.add_argument("--requests", type=int, default=500, help="of each kind in part 2")
    parser.add_argument("--jobs", type=int, default=1000, help="of part 3")
    arguments = parser.parse_args()
    parts: dict[int, Callable[[Path], bool]] = {
        1: lambda folder: one_video(arguments.seconds, arguments.rounds, folder),
        2: lambda folder: under_load(arguments.requests, folder),
        3: lambda folder: many_jobs(arguments.jobs, folder),
    }
    with tempfile.TemporaryDirectory() as name:
        good = [parts[part](Path(name)) for part in arguments.parts]
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
