"""Processes are killed and stopped, Redis forgets, disks fill up: no job is lost, and nothing is left behind."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from ecs_core import Scene, render
from tests.fork_server import ForkServer
from tests.media import noise, write_song
from tests.services.stack.api_calls import SMALL, create, rendered, submit
from tests.services.stack.conftest import Stack, forked, running_stack, until

pytestmark = pytest.mark.debian("redis-server")

VIDEO = {"width": 320, "height": 180, "duration": 6.0, "particle_count": 300}
HEAVY = {"width": 640, "height": 360, "duration": 6.0, "particle_count": 20000}  # half a second a segment
LEASE = 3.0  # seconds
LONG = {"width": 640, "height": 360, "duration": 120.0, "particle_count": 1000}


def pictures(path: Path) -> list[str]:
    """Every frame of a video as a client gets it, decoded; see ``bench/faults.py`` for what that does not show."""
    with av.open(str(path)) as container:
        return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in container.decode(video=0)]


def sound_of(path: Path) -> list[tuple[int | None, bytes]]:
    """Every packet of the sound of a video."""
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0)]


def downloaded(stack: Stack, job: str, folder: Path) -> list[str]:
    """The frames of a job's video, when it is there."""
    assert stack.wait_for(job, "completed", "failed")["status"] == "completed"
    (folder / "service.mp4").write_bytes(stack.client.get(f"/download/{job}").content)
    return pictures(folder / "service.mp4")


def signals_deferred(config: dict[str, Any], folder: Path) -> list[str]:
    """The frames as the engine renders them."""
    render(Scene("enhanced", config=config), folder / "engine.mp4")
    return pictures(folder / "engine.mp4")


def tasks(stack: Stack, job: str, **wanted: Any) -> list[dict[str, Any]]:
    """The tasks of a job, those that are as wanted."""
    found = stack.rows("SELECT * FROM tasks WHERE job_id = :job ORDER BY kind, number", job=job)
    return [dict(row) for row in found if all(row[name] == value for name, value in wanted.items())]


def scene_of(stack: Stack, job: str) -> str:
    return str(stack.rows("SELECT scene_key FROM jobs WHERE id = :job", job=job)[0]["scene_key"])


def videos(stack: Stack, job: str) -> list[str]:
    """The segments and videos of a job that are in storage."""
    return [key for key in stack.files(f"scenes/{scene_of(stack, job)}") if key.endswith(".mp4")]


def recorded_videos(stack: Stack, job: str) -> list[str]:
    """The segments and videos of a job that are recorded in the database."""
    key = f"scenes/{scene_of(stack, job)}/%"  # its poster and what is needed to render it are there, too
    rows = stack.rows("SELECT object FROM artefacts WHERE key LIKE :key AND object LIKE '%.mp4'", key=key)
    return sorted(row["object"] for row in rows)


def half_done(stack: Stack) -> list[Path]:
    """Unfinished files."""
    return [path for path in stack.scratch.rglob("*") if path.is_file() and path.suffix != ".lock"]


