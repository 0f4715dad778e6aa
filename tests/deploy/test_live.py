"""A real Prometheus watches a real stack: every panel and rule is answered, and faults make alerts fire."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import pytest
from websockets.sync.client import connect

from services.storage.object_keys import audio_key
from tests.deploy.live import FULL, Watching, every_part, faster, watched
from tests.deploy.observing import expressions, rules
from tests.disk import disk_of
from tests.fork_server import HANG, ForkServer
from tests.service import reserved_port
from tests.services.stack.api_calls import SMALL, create, submit
from tests.services.stack.conftest import Stack, running_stack, until
from tests.services.webhooks.test_delivery import receiver

pytestmark = [pytest.mark.debian("prometheus"), pytest.mark.campaign]

DISK = 256_000_000  # bytes
STUCK = 3  # tasks
HELD = "SELECT id, kind FROM tasks WHERE status = 'running' AND worker LIKE '%second'"
HEAVY = {"width": 640, "height": 360, "duration": 30.0, "particle_count": 10000}
# What is not answered in the first test, and why.
NOT_YET = {
    "overview / Alerts / A": "nothing is wrong yet; asked for at the end",
    "api / Refused by limits, per minute / A": "nobody is refused here; tests/services/api/test_limits.py counts it",
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of its own, small enough to be filled."""
    with disk_of(DISK, tmp_path_factory.mktemp("disk")) as disk:
        yield disk


