"""The queue of one machine: a byte in a pipe wakes one worker, in whichever process it waits."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.jobs import local_queue
from services.jobs.dispatching import Dispatching
from services.jobs.task_queue import is_local, open_monitor, open_queue
from services.jobs.turns import Offer

pytestmark = pytest.mark.anyio
HANG = 60.0  # seconds until a test has failed
OFFER = Offer("task", 1, "v", 0.0, again=False)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"local://{tmp_path}/queue"


async def test_every_task_wakes_a_worker(url: str) -> None:
    async with open_queue(url) as dispatcher, open_queue(url) as worker, asyncio.timeout(HANG):
        for _ in range(20):
            waiting = asyncio.create_task(worker.take(["v"]))
            assert await dispatcher.put(OFFER)
            assert await waiting is None  # the database knows which is next
        assert not worker.carries_tasks()


async def test_earlier_task_wakes_a_new_worker(url: str) -> None:
    async with open_queue(url) as dispatcher:
        await dispatcher.put(OFFER)
        async with open_queue(url) as worker:
            await asyncio.wait_for(worker.take(["v"]), HANG)


async def test_task_wakes_only_one_worker(url: str) -> None:
    async with open_queue(url) as one, open_queue(url) as two:
        waiting = {asyncio.create_task(queue.take(["v"])) for queue in (one, two)}
        await one.put(OFFER)
        done, still = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(still)) == (1, 1)
        await one.put(OFFER)
        await asyncio.wait_for(still.pop(), HANG)


async def test_full_pipe_does_not_block(url: str) -> None:
    async with open_queue(url) as queue:
        for _ in range(70_000):
            assert await queue.put(OFFER)


async def test_dispatcher_is_called_and_speaks(url: str, tmp_path: Path) -> None:
    async with open_queue(url) as one, open_queue(url) as two:
        for _ in range(3):
            await one.call()
        await asyncio.wait_for(two.called(2 * HANG), HANG)
        await two.called(0.01)  # three calls are one
        assert await one.heartbeat("one") is None
        said = Dispatching("two", "0001")
        await two.announce(said)
        assert await one.heartbeat("one") == said
        os.utime(tmp_path / "queue/dispatcher", (0, 0))
        assert await one.heartbeat("one") is None
        await two.announce(None)
        assert await one.heartbeat("one") is None


async def test_worker_in_another_process_is_woken(url: str) -> None:
    script = """
import asyncio, sys
from services.jobs.task_queue import open_queue
async def main():
    async with open_queue(sys.argv[1]) as queue:
        print("waiting", flush=True)
        await queue.take(["v"])
        print("woken", flush=True)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "waiting\n"
        async with open_queue(url) as api:
            await api.put(OFFER)
            assert await asyncio.to_thread(worker.stdout.readline) == "woken\n"
        assert await asyncio.to_thread(worker.wait, HANG) == 0


async def test_live_workers_are_counted(url: str, tmp_path: Path) -> None:
    async with open_queue(url) as queue, open_monitor(url) as monitor:
        assert await monitor.is_up()
        assert await monitor.workers() == 0
        for worker in ("host:1", "host:2", "host/3"):
            await queue.heartbeat(worker)
        assert await monitor.workers() == 3
        await queue.unregister("host:1")
        await queue.unregister("host:1")
        [dead] = (tmp_path / "queue/workers").glob("*2")
        os.utime(dead, (0, 0))
        assert await monitor.workers() == 1


async def test_clock_that_is_set_makes_no_worker_dead_or_alive(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = time.time
    async with open_queue(url) as queue, open_monitor(url) as monitor:
        await queue.heartbeat("host:1")
        for wrong in (3600.0, -3600.0):
            monkeypatch.setattr(time, "time", lambda wrong=wrong: right() + wrong)
            assert await monitor.workers() == 1
        alive = local_queue.uptime() + 16
        monkeypatch.setattr(local_queue, "uptime", lambda: alive)
        assert await monitor.workers() == 0


async def test_mean_is_over_the_latest_durations(url: str, tmp_path: Path) -> None:
    async with open_queue(url) as queue, open_monitor(url) as monitor:
        assert await monitor.mean_durations(["plan", "segment"]) == {}
        for _ in range(9_000):  # more than are kept
            await queue.record_duration("segment", 8.0)
        for _ in range(100):
            await queue.record_duration("segment", 2.0)
        assert await monitor.mean_durations(["plan", "segment"]) == {"segment": 2.0}
    assert sum(path.stat().st_size for path in (tmp_path / "queue").glob("durations-*")) < 1 << 17


def test_only_local_urls_are_local() -> None:
    assert is_local("local:///tmp/queue")
    assert not any(map(is_local, ("redis://queue/0", "unix:///run/redis")))
