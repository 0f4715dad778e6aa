"""The queue of one machine: a byte in a pipe wakes one worker, in whichever process it waits."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.jobs import local_queue
from services.jobs.local_queue import LocalQueue
from services.jobs.task_queue import is_local, open_monitor, open_queue

pytestmark = pytest.mark.anyio
HANG = 60.0  # seconds until a test has failed


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"local://{tmp_path}/queue"


async def test_every_task_wakes_a_worker(url: str) -> None:
    woken = asyncio.Semaphore(0)

    async def work() -> None:
        woken.release()

    async with open_queue(url) as api, open_queue(url) as worker:
        consuming = asyncio.create_task(worker.consume(work, size=1))
        async with asyncio.timeout(HANG):
            for number in range(20):
                assert await api.enqueue(f"task-{number}", 1)
                await woken.acquire()
        consuming.cancel()


async def test_earlier_task_wakes_a_new_worker(url: str) -> None:
    woken = asyncio.Event()

    async def work() -> None:
        woken.set()

    async with open_queue(url) as api:
        await api.enqueue("task", 1)
        async with open_queue(url) as worker:
            consuming = asyncio.create_task(worker.consume(work, size=1))
            await asyncio.wait_for(woken.wait(), HANG)
            consuming.cancel()


async def test_two_tasks_wake_two_workers_while_both_are_busy(url: str) -> None:
    """A worker without a free slot reads no byte from the pipe."""
    busy: set[int] = set()
    both, done = asyncio.Event(), asyncio.Event()

    def work(worker: int) -> Callable[[], asyncio.Future[None]]:
        async def working() -> None:
            assert worker not in busy
            busy.add(worker)
            if len(busy) == 2:
                both.set()
            await done.wait()

        return lambda: asyncio.ensure_future(working())

    async with AsyncExitStack() as stack:
        queues = [await stack.enter_async_context(open_queue(url)) for _ in range(2)]
        consuming = [asyncio.create_task(queue.consume(work(number), size=1)) for number, queue in enumerate(queues)]
        await queues[0].enqueue("one", 1)
        await queues[0].enqueue("two", 1)
        await asyncio.wait_for(both.wait(), HANG)
        for task in consuming:
            task.cancel()


async def test_running_task_is_cancelled_with_its_consumer(url: str) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with open_queue(url) as queue:
        consuming = asyncio.create_task(queue.consume(work, size=1))
        await queue.enqueue("task", 1)
        await asyncio.wait_for(began.wait(), HANG)
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)
    assert cancelled.is_set()


async def test_failed_worker_is_woken_again(url: str) -> None:
    calls = asyncio.Semaphore(0)

    async def work() -> None:
        calls.release()
        raise RuntimeError("strange")

    async with open_queue(url) as queue:
        consuming = asyncio.create_task(queue.consume(work, size=1))
        async with asyncio.timeout(HANG):
            for _ in range(2):
                await queue.enqueue("task", 1)
                await calls.acquire()
        assert not consuming.done()
        consuming.cancel()


async def test_full_pipe_does_not_block(url: str) -> None:
    async with open_queue(url) as queue:
        for number in range(70_000):
            assert await queue.enqueue(f"{number}", 1)


async def test_worker_in_another_process_is_woken(url: str) -> None:
    script = """
import asyncio, sys
from services.jobs.task_queue import open_queue
async def main():
    woken = asyncio.Event()
    async def work():
        woken.set()
    async with open_queue(sys.argv[1]) as queue:
        consuming = asyncio.create_task(queue.consume(work, size=1))
        print("waiting", flush=True)
        await woken.wait()
        print("woken", flush=True)
        consuming.cancel()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "waiting\n"
        async with open_queue(url) as api:
            await api.enqueue("task", 1)
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


async def test_ticks_come_at_multiples_of_their_interval(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def do() -> None:
        raise StopAsyncIteration

    monkeypatch.setattr("services.jobs.local_queue.uptime", lambda: 999_999.0)
    monkeypatch.setattr("services.jobs.local_queue.asyncio.sleep", sleep)
    async with LocalQueue.open(url) as queue:
        with pytest.raises(StopAsyncIteration):
            await queue.run_periodically(do, every=60)
    assert waited == [21.0]  # until 1 000 020, the next minute


def test_only_local_urls_are_local() -> None:
    assert is_local("local:///tmp/queue")
    assert not any(map(is_local, ("redis://queue/0", "unix:///run/redis")))
