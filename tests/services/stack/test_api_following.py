"""Following jobs and systems: server-sent events that miss none, and the WebSocket of a system."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.fork_server import HANG
from tests.services.stack.api_calls import LONG, SMALL, another_api, create, rendered, submit
from tests.services.stack.conftest import Stack, until

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


def test_events_cover_the_whole_job(stack: Stack) -> None:
    job = submit(stack, create(stack, **SMALL, seed=101))
    told = [data for _, data in follow(stack, job)]
    assert [told[0]["status"], told[-1]["status"]] == ["queued", "completed"]
    assert {"analysing", "rendering", "joining"} <= {data["stage"] for data in told}
    assert told[-1] == stack.client.get(f"/jobs/{job}").json()
    assert [data for _, data in follow(stack, job)] == told  # whoever comes later is told the same


def test_events_resume_after_last_event_id(stack: Stack) -> None:
    job = submit(stack, create(stack, **SMALL, seed=102))
    first: list[int] = []
    with stack.client.stream("GET", f"/jobs/{job}/events") as stream:
        for number, _ in events(stream.iter_lines()):
            first.append(number)
            if len(first) == 2:
                break  # the connection breaks off
    rest = [number for number, _ in follow(stack, job, first[-1])]
    assert first + rest == [number for number, _ in follow(stack, job)]


def test_events_survive_an_api_restart(stack: Stack) -> None:
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


def test_finished_stream_answers_204(stack: Stack) -> None:
    job = rendered(stack, create(stack, **SMALL, seed=103))
    last = follow(stack, job)[-1][0]
    for after in (last, last + 1, 2**63 - 1, 10**18):
        answer = stack.client.get(f"/jobs/{job}/events", headers={"Last-Event-ID": str(after)})
        assert answer.status_code == 204


@pytest.mark.parametrize("odd", ["x", "-1", "1.5", "9" * 50, "\u00b2"])
def test_invalid_last_event_id_is_refused(stack: Stack, odd: str) -> None:
    job = submit(stack, create(stack, **SMALL))
    answer = stack.client.get(f"/jobs/{job}/events", headers={b"Last-Event-ID": odd.encode("latin-1")})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Last-Event-ID: is not the id of an event")


def test_events_end_with_a_job_that_is_cancelled_or_deleted(stack: Stack) -> None:
    for end in ("cancel", "delete"):
        job = submit(stack, create(stack, **LONG, seed=204))
        with stack.client.stream("GET", f"/jobs/{job}/events") as stream:
            told = events(stream.iter_lines())
            while next(told)[1]["status"] != "rendering":
                pass
            if end == "cancel":
                stack.client.post(f"/jobs/{job}/cancel")
                assert list(told)[-1][1]["status"] == "cancelled"
            else:
                stack.client.delete(f"/jobs/{job}")
                list(told)


@pytest.mark.campaign
def test_idle_stream_is_kept_alive(stack: Stack) -> None:
    stack.stop("worker")
    job = submit(stack, create(stack, **SMALL, seed=105))
    try:
        with stack.client.stream("GET", f"/jobs/{job}/events") as stream:
            assert any(line == ": still here" for line in stream.iter_lines())
    finally:
        stack.start_worker()


# --- the WebSocket ---


@contextmanager
def socket(stack: Stack, system: str, base: str | None = None) -> Iterator[ClientConnection]:
    url = f"{base or stack.client.base_url}".replace("http", "ws", 1).rstrip("/") + f"/ws/{system}"
    with connect(url, open_timeout=HANG, proxy=None) as connection:
        yield connection


def heard(connection: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(connection.recv(HANG)))


def receive_until(connection: ClientConnection, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first message that is so; one comes every second, so waiting for one is not enough to know that none will."""
    end = time.monotonic() + HANG
    while not what(told := heard(connection)):
        assert time.monotonic() < end, told
    return told


def until_config(connection: ClientConnection, name: str, value: object) -> None:
    receive_until(connection, lambda told: told.get("config", {}).get(name) == value)


def until_job(connection: ClientConnection, job: str, status: str) -> None:
    receive_until(connection, lambda told: (job, status) in {(each["job_id"], each["status"]) for each in told["jobs"]})


def test_socket_sends_the_status_at_once_and_periodically(stack: Stack) -> None:
    system = create(stack, **SMALL)
    with socket(stack, system) as connection:
        assert heard(connection) == stack.client.get(f"/systems/{system}").json()["status"] | {"jobs": []}
        for _ in range(3):
            assert set(heard(connection)) == {
                "particle_type",
                "particle_count",
                "max_particles",
                "config",
                "audio_loaded",
                "jobs",
            }


