"""Faults again and again: no job may be lost or rendered twice, and every frame must be right.

    python bench/faults.py                                   # 60 faults while 20 jobs are open, some ten minutes
    python bench/faults.py --once --jobs 5 --seed 7          # each kind once
    python bench/faults.py --only "file lost" "disk full"    # these kinds
    python bench/faults.py --redis                           # with a Redis, as when several machines share the work
    python -m tests.services.servers bench/faults.py         # with PostgreSQL and S3 instead of SQLite and a folder

``motes serve`` runs with one worker per core, on the database and the storage that MOTES_DATABASE_URL and
MOTES_STORAGE_URL name; use an empty database and storage that nobody else needs. At random moments one of these
happens:

- a process that renders, a worker, the API, the fork server or Redis is killed; or it is stopped (SIGSTOP) for longer
  than a lease, and then goes on or is killed;
- Redis forgets everything; PostgreSQL ends all connections;
- the clock of a process, or of all, jumps by up to a month in either direction, and later back;
- a file in storage is deleted, or cut to half: a video, a poster, a segment, a plan, a snapshot, a song's analysis;
- the disk with the data and all temporary files is full for some seconds (if this user may mount one in memory);
- with ``tests.services.servers``: PostgreSQL or the object store is stopped for some seconds, or killed and started
  again later.

Each happens once before any happens again, and jobs are submitted so that enough are always open.

In the end each job must have been completed exactly once (again if its video was lost), and its video must contain the
frames of an undisturbed render of the same scene, decoded and compared by hash. The script prints how long each
interrupted task waited until it was begun again, from the end of what interrupted it (goal: 99 % within 20 s): of a
worker that was stopped from the end of its lease, of a process that renders from when it counts as hung. The exit code
is 1 if anything is wrong.

The comparison uses the videos that clients download, because workers keep no hashes of raw frames. It therefore also
detects segments that were encoded, ordered or joined wrongly, but may miss differences too small for the encoder to
keep. tests/ecs_core/rendering/test_same_frames.py and tests/faults/test_processes.py compare raw frames to the last
bit, for any number of processes, any segment length, and after a kill.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from os import environ
from pathlib import Path

import av
from fault_kinds import LEASE, STALL, TASK, FaultKinds, Outage
from redis_process import own_redis
from served import OPEN_JOBS, PATIENCE, Clients, Stack, scene_of, serving
from server_control import Servers
from small_disk import small_disk
from sqlalchemy import select

from ecs_core import Scene, render
from services.cli.demo_song import write_wav
from services.database.models import EventRow

WITHIN = 20.0  # seconds
DISK = 2_000_000_000  # bytes
PLACES = {name: environ[name] for name in ("MOTES_DATABASE_URL", "MOTES_STORAGE_URL") if name in environ}
SETTINGS = {
    "MOTES_LEASE_SECONDS": str(LEASE),
    "MOTES_STALL_SECONDS": str(STALL),
    "MOTES_RESERVE": "0",  # the disk is small
    "MOTES_KEEP_FREE": "0",
}


# --- faults ---


@dataclass
class Faults:
    """Causes random faults, and measures how soon interrupted tasks are begun again."""

    stack: Stack
    chance: random.Random
    kinds: Mapping[str, Callable[[], Outage | None]]
    caused: Counter[str] = field(default_factory=Counter)
    lost: dict[TASK, Outage] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)
    due: list[str] = field(default_factory=list)  # kinds that must happen before any kind repeats
    shared: list[Outage] = field(default_factory=list)

    def strike(self) -> None:
        """Cause the first due fault that is possible now."""
        self.due = self.due or self.chance.sample(sorted(self.kinds), len(self.kinds))
        for kind in self.due:
            if (outage := self.kinds[kind]()) is not None:
                self.caused[kind] += 1
                self.due.remove(kind)
                self._note(outage)
                return

    def _note(self, outage: Outage) -> None:
        if outage.shared:
            self.shared.append(outage)
        for task in outage.held:
            if task not in self.lost or not self.lost[task].kills:  # it may have gone on after an earlier one
                self.lost[task] = outage

    def _over(self, outage: Outage) -> float | None:
        """Since when tasks that it interrupted could be begun again; None if they still cannot."""
        ends = [outage.over, *(each.over for each in self.shared)]
        known = [end for end in ends if end is not None]
        return max(known) if len(known) == len(ends) else None

    def look(self) -> None:
        """Note which tasks were begun again. A task whose attempt went on or had finished was not interrupted."""
        if not self.lost:
            return
        tasks = {task: rest for task, *rest in self.stack.rows("SELECT id, attempt, status FROM tasks")}
        now = time.monotonic()
        for (task, before), outage in list(self.lost.items()):
            since = self._over(outage)
            attempt, status = tasks.get(task, (before, "gone"))
            if attempt > before and status in ("running", "done"):
                self.waited.append(0.0 if since is None else max(0.0, now - since))
            elif attempt == before and status == "running":
                if outage.kills or since is None or now - since < 2 * WITHIN:
                    continue
            elif status == "ready":
                continue
            del self.lost[task, before]


# --- checks at the end ---


def frames_of(path: Path) -> list[str]:
    """The hash of each decoded frame."""
    with av.open(str(path)) as video:
        return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in video.decode(video=0)]


def wrong_with(clients: Clients, stack: Stack, song: Path, folder: Path) -> list[str]:
    """Everything that is wrong, one line each."""
    found = [] if clients.done_well else ["the clients gave up"]
    completed = select(EventRow.job_id).where(EventRow.data["status"].as_string() == "completed")
    completions = Counter(job for (job,) in stack.rows(completed))
    remade = dict(stack.rows("SELECT id, remade FROM jobs"))
    reasons = dict(stack.rows("SELECT id, coalesce(error, status) FROM jobs"))
    for job, number in sorted(clients.jobs.items(), key=lambda item: item[1]):
        if not 1 <= completions[job] <= 1 + remade.get(job, 0):
            found.append(f"job {number} was completed {completions[job]} times ({reasons.get(job, 'lost')})")
            continue
        video, alone = folder / "video.mp4", folder / "alone.mp4"
        video.write_bytes(clients.ask("GET", f"/download/{job}").content)
        kind, config = scene_of(number)
        render(Scene(kind, song if number % 2 else None, config), alone)
        if frames_of(video) != frames_of(alone):
            found.append(f"job {number} does not have the frames of an undisturbed render")
    if len(stack.rows("SELECT 1 FROM jobs WHERE kind = 'video'")) != len(clients.jobs):
        found.append("there are jobs that nobody submitted")
    return found


def report(waited: Sequence[float]) -> bool:
    """Print how long interrupted tasks waited; whether the goal is reached."""
    print(f"{len(waited)} tasks were interrupted and begun again; seconds after the interruption had ended:")
    if not waited:
        return True
    at = {share: waited[min(len(waited) - 1, int(len(waited) * share))] for share in (0.0, 0.5, 0.9, 0.99, 1.0)}
    print("  " + ", ".join(f"{share:.0%} {value:.1f}" for share, value in at.items()))
    for low, high in ((0, 1), (1, 2), (2, 5), (5, 10), (10, 15), (15, 20), (20, 1e9)):
        count = sum(low <= value < high for value in waited)
        print(f"  {low:2d}–{high if high < 1e9 else '…'} s: {'#' * min(count, 80)} {count}")
    return at[0.99] <= WITHIN


def main() -> None:
    """Cause faults, wait for the jobs, and check the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--once", action="store_true", help="each kind once, rather than a number of faults")
    parser.add_argument("--only", nargs="+", metavar="KIND", help="only these kinds")
    parser.add_argument("--jobs", type=int, default=20, help="open jobs while faults happen")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--redis", action="store_true", help="with a Redis, which suffers, too")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        song, data, clocks = folder / "song.wav", folder / "data", folder / "clocks"
        write_wav(song, 10.0)
        data.mkdir()
        clocks.mkdir()
        if (disk := held.enter_context(small_disk(data, DISK))) is None:
            print("no disk is filled: only root may mount a small one")
        (data / "tmp").mkdir()  # what killed workers leave behind goes with the folder
        own = held.enter_context(own_redis(folder, wanted=arguments.redis))
        environment = {"TMPDIR": str(data / "tmp"), **SETTINGS, **PLACES}
        with serving(data, own, clocks=clocks, **environment) as stack:
            if stack.rows("SELECT 1 FROM jobs"):
                raise SystemExit("MOTES_DATABASE_URL: this database has jobs; use an empty one")
            kinds = FaultKinds(stack, chance, clocks=clocks, disk=disk, servers=Servers.given())
            known = kinds.all()
            if unknown := set(arguments.only or ()) - known.keys():
                raise SystemExit(f"--only: {', '.join(sorted(unknown))}: the kinds are {', '.join(known)}")
            chosen = {name: do for name, do in known.items() if not arguments.only or name in arguments.only}
            clients = Clients(stack, song, arguments.jobs, download=random.Random(arguments.seed))
            faults = Faults(stack, chance, chosen)
            cause(faults, clients, len(chosen) if arguments.once else arguments.faults, arguments.jobs)
            kinds.finish()
            print(f"{len(clients.jobs)} jobs, {faults.caused.total()} faults:", flush=True)
            for kind in chosen:
                print(f"  {kind:22} {faults.caused[kind]:4d}", flush=True)
            end = time.monotonic() + PATIENCE
            while stack.rows(OPEN_JOBS)[0][0] and time.monotonic() < end:
                faults.look()
                time.sleep(0.05)
            wrong = wrong_with(clients, stack, song, folder)
        said = [line for line in (folder / "serve.log").open() if '"level": "info"' not in line]
    soon = report(sorted(faults.waited))
    if wrong:
        sys.stderr.writelines(said)
    for each in wrong:
        print(f"WRONG: {each}")
    print(f"99 % were begun again within {WITHIN:g} s: {soon}")
    print(f"every job completed once, every frame as in an undisturbed render: {not wrong}")
    raise SystemExit(0 if soon and not wrong else 1)


def cause(faults: Faults, clients: Clients, count: int, jobs: int) -> None:
    """Cause so many faults while clients keep so many jobs open."""
    submitting = threading.Thread(target=clients.run)
    submitting.start()
    while len(clients.jobs) < jobs and submitting.is_alive():
        time.sleep(0.05)
    strike_at = time.monotonic()
    while faults.caused.total() < count and submitting.is_alive():
        faults.look()
        if time.monotonic() >= strike_at:
            faults.strike()
            strike_at = time.monotonic() + faults.chance.uniform(0.3, 2.5)
        time.sleep(0.05)
    clients.done.set()
    submitting.join()


if __name__ == "__main__":
    main()
