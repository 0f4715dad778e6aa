"""Following jobs and systems: server-sent events that miss none, and the WebSocket of a system."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.services.stack.api_calls import LONG, SMALL, another_api, create, rendered, submit
from tests.services.stack.conftest import Stack

pytestmark = pytest.mark.debian("redis-server")


def events(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The events of a stream, by their ids."""
    number = 0
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            number = int(value)
        elif name == "data":
            yield number, json.loads(value)


def follow(stack: Stack, job: str, after: int | None = None) -> list[tuple[int, dict[str, Any]]]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with stack.client.stream("GET", f"/jobs/{job}/events", headers=headers) as stream:
        assert stream.status_code == 200
        assert stream.headers["cache-control"] == "no-cache"
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["content-type"].startswith("text/event-stream")
        return list(events(stream.iter_lines()))


def test_events_tell_everything_from_the_beginning_to_the_end(stack: Stack) -> None:
    job = submit(stack, create(stack, **SMALL, seed=101))
    told = [data for _, data in follow(stack, job)]
    assert [told[0]["status"], told[-1]["status"]] == ["queued", "completed"]
    assert {"analysing", "rendering", "joining"} <= {data["stage"] for data in told}
    assert told[-1] == stack.client.get(f"/jobs/{job}").json()
    assert [data for _, data in follow(stack, job)] == told  # whoever comes later is told the same


def test_events_go_on_after_the_last_that_was_received(stack: Stack) -> None:
    job = submit(stack, create(stack, **SMALL, seed=102))
    first: list[int] = []
    with stack.client.stream("GET", f"/jobs/{job}/events") as stream:
        for number, _ in events(stream.iter_lines()):
            first.append(number)
            if len(first) == 2:
                break  # the connection breaks off
    rest = [number for number, _ in follow(stack, job, first[-1])]
    assert first + rest == [number for number, _ in follow(stack, job)]


def test_events_miss_nothing_where_the_api_is_killed_and_started_again(stack: Stack) -> None:
    job = submit(stack, create(stack, **LONG, seed=110))
    told: list[tuple[int, dict[str, Any]]] = []
    with suppress(httpx.TransportError), stack.client.stream("GET", f"/jobs/{job}/events") as stream:
        for event in events(stream.iter_lines()):
            told.append(event)
            if "api" in stack.processes and event[1]["frames_done"]:
                stack.stop("api", signal.SIGKILL)
    assert "api" not in stack.processes
    stack.start_api()
    headers, cancelled = {"Last-Event-ID": str(told[-1][0])}, False
    with stack.client.stream("GET", f"/jobs/{job}/events", headers=headers) as stream:
        for event in events(stream.iter_lines()):
            told.append(event)
            if not cancelled:
                stack.client.post(f"/jobs/{job}/cancel")  # it has been followed for long enough
                cancelled = True
    assert told[-1][1]["status"] in ("cancelled", "completed")
    assert told == follow(stack, job)


def test_whoever_was_told_everything_is_not_asked_to_connect_again(stack: Stack) -> None:
    job = rendered(stack, create(stack, **SMALL, seed=103))
    last = follow(stack, job)[-1][0]
    for after in (last, last + 1, 2**63 - 1, 10**18):
        answer = stack.client.get(f"/jobs/{job}/events", headers={"Last-Event-ID": str(after)})
        assert answer.status_code == 204


@pytest.mark.parametrize("odd", ["x", "-1", "1.5", "9" * 50, "\u00b2"])
def test_last_event_that_never_was_is_refused(stack: Stack, odd: str) -> None:
    job = submit(stack, create(stack, **SMALL))
    answer = stack.client.get(f"/jobs/{job}/events", headers={b"Last-Event-ID": odd.encode("latin-1")})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Last-Event-ID: is none that was told")