def test_socket_reports_progress_and_end_of_jobs(stack: Stack) -> None:
    system = create(stack, **LONG, seed=106)
    submit(stack, create(stack, **SMALL, seed=107))  # another system's is not told
    told: list[dict[str, Any]] = []
    with socket(stack, system) as connection:
        heard(connection)
        job = submit(stack, system)
        told += receive_until(connection, lambda told: any(each["progress"] > 0 for each in told["jobs"]))["jobs"]
        stack.client.post(f"/jobs/{job}/cancel")
        until_job(connection, job, "cancelled")
        assert heard(connection)["jobs"] == [stack.client.get(f"/jobs/{job}").json()]
    assert {(each["job_id"], each["status"]) for each in told} <= {(job, "queued"), (job, "rendering")}


def test_socket_reports_a_job_that_completes_at_once(stack: Stack) -> None:
    """A job whose scene was rendered before completes at once."""
    system = create(stack, **SMALL, seed=108)
    rendered(stack, system)
    with socket(stack, system) as connection:
        until_job(connection, submit(stack, system), "completed")


def test_change_is_seen_by_every_listener(stack: Stack) -> None:
    """Listeners in other processes and changes over HTTP are included."""
    system = create(stack, **SMALL)
    with (
        another_api(stack) as other,
        socket(stack, system) as one,
        socket(stack, system, str(other.base_url)) as two,
    ):
        one.send(json.dumps({"action": "update_config", "config": {"particle_count": 77}}))
        until_config(one, "particle_count", 77)
        until_config(two, "particle_count", 77)
        stack.client.put(f"/systems/{system}/config", json={"config": {"bounce": True}})
        until_config(one, "bounce", True)
        until_config(two, "bounce", True)


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
        "x" * 400_000,
        b"\xff\x00",
    ],
    ids=range(11),
)
def test_invalid_message_is_answered_and_changes_nothing(stack: Stack, message: str | bytes) -> None:
    system = create(stack, **SMALL)
    before = stack.client.get(f"/systems/{system}").json()
    with socket(stack, system) as connection:
        connection.send(message)
        receive_until(connection, lambda told: "error" in told)
        connection.send(json.dumps({"action": "update_config", "config": {}}))  # it can go on
        assert heard(connection)["particle_count"] == 50
    assert stack.client.get(f"/systems/{system}").json() == before


def test_socket_is_closed_when_a_message_is_too_long(stack: Stack) -> None:
    with socket(stack, create(stack, **SMALL)) as connection:
        connection.send("x" * 600_000)
        with pytest.raises(ConnectionClosed):
            list(connection)
        assert connection.close_code == 1009


@pytest.mark.parametrize("system", ["x", "%00", "00000000-0000-0000-0000-000000000000"])
def test_socket_of_an_unknown_system_is_closed(stack: Stack, system: str) -> None:
    with socket(stack, system) as connection, pytest.raises(ConnectionClosed) as closed:
        connection.recv(HANG)
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


def test_concurrent_changes_over_two_sockets_are_all_kept(stack: Stack) -> None:
    system = create(stack, **SMALL)
    with socket(stack, system) as one, socket(stack, system) as two:
        for number in range(20):
            one.send(json.dumps({"action": "update_config", "config": {"particle_count": 100 + number}}))
            two.send(json.dumps({"action": "update_config", "config": {"max_particles": 200 + number}}))
        until_config(one, "particle_count", 119)
        until_config(one, "max_particles", 219)


def test_broken_connections_leave_no_open_files_or_errors(stack: Stack) -> None:
    """A broken connection is not logged as an error, and no file stays open."""
    before = len(stack.log("api"))
    system = create(stack, **SMALL)
    job = submit(stack, create(stack, **LONG, seed=205))
    open_files = Path(f"/proc/{stack.processes['api'].pid}/fd")
    files = 0
    for number in range(12):
        with stack.client.stream("GET", f"/jobs/{job}/events") as stream:
            next(stream.iter_lines())
        with socket(stack, system) as connection:
            heard(connection)
            connection.socket.close()
        if number == 1:  # connections to the database and to Redis are open by now, and stay
            files = len(list(open_files.iterdir()))
    until(lambda: len(list(open_files.iterdir())) <= files + 2, stack)
    stack.client.post(f"/jobs/{job}/cancel")
    said = stack.log("api")[before:]
    assert "Traceback" not in said, said