@pytest.fixture(scope="module")
def observed(
    tmp_path_factory: pytest.TempPathFactory, disk: Path, forks: ForkServer
) -> Iterator[tuple[Stack, Watching]]:
    """A stack with two workers, and a Prometheus that watches it."""
    folder, ports = tmp_path_factory.mktemp("observed"), [reserved_port(), reserved_port()]
    settings = {"MOTES_STORAGE_URL": f"file://{disk / 'storage'}", "MOTES_METRICS_PORT": str(ports[0])}
    settings |= {"MOTES_RESERVE": str(FULL // 2), "MOTES_KEEP_FREE": "0"}  # of a disk as small as that
    settings["MOTES_LEASE_SECONDS"] = "5"  # no worker is late by as much as that, however busy the machine
    with running_stack(folder, forks, **settings) as stack:
        stack.environment["MOTES_METRICS_PORT"] = str(ports[1])
        stack.start_worker("second", STUCK)
        with watched(stack, folder, ports) as watching:
            yield stack, watching


@contextmanager
def going_on(what: Callable[[int], object], every: float) -> Iterator[None]:
    """Do something again and again, in a thread, until the end of the context."""
    over, failures = threading.Event(), []

    def do() -> None:
        number = 0
        while not over.wait(every):
            try:
                what(number)
            except Exception as failure:
                failures.append(failure)
                return
            number += 1

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failures, failures


def clients(stack: Stack, closing: ExitStack, song: Path) -> None:
    """What clients do: upload, render, look, listen, delete; until the context ends."""
    audio = stack.client.post("/audio", files={"file": song.read_bytes()}).raise_for_status().json()["audio_path"]
    system = create(stack, **SMALL)
    stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": audio}).raise_for_status()
    receiving, broken = closing.enter_context(receiver()), closing.enter_context(receiver(500))
    host = f"127.0.0.1:{stack.client.base_url.port}"
    closing.enter_context(connect(f"ws://{host}/particles/ws/{system}", proxy=None, ping_interval=None))
    slow = submit(stack, create(stack, **SMALL | {"duration": 60.0}, seed=1))
    closing.callback(lambda: stack.client.post(f"/jobs/{slow}/cancel"))
    closing.enter_context(stack.client.stream("GET", f"/jobs/{slow}/events"))

    def again(number: int) -> None:
        job = submit(stack, create(stack, "snow", **SMALL, seed=number), webhook_url=receiving.url)
        submit(stack, system, seed=number, webhook_url=broken.url if number == 0 else receiving.url)
        stack.client.get(f"/systems/{system}/frame", params={"t": number / 10}).raise_for_status()
        stack.client.post("/audio", files={"file": song.read_bytes()}).raise_for_status()
        stack.client.get("/jobs").raise_for_status()
        stack.wait_for(job, "completed", "failed")
        stack.client.delete(f"/jobs/{job}").raise_for_status()

    closing.enter_context(going_on(again, 0.5))


def expressions_by_owner() -> dict[str, list[str]]:
    """The queries of every panel and rule expression, by the name of the panel or rule."""
    alerting = {rule["alert"] for rule in rules() if "alert" in rule}
    asked = {}
    for name, expression in expressions():
        quick = faster(expression)
        asked[name] = every_part(quick) if name in alerting else [quick]
    for rule in rules():
        if "record" in rule:
            labels = ",".join(f'{label}="{value}"' for label, value in rule.get("labels", {}).items())
            asked[f"recorded {rule['record']} {labels}"] = [f"{rule['record']}{{{labels}}}"]
    return asked


def test_every_panel_and_rule_expression_has_results(observed: tuple[Stack, Watching], demo_song: Path) -> None:
    stack, watching = observed
    left = {name: parts for name, parts in expressions_by_owner().items() if name not in NOT_YET}
    end = time.monotonic() + HANG
    with ExitStack() as closing:
        clients(stack, closing, demo_song)
        while left and time.monotonic() < end:
            time.sleep(1)
            asked = {name: [part for part in parts if not watching.ask(part)] for name, parts in left.items()}
            left = {name: unanswered for name, unanswered in asked.items() if unanswered}
    assert not left


def test_alerts_fire_when_their_fault_is_caused(observed: tuple[Stack, Watching], disk: Path, demo_song: Path) -> None:
    stack, watching = observed
    # Under the load of the test before this one the queue may not have drained for a while.
    until(lambda: watching.firing("3s") <= {"MotesLeaseStuck"}, stack)
    began, before = time.monotonic(), watching.firing("3s")

    def fired(*names: str) -> None:
        """Wait until these alerts have fired, which they did not before."""
        assert not before & set(names) - {"MotesLeaseStuck"}  # whoever needs longer than a window for its first task
        until(lambda: set(names) <= watching.firing(f"{1 + time.monotonic() - began:.0f}s"), stack, names=names)

    with ExitStack() as closing:
        # Processes that render hang, and do not know it.
        hang(stack, submit(stack, create(stack, **HEAVY, seed=2)))

        # Songs are damaged where they are stored, and clients ask again and again; a receiver does not answer.
        broken = closing.enter_context(receiver(500))
        fine = create(stack, **SMALL, seed=3)
        stack.wait_for(submit(stack, fine), "completed")
        damaged = [damaged_song(stack, disk, demo_song.read_bytes() + bytes(2 * number)) for number in range(1, 5)]

        def fail_jobs(number: int) -> None:
            submit(stack, damaged[number % len(damaged)], seed=number, priority="high")

        def call_webhooks(number: int) -> None:
            submit(stack, fine, webhook_url=broken.url)

        def kill_processes(number: int) -> None:
            if number % 10 == 0:
                submit(stack, create(stack, **HEAVY, seed=100 + number))
            stop(stack.children("worker"), signal.SIGKILL)

        # As long as it takes: one of the short windows must hold enough of each.
        with going_on(fail_jobs, 0.5), going_on(call_webhooks, 0.1), going_on(kill_processes, 0.7):
            fired("MotesJobsFailing", "MotesSloFastBurn renders", "MotesWebhooksFailing", "MotesTasksDying")

        # A worker whose disk was slow may have lost its leases: what it takes instead hangs, too.
        def hang_again(number: int) -> None:
            if number % 50 == 0:
                submit(stack, create(stack, **HEAVY, seed=1000 + number))
            stop(stack.children("second"), signal.SIGSTOP)

        with going_on(hang_again, 0.5):
            fired("MotesLeaseStuck")
            until(lambda: len(stack.rows(HELD)) == STUCK, stack)

        # That worker is killed with all that it holds.
        hanging = stack.children("second")
        stack.stop("second", signal.SIGKILL)
        stop(hanging, signal.SIGKILL)
        fired("MotesLeasesLost", "MotesTargetDown")

        # The disk fills up, after which nobody takes a task.
        filling = closing.enter_context((disk / "other").open("wb"))
        closing.callback((disk / "other").unlink)
        closing.enter_context(going_on(lambda _: fill(filling, disk), 0.5))
        fired("MotesDiskFilling", "MotesDiskFull")

    # All workers are killed.
    stack.stop("worker", signal.SIGKILL)
    submit(stack, create(stack, **SMALL, seed=6))
    began = time.monotonic()
    fired("MotesNoWorker", "MotesQueueNotDraining")

    stack.stop("redis", signal.SIGKILL)
    fired("MotesRedisDown")

    stack.stop("api", signal.SIGKILL)
    fired("MotesApiDown")

    assert watching.ask(dict(expressions())["overview / Alerts / A"])


def hang(stack: Stack, job: str) -> None:
    """Stop the processes of the second worker while each renders a segment."""

    def held() -> set[str]:
        rows = stack.rows(f"{HELD} AND job_id = :job", job=job)
        return {row["id"] for row in rows} if [row["kind"] for row in rows] == ["segment"] * STUCK else set()

    def hangs() -> bool:
        """Whether all hold what they held a second ago: one may have been done when it was stopped."""
        stop(stack.children("second"), signal.SIGSTOP)
        before = held()
        time.sleep(1)
        stop(stack.children("second"), signal.SIGSTOP)
        return bool(before) and held() == before

    until(held, stack)
    until(hangs, stack)


def damaged_song(stack: Stack, disk: Path, song: bytes) -> str:
    """A system whose song can be read no more."""
    audio = stack.client.post("/audio", files={"file": song}).raise_for_status().json()["audio_path"]
    stored = disk / "storage" / audio_key(hashlib.sha256(song).hexdigest())
    assert stored.read_bytes() == song
    stored.write_bytes(b"no song")
    system = create(stack, **SMALL)
    stack.client.post(f"/systems/{system}/load-audio", params={"audio_path": audio}).raise_for_status()
    return system


def stop(processes: list[int], number: signal.Signals) -> None:
    """Those that are still there."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def fill(file: IO[bytes], disk: Path) -> None:
    """Take 10 MB, until only 20 are left."""
    if shutil.disk_usage(disk).free > 20_000_000:
        file.write(bytes(10_000_000))
        file.flush()
