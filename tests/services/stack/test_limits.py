"""Limits between real processes: two of the API, a worker, and Redis, which is killed; and docs/limits.md is true."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from services.cli.service_settings import shown
from services.settings import ServiceSettings
from tests.fork_server import HANG, ForkServer
from tests.services.stack.api_calls import SMALL, another_api, create, submit
from tests.services.stack.conftest import ROOT, Stack, running_stack

pytestmark = pytest.mark.debian("redis-server")
TEXT = (ROOT / "docs/limits.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, _redis: None) -> Iterator[Stack]:
    """Keys are required, and its client has one of alice's."""
    with running_stack(tmp_path_factory.mktemp("limits"), forks, MOTES_AUTH="required") as stack:
        stack.client.headers["X-API-Key"] = key(stack, "alice")
        yield stack


@pytest.fixture(scope="module")
def both(stack: Stack) -> Iterator[list[str]]:
    """Where two processes answer."""
    with another_api(stack) as other:
        yield [str(each.base_url).rstrip("/") for each in (stack.client, other)]


def key(stack: Stack, owner: str, *limits: str) -> str:
    """A new key, as an operator makes it."""
    options = [word for limit in limits for word in ("--limit", limit)]
    return stack.motes("keys", "create", "--owner", owner, *options).stdout.strip()


def racing(both: list[str], secret: str, number: int, path: str, **more: object) -> Counter[int]:
    """The statuses of so many requests at once, to both processes."""
    method, own = "POST" if "json" in more else "GET", threading.local()
    with contextlib.ExitStack() as clients, ThreadPoolExecutor(20) as pool:

        def ask(n: int) -> int:
            if not hasattr(own, "client"):  # one that threads share closes what another reads, now and then
                made = httpx.Client(headers={"X-API-Key": secret}, timeout=HANG, trust_env=False, verify=False)
                own.client = clients.enter_context(made)
            body = {"json": {"seed": n}} if "json" in more else {}
            status: int = own.client.request(method, f"{both[n % 2]}{path}", **body).status_code
            return status

        return Counter(pool.map(ask, range(number)))


def test_request_limit_is_exact_across_processes(stack: Stack, both: list[str]) -> None:
    secret = key(stack, "hasty", "requests_per_minute=60")
    assert racing(both, secret, 100, "/jobs") == {200: 60, 429: 40}
    assert racing(both, stack.client.headers["X-API-Key"], 10, "/jobs") == {200: 10}


def test_open_job_limit_is_exact_across_processes(stack: Stack, both: list[str]) -> None:
    stack.stop("worker")  # so that none is over meanwhile
    secret = key(stack, "busy", "open_jobs=7")
    headers = {"X-API-Key": secret}
    body = {"particle_type": "snow", "config": SMALL}
    system = httpx.post(f"{both[0]}/create", json=body, headers=headers, trust_env=False).json()["system_id"]
    assert racing(both, secret, 30, f"/systems/{system}/render", json=True) == {202: 7, 429: 23}
    rows = stack.rows("SELECT count(*) AS jobs, sum(seconds) AS seconds FROM jobs WHERE owner = 'busy'")
    assert rows == [{"jobs": 7, "seconds": 14.0}]
    assert stack.rows("SELECT seconds FROM usage WHERE owner = 'busy'") == [{"seconds": 14.0}]
    listed = httpx.get(f"{both[0]}/jobs", headers=headers, trust_env=False).json()
    for job in listed:
        httpx.delete(f"{both[1]}/jobs/{job['job_id']}", headers=headers, trust_env=False).raise_for_status()
    assert stack.rows("SELECT seconds FROM usage WHERE owner = 'busy'") == [{"seconds": 0.0}]
    stack.start_worker()


def test_killed_redis_neither_lifts_nor_tightens_limits(stack: Stack, both: list[str]) -> None:
    secret = key(stack, "unlucky", "requests_per_minute=60")
    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(racing, both, secret, 300, "/jobs")
        stack.stop("redis", signal.SIGKILL)
        statuses = flood.result(HANG)
    assert set(statuses) == {200, 429}
    assert 60 <= statuses[200] <= 120  # the limit, for each of two processes at most
    assert racing(both, secret, 20, "/jobs") == {429: 20}
    assert racing(both, key(stack, "lucky"), 10, "/jobs") == {200: 10}
    stack.start_redis()


def test_worker_fails_jobs_beyond_its_limits(stack: Stack) -> None:
    """Such a job was accepted before the limits were set."""
    stack.stop("worker")
    stack.environment["MOTES_MAX_PIXELS"] = "10000"
    try:
        stack.start_worker()
        job = submit(stack, create(stack, **SMALL))
        failed = stack.wait_for(job, "failed", "completed")
        assert failed["error"] == "width × height = 160 × 90: at most 10000 here (limit max_pixels)"
        stack.stop("worker")
    finally:
        del stack.environment["MOTES_MAX_PIXELS"]
    stack.start_worker()


def test_documented_example_is_true(stack: Stack, tmp_path: Path) -> None:
    script, *_ = re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
    (tmp_path / "motes").write_text(f'#!/bin/sh\nexec {sys.executable} -m services.cli.main "$@"\n')
    (tmp_path / "motes").chmod(0o755)
    environment = {
        **stack.environment,
        "PATH": f"{tmp_path}:{stack.environment['PATH']}",
        "PYTHONPATH": str(ROOT),
        "api": str(stack.client.base_url).rstrip("/"),
        "no_proxy": "*",
    }
    done = subprocess.run(
        ("bash", "-euo", "pipefail", "-c", script), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told, problem = re.findall(r"^```(?:text|json)\n(.*?)^```", TEXT, re.M | re.S)[:2]
    said = done.stdout.replace("\r", "")
    head, _, body = said.rpartition("\n\n")
    assert re.search(re.escape(told).replace("t=60", r"t=\d+"), said), said
    assert "HTTP/1.1 429 " in head
    assert re.search(r"^retry-after: \d+$", head, re.M)
    assert json.loads(body) == json.loads(problem)


def test_tables_list_every_limit() -> None:
    fields = ServiceSettings.model_fields
    told = dict(re.findall(r"^\| `([a-z_]+)` \| `([0-9.]+)` \|", TEXT, re.M))
    limits = [name for name in fields if name.startswith(("limit_", "max_"))] + ["upload_limit"]
    assert told == {name.removeprefix("limit_"): shown(name, fields[name].default) for name in limits}
