"""``bench/faults.py``: what counts as waiting after a fault, which files may be lost, servers that stop and start."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.fault_kinds import Outage, _sort_of
from bench.faults import WITHIN, Faults
from bench.server_control import WHERE, Servers, obeying
from bench.wrong_clock import set_clock, wrong_by
from tests.services.servers import forwarder

TASK = ("t", 1)


def faults(*rows: tuple[str, int, str]) -> Faults:
    """Faults of a stack with these tasks: id, attempt, status."""
    return Faults(cast(Any, SimpleNamespace(rows=lambda _: list(rows))), random.Random(1), {})


def ago(seconds: float) -> float:
    return time.monotonic() - seconds


def test_wait_begins_at_the_end_of_the_outage() -> None:
    found, outage = faults(("t", 2, "running")), Outage([TASK], over=ago(5))
    assert outage.over is not None
    found.lost[TASK] = outage
    found.look()
    [waited] = found.waited
    assert 5 <= waited <= time.monotonic() - outage.over
    assert not found.lost


def test_wait_begins_at_the_end_of_whatever_stops_everybody() -> None:
    found = faults(("t", 2, "running"))
    found.lost[TASK] = Outage([TASK], kills=True, over=ago(1000))
    found.shared = [Outage(shared=True, over=None)]
    found.look()
    assert found.waited == [0.0]


@pytest.mark.parametrize(
    ("kills", "row", "is_kept"),
    [
        (True, ("t", 1, "running"), True),  # its process is dead, whatever the database says yet
        (False, ("t", 1, "running"), False),  # it went on
        (False, ("t", 2, "ready"), True),
        (True, ("t", 1, "done"), False),  # just before
        (True, ("other", 1, "done"), False),  # its job was planned again
    ],
)
def test_tasks_that_went_on_or_are_done_were_not_interrupted(
    kills: bool, row: tuple[str, int, str], is_kept: bool
) -> None:
    found = faults(row)
    found.lost[TASK] = Outage([TASK], kills=kills, over=ago(3 * WITHIN))
    found.look()
    assert found.waited == []
    assert bool(found.lost) == is_kept


@pytest.mark.parametrize(
    ("key", "sort"),
    [
        ("scenes/ab/video.t.1.mp4", "result"),
        ("scenes/ab/poster.t.1.png", "result"),
        ("scenes/ab/segments/3.t.1.mp4", "segments"),
        ("scenes/ab/plans/t/plan.npz", "plan"),
        ("scenes/ab/plans/t/snapshots/3.npz", "snapshots"),
        ("analyses/cd/v.npz", "analysis"),
        ("analyses/cd/corrections/d.json", ""),
    ],
)
def test_files_that_can_be_made_again_may_be_lost(key: str, sort: str) -> None:
    assert _sort_of(key)[0] == sort


def test_clock_is_wrong_for_one_process_or_for_all(tmp_path: Path) -> None:
    assert wrong_by(tmp_path) == 0
    set_clock(tmp_path, "all", -20)
    assert wrong_by(tmp_path) == -20
    set_clock(tmp_path, str(os.getpid()), 3600)
    assert wrong_by(tmp_path) == 3600


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that answers each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"here")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


def answer_of(port: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            return connection.recv(10)
    except OSError:
        return b"refused"


def test_script_stops_a_server_and_starts_it_again(echo: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with forwarder(echo) as (port, server), obeying({"s3": server}, tmp_path / "control") as places:
        monkeypatch.setenv(WHERE, places[WHERE])
        servers = Servers.given()
        assert servers is not None
        assert servers.names == ("s3",)
        assert answer_of(port) == b"here"
        servers.tell("s3", "kill")
        assert answer_of(port) == b"refused"
        servers.tell("s3", "start")
        assert answer_of(port) == b"here"
        servers.tell("s3", "pause")
        with socket.create_connection(("127.0.0.1", port)) as connection:
            servers.tell("s3", "resume")
            assert connection.recv(10) == b"here"
        with pytest.raises(RuntimeError, match="s3: fly"):
            servers.tell("s3", "fly")
