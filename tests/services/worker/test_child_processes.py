"""The fork_server: fresh processes for tasks, whatever happens to the process that forks them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ecs_core.rendering.pool import ENVIRONMENT
from services.jobs.render_spec import build_spec, spec_key
from services.processes.fork_server_command import STORAGE
from services.worker import child_processes
from services.worker.child_processes import Child, ForkServer
from tests.service import wait_for
from tests.services.worker.workshop import plugin
from tests.waiting import HANG, eventually


@pytest.fixture
def with_fork_server(tmp_path: Path) -> Callable[[Callable[[ForkServer], Awaitable[None]]], None]:
    def run(what: Callable[[ForkServer], Awaitable[None]]) -> None:
        async def main() -> None:
            async with ForkServer(tmp_path.as_uri()) as fork_server:
                await what(fork_server)

        asyncio.run(main())

    return run


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, processes are waited for, and none that is kept ends by itself."""
    for name in ("_EXIT_TIMEOUT", "_TIMEOUT", "_IDLE_SECONDS"):
        monkeypatch.setattr(child_processes, name, HANG)


def started() -> list[int]:
    """The processes that this one started and that still run."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in found if Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"]


async def stopped(*children: Child) -> None:
    for child in children:
        await child.stop()


def test_killed_fork_server_is_restarted_once_for_all_waiters(
    with_fork_server: Callable[[Callable[[ForkServer], Awaitable[None]]], None],
) -> None:
    others = set(started())  # servers that other tests share

    async def killed(fork_server: ForkServer) -> None:
        await stopped(await fork_server.fork())
        for _ in range(3):
            (pid,) = set(started()) - others
            os.kill(pid, signal.SIGKILL)
            children = await asyncio.gather(*(fork_server.fork() for _ in range(4)))
            assert len(set(started()) - others) == 1
            await stopped(*children)

    with_fork_server(killed)


def test_fork_server_ends_with_its_worker_even_if_stdin_stays_open(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    worker = os.fork()
    if worker == 0:

        async def main() -> None:
            async with ForkServer(tmp_path.as_uri()) as fork_server:
                await stopped(await fork_server.fork())  # it has loaded everything
                assert fork_server._control is not None
                socket.send_fds(theirs, [str(started()[0]).encode()], [fork_server._control.fileno()])
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            asyncio.run(main())
        finally:
            os._exit(1)
    theirs.close()
    with ours:
        said, (control,), _, _ = socket.recv_fds(ours, 100, 1)
    os.waitpid(worker, 0)
    try:
        wait_for(lambda: not Path(f"/proc/{int(said)}").exists())
    finally:
        os.close(control)


def test_idle_child_is_reused_unless_it_died(
    with_fork_server: Callable[[Callable[[ForkServer], Awaitable[None]]], None],
) -> None:
    async def used(fork_server: ForkServer) -> None:
        first, second = await fork_server.fork(), await fork_server.fork()
        assert fork_server.idle_child() is None
        fork_server.keep_idle(first)
        fork_server.keep_idle(second)
        second.kill()
        await eventually(lambda: not second.is_alive())
        assert fork_server.idle_child() is first
        assert fork_server.idle_child() is None
        await stopped(first)

    with_fork_server(used)


def test_idle_child_ends_after_a_while(
    with_fork_server: Callable[[Callable[[ForkServer], Awaitable[None]]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_processes, "_IDLE_SECONDS", 0.1)

    async def waited(fork_server: ForkServer) -> None:
        child = await fork_server.fork()
        fork_server.keep_idle(child)
        assert child.is_alive()
        await eventually(child.writer.is_closing)  # when it has ended
        assert fork_server.idle_child() is None

    with_fork_server(waited)


def test_child_does_one_task_after_another(
    with_fork_server: Callable[[Callable[[ForkServer], Awaitable[None]]], None], tmp_path: Path
) -> None:
    async def asked(fork_server: ForkServer) -> None:
        scene = build_spec("snow", {"width": 64, "height": 36, "duration": 1.0}, None, "draft")
        child = await fork_server.fork()
        for attempt in (1, 2):
            spec = {"task": "t", "attempt": attempt, "kind": "plan", "number": 0, "scene": scene}
            spec |= {"scene_key": spec_key(scene), "folder": str(tmp_path), "plan": f"plan-{attempt}"}
            told = [message async for message in child.messages(dict(spec))]
            assert told[-1].get("done"), told
            assert told[-1]["spent"]["stages"].keys() == {"analyse", "simulate"}
            assert child.done
        await stopped(child)

    with_fork_server(asked)


FAILING = """
from ecs_core import ParticleType, Phase, Position, System, hookimpl

class Breaks(System):
    phase = Phase.FORCE

    def process(self):
        raise RuntimeError("not now")

@hookimpl
def motes_particle_types(register):
    register(ParticleType("breaks", archetype=(Position,), systems=(Breaks,)))
"""


def test_plugin_failure_names_the_type_and_logs_the_traceback(
    with_fork_server: Callable[[Callable[[ForkServer], Awaitable[None]]], None], tmp_path: Path
) -> None:
    async def asked(fork_server: ForkServer) -> None:
        scene = build_spec("breaks", {"width": 64, "height": 36, "duration": 1.0}, None, "draft", at=0.1)
        spec = {"task": "t", "attempt": 1, "kind": "frame", "number": 0, "scene": scene}
        spec |= {"scene_key": spec_key(scene), "folder": str(tmp_path), "plan": "plan"}
        child = await fork_server.fork()
        told = [message async for message in child.messages(spec)][-1]
        assert told["error"] == "particle type 'breaks' failed in frame 0: RuntimeError: not now"
        assert 'raise RuntimeError("not now")' in told["trace"]
        await stopped(child)

    with plugin(tmp_path, FAILING):
        with_fork_server(asked)


def test_task_processes_have_no_secrets_in_their_environment(
    with_fork_server: Callable[[Callable[[ForkServer], Awaitable[None]]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MOTES_DATABASE_URL", "MOTES_REDIS_URL", "MOTES_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, "canary")

    async def looked(fork_server: ForkServer) -> None:
        child = await fork_server.fork()
        processes = fork_server.pids()
        assert len(processes) == 3  # the fork server, the decoding server and the child
        for process in processes:
            environment = Path(f"/proc/{process}/environ").read_bytes()
            assert b"OPENBLAS_NUM_THREADS" in environment
            assert b"canary" not in environment
        await stopped(child)

    with_fork_server(looked)


_LEAVES_GARBAGE = """
import av

from ecs_core import warmup
from services.worker import fork_server


def load_kernels(real=warmup.load_kernels):
    real()
    frame = av.VideoFrame(64, 64, "yuv420p")
    frame.reformat(format="rgb24")
    garbage = [frame]
    garbage.append(garbage)


warmup.load_kernels = load_kernels
fork_server.main()
"""


def test_garbage_of_the_rehearsal_is_collected_before_forking(tmp_path: Path) -> None:
    """Compilation leaves a frame with threads that a forked process lacks; collecting it there would hang."""
    ours, control = socket.socketpair()
    command = (sys.executable, "-c", _LEAVES_GARBAGE, "0", str(os.getpid()))
    environment = {**os.environ, **ENVIRONMENT, STORAGE: tmp_path.as_uri()}
    with subprocess.Popen(command, stdin=control, env=environment) as process, ours:
        control.close()
        here, there = socket.socketpair()
        socket.send_fds(ours, [b"."], [there.fileno()])
        there.close()
        with here, here.makefile() as said:
            assert "pid" in json.loads(said.readline())
            assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1
