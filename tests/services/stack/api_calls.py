"""What tests of the API ask for again and again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.fork_server import HANG
from tests.services.stack.conftest import MOTES, Stack, listening, until

SMALL = {"width": 160, "height": 90, "duration": 2.0, "particle_count": 50}
# Give each render of LONG a seed of its own: modules share a stack, and a scene that was rendered is complete at once.
LONG = {"width": 640, "height": 360, "duration": 60.0, "particle_count": 500}
PROBLEM = "application/problem+json"
API, HOST = "another-api", "tests.services.stack.host:create_host"
IMPATIENT = "tests.services.stack.host:create_impatient"


def create(stack: Stack, particle_type: str = "enhanced", **config: Any) -> str:
    answer = stack.client.post("/create", json={"particle_type": particle_type, "config": config})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["system_id"])


def submit(stack: Stack, system: str, **body: Any) -> str:
    answer = stack.client.post(f"/systems/{system}/render", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/particles/jobs/{answer.json()['job_id']}"
    return str(answer.json()["job_id"])


def rendered(stack: Stack, system: str, **body: Any) -> str:
    job = submit(stack, system, **body)
    assert stack.wait_for(job, "completed", "failed")["status"] == "completed"
    return job


@contextmanager
def process(stack: Stack, app: str, ready: str, *, loop: str = "auto") -> Iterator[httpx.Client]:
    """Another process that serves an application, and a client of it."""
    with listening() as listener:
        stack.start(app, "tests.services.stack.serve_app", app, str(listener.fileno()), loop, listener=listener)
        with _client(stack, app, listener, ready) as client:
            yield client


@contextmanager
def another_api(stack: Stack, **environment: str) -> Iterator[httpx.Client]:
    """An API of its own, with these settings besides those of the stack, and a client of it."""
    before = dict(stack.environment)
    with listening() as listener:
        stack.environment.update(environment)
        try:
            stack.start(API, MOTES, "api", "--fd", str(listener.fileno()), listener=listener)
        finally:
            stack.environment.clear()
            stack.environment.update(before)
        with _client(stack, API, listener, "/particles/health") as client:
            client.base_url = client.base_url.join("/particles")
            yield client


@contextmanager
def _client(stack: Stack, name: str, listener: socket.socket, ready: str) -> Iterator[httpx.Client]:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=HANG, trust_env=False) as client:
        try:
            until(lambda: client.get(ready).is_success, stack)
            yield client
        finally:
            if name in stack.processes:
                stack.stop(name)
