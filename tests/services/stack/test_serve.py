"""``motes serve``: one command runs everything, starts again what dies, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fork_server import HANG
from tests.service import (
    MOTES,
    ROOT,
    Service,
    alive,
    children,
    descendants,
    environment_of,
    serving,
    wait_for,
)

SMALL = {"width": 160, "height": 90, "duration": 1.0}
LONG = {"width": 640, "height": 360, "duration": 60.0, "particle_count": 500}


def render(client: httpx.Client, config: dict[str, Any]) -> str:
    system = client.post("/create", json={"particle_type": "snow", "config": config}).raise_for_status().json()
    return str(client.post(f"/systems/{system['system_id']}/render", json={}).raise_for_status().json()["job_id"])


def refused(folder: Path, *arguments: str, **environment: str) -> str:
    """The one line that ``motes serve`` says instead of serving."""
    done = subprocess.run(
        (*MOTES, "serve", *arguments),
        env=environment_of(folder, environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_killed_processes_are_restarted(tmp_path: Path) -> None:
    with serving(tmp_path) as service, service.client() as client:
        before = children(service.process.pid)
        assert set(before) == {"fork server", "api", "worker"}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: set(children(service.process.pid)) == set(before))
        job = render(client, SMALL)
        wait_for(lambda: client.get(f"/jobs/{job}").json()["status"] == "completed")
        assert "worker 1 was killed by SIGKILL; restarting it in" in service.log


def test_restarted_worker_takes_back_at_once_what_it_held(tmp_path: Path) -> None:
    """The supervisor knows that it is dead, so nobody waits for its lease, of an hour."""
    with serving(tmp_path, environment={"MOTES_LEASE_SECONDS": "3600"}) as service, service.client() as client:
        job = render(client, LONG | {"duration": 6.0})
        wait_for(lambda: client.get(f"/jobs/{job}").json()["frames_done"] > 0)
        os.kill(children(service.process.pid)["worker"], signal.SIGKILL)
        wait_for(lambda: client.get(f"/jobs/{job}").json()["status"] == "completed")


def test_shutdown_requeues_unfinished_work(tmp_path: Path) -> None:
    with serving(tmp_path) as service, service.client() as client:
        job = render(client, LONG)
        wait_for(lambda: client.get(f"/jobs/{job}").json()["frames_done"] > 0)
        with client.stream("GET", f"/jobs/{job}/events") as following:  # a client that does not let go
            next(following.iter_lines())
            everything = descendants(service.process.pid)
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(HANG) == 0
        assert [pid for pid in everything if alive(pid)] == []
    with sqlite3.connect(tmp_path / "data/motes.db") as database:
        running = database.execute("SELECT count(*) FROM tasks WHERE status = 'running'").fetchone()
        assert running == (0,)
        assert database.execute("SELECT status FROM jobs").fetchall() == [("rendering",)]
    database.close()


@pytest.mark.campaign
def test_shutdown_during_startup_is_quiet(tmp_path: Path) -> None:
    command = (*MOTES, "serve", "--port", "0", "--workers", "1")
    process = subprocess.Popen(
        command, env=environment_of(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: {"api", "worker"} <= set(children(process.pid)))
    everything = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    assert (*process.communicate(timeout=HANG), process.returncode) == ("", "", 0)
    assert [pid for pid in everything if alive(pid)] == []


@pytest.mark.campaign
def test_no_process_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with serving(tmp_path) as service, service.client() as client:
        job = render(client, LONG)
        wait_for(lambda: client.get(f"/jobs/{job}").json()["frames_done"] > 0)
        wait_for(lambda: len(descendants(service.process.pid)) >= 5)  # API, worker, both fork servers, a task
        everything = descendants(service.process.pid)
        service.process.kill()
        service.process.wait()
        wait_for(lambda: not any(map(alive, everything)))


def test_port_in_use_is_a_one_line_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused(tmp_path, "--port", port)
    assert said.startswith(
        f"motes: error: cannot listen on 127.0.0.1 port {port}: Address already in use; give another"
    )


@pytest.mark.campaign
def test_unreachable_database_is_a_one_line_error(tmp_path: Path) -> None:
    url = "postgresql+asyncpg://motes:hush@127.0.0.1:1/motes"
    said = refused(tmp_path, "--port", "0", MOTES_DATABASE_URL=url)
    assert said.startswith("motes: error: the database postgresql+asyncpg://motes:********@127.0.0.1:1/motes: ")
    assert "hush" not in said


@pytest.mark.campaign
def test_unusable_storage_is_a_one_line_error(tmp_path: Path) -> None:
    said = refused(tmp_path, "--port", "0", MOTES_STORAGE_URL="nonsense://bucket?secret=hush")
    assert said.startswith(
        "motes: error: MOTES_STORAGE_URL = nonsense://bucket?secret=********: must be file:///folder"
    )


@pytest.mark.campaign
def test_api_that_never_answers_ends_the_service(tmp_path: Path) -> None:
    command = (*MOTES, "serve", "--port", "0", "--workers", "1")
    process = subprocess.Popen(
        command, env=environment_of(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    killed: set[int] = set()
    while process.poll() is None and len(killed) < 4:
        api = children(process.pid).get("api")
        if api is not None and api not in killed:
            killed.add(api)
            os.kill(api, signal.SIGKILL)
        time.sleep(0.02)
    out, said = process.communicate(timeout=HANG)
    assert (process.returncode, out) == (2, "")
    assert said.splitlines()[-1] == "motes: error: the API exited 4 times before it answered; its errors are above"


@pytest.mark.campaign
def test_unusable_data_folder_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    assert "cannot use the data folder" in refused(tmp_path, "--port", "0")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service")) as service:
        yield service


def test_data_folder_in_use_is_refused(service: Service) -> None:
    said = refused(service.folder, "--port", "0")
    runs = f"motes serve already runs on {service.folder / 'data'} (process {service.process.pid})"
    assert said.startswith(f"motes: error: {runs}: stop it")
    with service.client() as client:
        assert client.get("/health").status_code == 200


def test_requests_wait_while_the_api_restarts(service: Service) -> None:
    before = children(service.process.pid)["api"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: not alive(before))
    with service.client() as client:
        assert client.get("/health").status_code == 200
