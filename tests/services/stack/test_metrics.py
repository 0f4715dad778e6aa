"""What Prometheus reads of a real stack: the API's and a worker's, also when the database is gone."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from services.observability import metrics
from tests.fork_server import HANG, ForkServer
from tests.service import reserved_port
from tests.services.stack.api_calls import HOST, SMALL, create, process, rendered, submit
from tests.services.stack.conftest import Stack, running_stack, until

pytestmark = pytest.mark.debian("redis-server")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, _redis: None) -> Iterator[Stack]:
    """A stack whose worker can be asked."""
    with running_stack(tmp_path_factory.mktemp("counted"), forks, MOTES_METRICS_PORT=str(reserved_port())) as stack:
        yield stack


def api_text(stack: Stack) -> str:
    url = str(stack.client.base_url).removesuffix("/particles/")
    return httpx.get(f"{url}/metrics", timeout=HANG, trust_env=False).raise_for_status().text


def worker_text(stack: Stack) -> str:
    port = stack.environment["MOTES_METRICS_PORT"]
    return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=HANG, trust_env=False).raise_for_status().text


def samples(text: str) -> Samples:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


@pytest.mark.debian("prometheus")
def test_promtool_accepts_the_metrics(counted: Stack) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("needs Debian package prometheus: apt-get install prometheus")
    rendered(counted, create(counted, "snow", **SMALL))
    for text in (api_text(counted), worker_text(counted)):
        command = ("promtool", "check", "metrics")
        checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_each_process_exports_exactly_its_metrics(counted: Stack) -> None:
    for who, text in (("api", api_text(counted)), ("worker", worker_text(counted))):
        told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE motes_")}
        assert told == {metric.name for metric in metrics.catalogue() if who in metric.by}, who


def test_render_is_counted_by_its_worker(counted: Stack) -> None:
    before = samples(worker_text(counted))
    rendered(counted, create(counted, "zen", **SMALL | {"duration": 3.0}))
    after = samples(worker_text(counted))

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert more("motes_jobs_ended_total", outcome="completed", particle_type="zen") == 1
    assert more("motes_job_seconds_count", particle_type="zen") == 1
    assert more("motes_frames_rendered_total", particle_type="zen") == 90
    assert more("motes_video_seconds_total", particle_type="zen") == 3.0
    assert more("motes_task_seconds_count", kind="plan", particle_type="zen") == 1
    for stage in ("analyse", "simulate", "rasterise", "encode", "join"):
        assert more("motes_stage_seconds_total", stage=stage, particle_type="zen") > 0
    assert value(after, "motes_worker_slots") == 2
    assert value(after, "motes_worker_memory_bytes", process="children") > 10e6


def test_requests_are_counted_by_route(counted: Stack) -> None:
    system = create(counted, "snow", **SMALL)
    counted.client.get(f"/systems/{system}")
    assert counted.client.get("/systems/nope").status_code == 404
    assert counted.client.request("PURGE", "/systems/nope").status_code == 405
    assert counted.client.get("/nope/at/all").status_code == 404
    text = api_text(counted)
    found = samples(text)
    route = "/particles/systems/{system_id}"
    name = "motes_http_requests_total"
    assert value(found, name, route=route, method="GET", status="200") >= 1
    assert value(found, name, route=route, method="GET", status="404") == 1
    assert value(found, name, route=route, method="other", status="405") == 1
    assert value(found, name, route="other", method="GET", status="404") == 1
    assert value(found, "motes_http_request_duration_seconds_count", route=route, method="GET") >= 2
    assert system not in text
    assert "nope" not in text


def test_open_streams_are_counted(counted: Stack) -> None:
    system = create(counted, "snow", **SMALL | {"duration": 600.0})
    job = submit(counted, system)
    url = str(counted.client.base_url).replace("http", "ws", 1)

    def listening(number: int) -> bool:
        found = samples(api_text(counted))
        return all(value(found, "motes_listeners", kind=kind) == number for kind in ("websocket", "events"))

    with counted.client.stream("GET", f"/jobs/{job}/events"), connect(f"{url}ws/{system}", proxy=None):
        until(lambda: listening(1), counted)
    until(lambda: listening(0), counted)
    assert counted.client.post(f"/jobs/{job}/cancel").status_code == 200


def test_upload_is_counted_in_bytes(counted: Stack) -> None:
    before = value(samples(api_text(counted)), "motes_upload_bytes_total")
    assert counted.client.post("/audio", files={"file": ("no song.wav", bytes(5000))}).status_code == 415
    assert value(samples(api_text(counted)), "motes_upload_bytes_total") - before >= 5000


def test_database_metrics_are_fresh(counted: Stack) -> None:
    counted.stop("worker")
    system = create(counted, "snow", **SMALL | {"seed": 1})
    job = submit(counted, system, priority="high")
    with counted.redis() as redis:  # another one died a minute ago without a word
        redis.zadd("motes:workers", {"ghost": time.time() - 60})

    def waits() -> bool:
        found = samples(api_text(counted))
        return (
            value(found, "motes_jobs", status="queued", particle_type="snow") == 1
            and value(found, "motes_queue_tasks", priority="high") == 1
            and value(found, "motes_queue_oldest_seconds", priority="high") > 0
            and value(found, "motes_queue_backlog_seconds") > 0
            and value(found, "motes_active_systems") >= 1
            and found["motes_workers", frozenset()] == 0
        )

    until(waits, counted)
    counted.start_worker()
    counted.wait_for(job, "completed")

    def is_done() -> bool:
        found = samples(api_text(counted))
        return (
            value(found, "motes_queue_tasks", priority="high") == 0
            and value(found, "motes_jobs", status="completed", particle_type="") >= 1
            and value(found, "motes_storage_bytes", kind="results") > 0
            and value(found, "motes_storage_free_bytes") > 0
            and value(found, "motes_workers") == 1
        )

    until(is_done, counted)


def test_host_application_chooses_the_metrics_path(counted: Stack) -> None:
    with process(counted, HOST, "/v1/particles/health") as host:
        host.get("/greeting")
        found = samples(host.get("/ours/metrics").text)
    name = "motes_http_requests_total"
    assert value(found, name, route="/greeting", method="GET", status="200") == 1
    assert value(found, name, route="/v1/particles/health", method="GET", status="200") >= 1


@pytest.mark.usefixtures("_redis")
def test_scrape_works_without_database_and_redis(tmp_path: Path, forks: ForkServer) -> None:
    with running_stack(tmp_path, forks) as stack:
        until(lambda: value(samples(api_text(stack)), "motes_database_up") == 1, stack)
        stack.stop("worker")
        stack.stop("redis", signal.SIGKILL)
        with closing(sqlite3.connect(tmp_path / "data" / "motes.db")) as database:
            database.execute("ALTER TABLE jobs RENAME TO lost")  # files that were damaged might be read from memory

        def told() -> bool:
            found = samples(api_text(stack))
            return found["motes_database_up", frozenset()] == 0 and found["motes_redis_up", frozenset()] == 0

        until(told, stack)
        text = api_text(stack)
        assert "motes_active_systems" not in text
        assert "motes_http_requests_total{" in text
        stack.start_redis()  # to be stopped in the end, as all are
