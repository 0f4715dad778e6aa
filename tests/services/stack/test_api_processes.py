"""The API as a process: in somebody else's application, without Redis, and when it is told to stop."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.fork_server import HANG
from tests.services.stack.api_calls import API, HOST, LONG, PROBLEM, SMALL, another_api, create, process, submit
from tests.services.stack.conftest import Stack, until

pytestmark = pytest.mark.debian("redis-server")


def test_router_works_in_an_application_with_its_own_lifespan(stack: Stack) -> None:
    with process(stack, HOST, "/greeting") as client:
        assert client.get("/greeting").json() == "hello"
        body = {"particle_type": "snow", "config": SMALL}
        system = client.post("/v1/particles/create", json=body).json()["system_id"]
        job = client.post(f"/v1/particles/systems/{system}/render", json={})
        client.post("/v1/particles/create", json=body)
        assert job.headers["Location"] == f"/v1/particles/jobs/{job.json()['job_id']}"
        assert client.get(job.headers["Location"]).json()["system_id"] == system
        listed = client.get("/v1/particles/systems?limit=1")
        assert listed.links["next"]["url"].startswith("/v1/particles/systems?limit=1&cursor=")
        for answer, status in (
            (client.get("/v1/particles/systems/x"), 404),
            (client.post("/v1/particles/create", json={"particle_type": "rain"}), 400),
            (client.post("/v1/particles/create", json=[]), 400),
            (client.post("/v1/particles/create", content=b"x"), 415),
        ):
            assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
            assert answer.json()["detail"]
        paths = client.get("/openapi.json").json()["paths"]
        assert "/v1/particles/systems/{system_id}/render" in paths


def test_api_works_without_redis_except_for_waking_workers(stack: Stack) -> None:
    stack.stop("redis", signal.SIGKILL)
    jobs = []
    with another_api(stack) as client:
        for each in (stack.client, client):  # one lost Redis, the other never had it
            health = each.get("/health").json()
            assert (health["status"], health["redis"], health["database"]) == ("degraded", False, True)
            for path in ("/systems", "/jobs", "/types", "/metrics"):
                assert each.get(path).status_code == 200
            system = each.post("/create", json={"particle_type": "snow", "config": SMALL}).json()["system_id"]
            jobs.append(each.post(f"/systems/{system}/render", json={"seed": len(jobs)}).json()["job_id"])
        stack.start_redis()
        apis = (stack.client, client)
        until(lambda: {each.get("/health").json()["status"] for each in apis} == {"healthy"}, stack)
        for job in jobs:
            stack.wait_for(job, "completed")


def test_open_streams_do_not_delay_shutdown(stack: Stack) -> None:
    system, job = create(stack, **SMALL), submit(stack, create(stack, **LONG, seed=202))
    with ThreadPoolExecutor() as pool, another_api(stack) as client:

        def follow() -> None:
            with client.stream("GET", f"/jobs/{job}/events") as stream:
                for _ in stream.iter_lines():
                    following.add("events")

        def listen() -> None:
            url = client.base_url.join(f"/particles/ws/{system}").copy_with(scheme="ws")
            with connect(str(url), proxy=None) as connection:
                for _ in connection:
                    following.add("socket")

        following: set[str] = set()
        streams = [pool.submit(follow), pool.submit(listen)]
        until(lambda: len(following) == 2, stack)
        stack.stop(API)  # which it does, although nobody lets go
        assert "Traceback" not in stack.log(API), stack.log(API)
        for stream in streams:
            assert isinstance(stream.exception(HANG), httpx.HTTPError | ConnectionClosed | None)
    stack.client.post(f"/jobs/{job}/cancel")