def test_events_end_with_a_job_that_is_cancelled_or_deleted(stack: Stack) -> None:
    for end in ("cancel", "delete"):
        job = submit(stack, create(stack, **LONG))
        with stack.client.stream("GET", f"/jobs/{job}/events", timeout=10) as stream:
            told = events(stream.iter_lines())
            while next(told)[1]["status"] != "rendering":
                pass
            if end == "cancel":
                stack.client.post(f"/jobs/{job}/cancel")
                assert list(told)[-1][1]["status"] == "cancelled"
            else:
                stack.client.delete(f"/jobs/{job}")
                list(told)


def test_events_are_no_older_than_a_second(stack: Stack) -> None:
    job = submit(stack, create(stack, **LONG | {"duration": 8.0}, seed=104))
    told: list[tuple[float, int]] = []
    polled: list[tuple[float, int]] = []

    def listen() -> None:
        with stack.client.stream("GET", f"/jobs/{job}/events") as stream:
            told.extend((time.monotonic(), data["progress"]) for _, data in events(stream.iter_lines()))

    with ThreadPoolExecutor() as pool:
        listening = pool.submit(listen)
        while not listening.done():
            polled.append((time.monotonic(), stack.client.get(f"/jobs/{job}").json()["progress"]))
            time.sleep(0.02)
    assert len({progress for _, progress in polled}) > 5
    for moment, progress in polled:
        assert min(when for when, known in told if known >= progress) < moment + 1


def test_connection_is_kept_alive_where_nothing_happens(stack: Stack) -> None:
    stack.stop("worker")
    job = submit(stack, create(stack, **SMALL, seed=105))
    try:
        with stack.client.stream("GET", f"/jobs/{job}/events", timeout=18) as stream:
            assert any(line == ": still here" for line in stream.iter_lines())
    finally:
        stack.start_worker()


# --- the WebSocket ---


@contextmanager
def socket(stack: Stack, system: str, base: str | None = None) -> Iterator[ClientConnection]:
    url = f"{base or stack.client.base_url}".replace("http", "ws", 1).rstrip("/") + f"/ws/{system}"
    with connect(url, open_timeout=10) as connection:
        yield connection


def heard(connection: ClientConnection, seconds: float = 5.0) -> dict[str, Any]:
    return dict(json.loads(connection.recv(seconds)))


def until_config(connection: ClientConnection, name: str, value: object) -> None:
    end = time.monotonic() + 5
    while heard(connection).get("config", {}).get(name) != value:
        assert time.monotonic() < end


def until_job(connection: ClientConnection, job: str, status: str) -> None:
    end = time.monotonic() + 10
    while (job, status) not in {(each["job_id"], each["status"]) for each in heard(connection)["jobs"]}:
        assert time.monotonic() < end


def test_socket_tells_the_status_at_once_and_at_least_every_second(stack: Stack) -> None:
    system = create(stack, **SMALL)
    with socket(stack, system) as connection:
        assert heard(connection, 0.5) == stack.client.get(f"/systems/{system}").json()["status"] | {"jobs": []}
        began = time.monotonic()
        for _ in range(4):
            assert set(heard(connection)) == {
                "particle_type",
                "particle_count",
                "max_particles",
                "config",
                "audio_loaded",
                "jobs",
            }
        assert time.monotonic() - began < 4.5


def test_socket_tells_the_progress_of_jobs_and_how_they_end(stack: Stack) -> None:
    system = create(stack, **LONG, seed=106)
    submit(stack, create(stack, **SMALL, seed=107))  # another system's is not told
    told: list[dict[str, Any]] = []
    with socket(stack, system) as connection:
        heard(connection)
        job = submit(stack, system)
        end = time.monotonic() + 40
        while len({each["progress"] for each in told}) < 4:
            told += heard(connection)["jobs"]
            assert time.monotonic() < end, told
        stack.client.post(f"/jobs/{job}/cancel")
        until_job(connection, job, "cancelled")
        assert heard(connection)["jobs"] == [stack.client.get(f"/jobs/{job}").json()]
    assert {(each["job_id"], each["status"]) for each in told} <= {(job, "queued"), (job, "rendering")}