@contextlib.contextmanager
def another_worker(stack: Stack, name: str = "second", size: int = 2) -> Iterator[None]:
    stack.start_worker(name, size)
    try:
        yield
    finally:
        if name in stack.processes:
            stack.stop(name)


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def moving(pid: int) -> bool:
    """Whether a thread of a process that was told to stop has not yet."""
    try:
        threads = [stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return False
    return any(state not in "TXZ" for state in threads)


def stop_between_transactions(stack: Stack, pids: list[int]) -> None:
    """Stop processes that the test started. Of one that is stopped while it writes SQLite keeps the lock, rightly."""
    while True:
        send(pids, signal.SIGSTOP)
        until(lambda: not any(map(moving, pids)), stack)  # who is about to get the lock gets it first
        with contextlib.closing(sqlite3.connect(stack.database.partition("///")[2], timeout=0)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                send(pids, signal.SIGCONT)
                time.sleep(0.02)


@pytest.mark.campaign
class TestStalledWorker:
    @pytest.fixture(scope="class")
    @staticmethod
    def stack(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, _redis: None) -> Iterator[Stack]:
        """One with short leases."""
        with running_stack(tmp_path_factory.mktemp("stalled"), forks, MOTES_LEASE_SECONDS=f"{LEASE:g}") as stack:
            yield stack

    def test_its_late_results_are_refused_and_their_files_removed(self, stack: Stack, tmp_path: Path) -> None:
        config = HEAVY | {"width": 1920, "height": 1080, "duration": 3.0, "seed": 1}
        job = submit(stack, create(stack, **config))
        until(lambda: [path for path in half_done(stack) if "segment" in path.name], stack)
        stalled = stack.processes["worker"]
        stop_between_transactions(stack, [stalled.pid])
        try:
            # Its render processes go on without it, and finish.
            until(lambda: set(videos(stack, job)) - set(recorded_videos(stack, job)), stack)
            with another_worker(stack):
                frames = downloaded(stack, job, tmp_path)
                late = sorted(set(videos(stack, job)) - set(recorded_videos(stack, job)))
                assert late
                assert {key.split(".")[-2] for key in late} == {"1"}
                stalled.send_signal(signal.SIGCONT)
                until(lambda: videos(stack, job) == recorded_videos(stack, job), stack)
        finally:
            stalled.send_signal(signal.SIGCONT)
        assert frames == signals_deferred(config, tmp_path)
        assert max(task["losses"] for task in tasks(stack, job)) >= 1
        until(lambda: not half_done(stack), stack)
        assert "Traceback" not in stack.log("worker")

    def test_with_its_render_processes(self, stack: Stack, tmp_path: Path) -> None:
        config = VIDEO | {"seed": 2}
        job = submit(stack, create(stack, **config))
        until(lambda: stack.children() and tasks(stack, job, kind="segment", status="running"), stack)
        stopped = [stack.processes["worker"].pid, *forked(stack.processes["worker"].pid), *stack.children()]
        stop_between_transactions(stack, stopped)
        try:
            with another_worker(stack):
                assert downloaded(stack, job, tmp_path) == signals_deferred(config, tmp_path)
        finally:
            send(stopped, signal.SIGCONT)
        until(lambda: not stack.children() and not half_done(stack), stack)
        until(lambda: videos(stack, job) == recorded_videos(stack, job), stack)

    def test_resumes_when_continued(self, stack: Stack) -> None:
        stop_between_transactions(stack, [stack.processes["worker"].pid])
        time.sleep(LEASE + 1)
        stack.processes["worker"].send_signal(signal.SIGCONT)
        rendered(stack, create(stack, **SMALL, seed=3))


class TestRedis:
    @pytest.mark.campaign
    def test_loses_its_data_while_jobs_are_queued(self, stack: Stack) -> None:
        stack.stop("worker")
        jobs = [submit(stack, create(stack, **SMALL, seed=100 + number)) for number in range(6)]
        with stack.redis() as redis:
            until(lambda: redis.keys("arq:job:*"), stack)
            redis.flushall()
        stack.start_worker()
        for job in jobs:
            assert stack.wait_for(job, "completed", "failed")["status"] == "completed"

    @pytest.mark.campaign
    def test_loses_its_data_repeatedly_while_jobs_are_rendered(self, stack: Stack, tmp_path: Path) -> None:
        config = VIDEO | {"seed": 4}
        job = submit(stack, create(stack, **config))
        with stack.redis() as redis:
            while stack.client.get(f"/jobs/{job}").json()["status"] in ("queued", "rendering"):
                redis.flushall()
                time.sleep(0.1)
        assert len(downloaded(stack, job, tmp_path)) == 180

    def test_is_killed_and_restarted(self, stack: Stack, tmp_path: Path) -> None:
        config = VIDEO | {"seed": 5}
        job = submit(stack, create(stack, **config))
        until(lambda: tasks(stack, job, kind="segment", status="running"), stack)
        stack.stop("redis", signal.SIGKILL)
        without = rendered(stack, create(stack, **SMALL, seed=6))  # workers look for work themselves
        assert len(downloaded(stack, job, tmp_path)) == 180
        stack.start_redis()
        assert without != rendered(stack, create(stack, **SMALL, seed=7))

    @pytest.mark.campaign
    def test_hangs(self, stack: Stack) -> None:
        stack.processes["redis"].send_signal(signal.SIGSTOP)
        try:
            rendered(stack, create(stack, **SMALL, seed=8))
        finally:
            stack.processes["redis"].send_signal(signal.SIGCONT)
        rendered(stack, create(stack, **SMALL, seed=9))

    @pytest.mark.campaign
    def test_is_down_when_a_worker_starts(self, stack: Stack) -> None:
        stack.stop("worker")
        stack.stop("redis")
        stack.start_worker()
        rendered(stack, create(stack, **SMALL, seed=10))
        stack.start_redis()
        rendered(stack, create(stack, **SMALL, seed=11))


@pytest.mark.campaign
def test_killed_api_restarts_with_all_jobs(stack: Stack, tmp_path: Path) -> None:
    config = VIDEO | {"seed": 12}
    system = create(stack, **config)
    done, job = rendered(stack, create(stack, **SMALL, seed=13)), submit(stack, system)
    queued = submit(stack, create(stack, **SMALL, seed=14))
    stack.wait_for(job, "rendering", "completed")
    before = stack.client.get(f"/systems/{system}").json()
    stack.stop("api", signal.SIGKILL)
    stack.start_api()
    assert stack.client.get(f"/systems/{system}").json() == before
    assert stack.client.get(f"/jobs/{done}").json()["status"] == "completed"
    assert stack.client.get(f"/download/{done}").status_code == 200
    assert stack.wait_for(queued, "completed", "failed")["status"] == "completed"
    assert len(downloaded(stack, job, tmp_path)) == 180


@pytest.mark.parametrize("number", [5, pytest.param(30, marks=pytest.mark.campaign)])
def test_jobs_cancelled_at_random_leave_no_processes_or_files(stack: Stack, number: int) -> None:
    moments = random.Random(number)
    for seed in range(1000, 1000 + number):
        job = submit(stack, create(stack, **LONG, seed=seed))
        time.sleep(moments.uniform(0.0, 0.6))
        assert stack.client.post(f"/jobs/{job}/cancel").status_code == 200
        until(lambda: not stack.children() and not half_done(stack), stack)
        assert videos(stack, job) == recorded_videos(stack, job)
        assert stack.client.get(f"/jobs/{job}").json()["status"] == "cancelled"
    rendered(stack, create(stack, **SMALL, seed=15))


class TestWorkerShutdown:
    def test_releases_running_tasks_at_once(self, stack: Stack, tmp_path: Path) -> None:
        config = HEAVY | {"seed": 16}
        job = submit(stack, create(stack, **config))
        until(lambda: tasks(stack, job, kind="segment", status="running"), stack)
        stack.stop("worker", signal.SIGTERM)
        assert tasks(stack, job, status="running") == []
        left = tasks(stack, job)
        assert {(row["deaths"], row["losses"]) for row in left} == {(0, 0)}
        assert any(row["attempt"] == 2 for row in left)
        assert list(stack.scratch.glob("*worker*")) == []
        assert videos(stack, job) == recorded_videos(stack, job)
        stack.start_worker()
        assert len(downloaded(stack, job, tmp_path)) == 180

    @pytest.mark.campaign
    def test_repeatedly_fails_no_job(self, stack: Stack) -> None:
        job = submit(stack, create(stack, **HEAVY | {"duration": 4.0}, seed=17))
        for _ in range(4):
            until(lambda: tasks(stack, job, status="running") or tasks(stack, job, kind="join", status="done"), stack)
            stack.stop("worker", signal.SIGTERM)
            stack.start_worker()
        assert stack.wait_for(job, "completed", "failed")["status"] == "completed"
        assert {row["deaths"] for row in tasks(stack, job)} == {0}


class TestKilledProcesses:
    def test_three_times_fails_only_that_job_with_the_reason(self, stack: Stack, tmp_path: Path) -> None:
        stack.stop("worker")
        config = VIDEO | {"seed": 18}
        with another_worker(stack, "first", 1), another_worker(stack, "second", 1):
            bad = submit(stack, create(stack, **HEAVY, seed=19))
            good = submit(stack, create(stack, **config))
            killed: set[int] = set()
            while stack.client.get(f"/jobs/{bad}").json()["status"] in ("queued", "rendering"):
                for task in tasks(stack, bad, status="running"):
                    for child in set(stack.children(task["worker"].split(":")[1])) - killed:
                        # It may be of the other job by now: then that has one death, which is no failure.
                        os.kill(child, signal.SIGKILL)
                        killed.add(child)
            found = stack.client.get(f"/jobs/{bad}").json()
            assert found["status"] == "failed"
            assert ": its process died " in found["error"]
            assert found["error"].endswith(" died 3 times (killed, or out of memory)")
            assert downloaded(stack, good, tmp_path) == signals_deferred(config, tmp_path)
            until(lambda: not half_done(stack), stack)
            assert videos(stack, bad) == recorded_videos(stack, bad)
        stack.start_worker()

    @pytest.mark.campaign
    def test_fork_server_is_replaced_and_its_children_continue(self, stack: Stack, tmp_path: Path) -> None:
        configs = [VIDEO | {"seed": seed} for seed in (20, 420, 820)]
        jobs = []
        for config in configs:
            jobs.append(submit(stack, create(stack, **config)))  # for which it must fork
            until(
                lambda: not tasks(stack, jobs[-1], kind="plan", status="ready"), stack
            )  # a worker that starts has others
            [server] = until(lambda: forked(stack.processes["worker"].pid), stack)
            os.kill(server, signal.SIGKILL)
            until(lambda gone=server: gone not in forked(stack.processes["worker"].pid), stack)
        for job, config in zip(jobs, configs, strict=True):
            assert downloaded(stack, job, tmp_path) == signals_deferred(config, tmp_path)

    def test_worker_that_is_killed_while_it_makes_the_sound_loses_nothing(self, stack: Stack, tmp_path: Path) -> None:
        song = write_song(tmp_path / "song.wav", noise(60.0, rate=44_100))
        config = {"width": 64, "height": 36, "fps": 10, "duration": "audio", "particle_count": 10}
        audio = stack.client.post("/audio", files={"file": ("song.wav", song.read_bytes())}).json()["audio_path"]
        system = create(stack, **config)
        stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": audio}).raise_for_status()
        job = submit(stack, system)
        until(lambda: tasks(stack, job, kind="sound", status="running"), stack)
        stack.stop("worker", signal.SIGKILL)
        stack.start_worker()
        frames = downloaded(stack, job, tmp_path)
        [sound] = tasks(stack, job, kind="sound")
        assert (sound["attempt"], sound["losses"], sound["deaths"]) == (2, 1, 0)
        render(Scene("enhanced", song, config), tmp_path / "engine.mp4")
        assert frames == pictures(tmp_path / "engine.mp4")
        assert sound_of(tmp_path / "service.mp4") == sound_of(tmp_path / "engine.mp4")

    def test_killed_worker_loses_nothing_and_the_next_removes_its_folder(self, stack: Stack, tmp_path: Path) -> None:
        config = HEAVY | {"seed": 21, "duration": 3.0}
        job = submit(stack, create(stack, **config))
        until(lambda: half_done(stack), stack)
        before = set(stack.scratch.glob("*worker*"))
        stack.stop("worker", signal.SIGKILL)
        stack.start_worker()
        until(lambda: not before & set(stack.scratch.glob("*worker*")), stack)
        assert len(downloaded(stack, job, tmp_path)) == 90


@pytest.mark.usefixtures("_redis")
class TestFullDisk:
    """Jobs wait for space, report that they wait, and then produce correct videos."""

    @pytest.mark.parametrize(
        "stages",
        [
            pytest.param(["joining"], id="joining"),
            pytest.param(["analysing", "rendering", "joining early", "joining"], marks=pytest.mark.campaign, id="all"),
        ],
    )
    def test_job_waits_while_the_disk_is_full(
        self, small_disk: Path, tmp_path: Path, forks: ForkServer, stages: list[str]
    ) -> None:
        (tmp_path / "stack").mkdir()
        places = {"MOTES_STORAGE_URL": f"file://{small_disk / 'storage'}", "MOTES_RESERVE": "0"}
        with running_stack(tmp_path / "stack", forks, **places) as stack:
            config = VIDEO | {"seed": 30}
            system = create(stack, **config)
            right = signals_deferred(config, tmp_path)
            rendered(stack, system)
            plan, segments, video = self.sizes(small_disk)
            room = {
                "analysing": 0.0,
                "rendering": plan + 0.5 * segments,
                "joining early": plan + segments + 0.2 * video,
                "joining": plan + segments + 0.9 * video,
            }
            for stage in stages:
                for done in stack.client.get("/jobs").json():
                    stack.client.delete(f"/jobs/{done['job_id']}")
                filler = self.fill(small_disk, room[stage])
                job = submit(stack, system)
                waiting = self.wait_for_the_reason(stack, job)
                assert (waiting["status"], waiting["stage"]) == ("rendering", stage.split()[0])
                until(lambda: not list((small_disk / "storage" / ".scratch").rglob("*.mp4")), stack)
                filler.unlink()
                assert downloaded(stack, job, tmp_path) == right
                assert stack.client.get(f"/jobs/{job}").json()["error"] is None

    @staticmethod
    def sizes(disk: Path) -> tuple[int, int, int]:
        """What the plan with its snapshots, the segments, and the video take, in whole pages as this disk has it."""
        found = {"plan": 0, "segments": 0, "video": 0}
        for path in (disk / "storage" / "scenes").rglob("*.*"):
            if path.name.startswith("poster"):  # which comes after the video
                continue
            kind = "video" if path.name.startswith("video") else "segments" if path.suffix == ".mp4" else "plan"
            found[kind] += -(-path.stat().st_size // 4096) * 4096 if path.is_file() else 0
        return found["plan"], found["segments"], found["video"]

    @staticmethod
    def fill(disk: Path, room: float) -> Path:
        """Leave so many bytes free."""
        free = os.statvfs(disk)
        filler = disk / "filler"
        filler.write_bytes(bytes(max(0, int(free.f_bavail * free.f_frsize - room))))
        return filler

    @staticmethod
    def wait_for_the_reason(stack: Stack, job: str) -> dict[str, Any]:
        def full() -> dict[str, Any] | None:
            found: dict[str, Any] = stack.client.get(f"/jobs/{job}").json()
            assert found["status"] in ("queued", "rendering"), found
            return found if found["error"] == "the disk is full; trying again every few seconds" else None

        waiting: dict[str, Any] = until(full, stack)
        return waiting