def test_socket_tells_a_job_that_is_over_at_once(stack: Stack) -> None:
    """As one is that was rendered before."""
    system = create(stack, **SMALL, seed=108)
    rendered(stack, system)
    with socket(stack, system) as connection:
        until_job(connection, submit(stack, system), "completed")


def test_change_is_seen_by_every_listener(stack: Stack) -> None:
    """Also by those of another process, and also where it was made by HTTP."""
    system = create(stack, **SMALL)
    with (
        another_api(stack) as other,
        socket(stack, system) as one,
        socket(stack, system, str(other.base_url)) as two,
    ):
        one.send(json.dumps({"action": "update_config", "config": {"particle_count": 77}}))
        began = time.monotonic()
        until_config(one, "particle_count", 77)
        until_config(two, "particle_count", 77)
        stack.client.put(f"/systems/{system}/config", json={"config": {"bounce": True}})
        until_config(one, "bounce", True)
        until_config(two, "bounce", True)
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        '{"action": "explode"}',
        '{"action": "update_config"}',
        '{"action": "update_config", "config": 1}',
        '{"action": "update_config", "config": {"width": -1}}',
        '{"action": "update_config", "config": {"x_position": NaN}}',
        '{"action": "update_config", "config": {"\\ud800": 1}}',
        '{"action": "update_config", "config": {"fps": "1e999999999"}}',
        "x" * 600_000,
        b"\xff\x00",
    ],
    ids=range(11),
)
def test_message_that_is_wrong_is_answered_and_changes_nothing(stack: Stack, message: str | bytes) -> None:
    system = create(stack, **SMALL)
    before = stack.client.get(f"/systems/{system}").json()
    with socket(stack, system) as connection:
        connection.send(message)
        end = time.monotonic() + 5
        while "error" not in heard(connection):
            assert time.monotonic() < end
        connection.send(json.dumps({"action": "update_config", "config": {}}))  # it can go on
        assert heard(connection)["particle_count"] == 50
    assert stack.client.get(f"/systems/{system}").json() == before


@pytest.mark.parametrize("system", ["x", "%00", "00000000-0000-0000-0000-000000000000"])
def test_socket_of_an_unknown_system_is_closed(stack: Stack, system: str) -> None:
    with socket(stack, system) as connection, pytest.raises(ConnectionClosed) as closed:
        connection.recv(5)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "System not found")


def test_socket_of_a_deleted_system_is_closed(stack: Stack) -> None:
    system = create(stack, **SMALL)
    with socket(stack, system) as connection:
        heard(connection)
        stack.client.delete(f"/systems/{system}")
        with pytest.raises(ConnectionClosed):
            list(connection)
        assert connection.close_code == 1008


def test_two_sockets_that_change_a_system_at_once_lose_nothing(stack: Stack) -> None:
    system = create(stack, **SMALL)
    with socket(stack, system) as one, socket(stack, system) as two:
        for number in range(20):
            one.send(json.dumps({"action": "update_config", "config": {"particle_count": 100 + number}}))
            two.send(json.dumps({"action": "update_config", "config": {"max_particles": 200 + number}}))
        until_config(one, "particle_count", 119)
        until_config(one, "max_particles", 219)


def test_followers_that_go_leave_nothing_behind(stack: Stack) -> None:
    """A connection that breaks off is no error in the log."""
    system = create(stack, **SMALL)
    job = submit(stack, create(stack, **LONG))
    for _ in range(3):
        with stack.client.stream("GET", f"/jobs/{job}/events") as stream:
            next(stream.iter_lines())
        with socket(stack, system) as connection:
            heard(connection)
            connection.socket.close()
    stack.client.post(f"/jobs/{job}/cancel")
    assert "Traceback" not in stack.log("api"), stack.log("api")
