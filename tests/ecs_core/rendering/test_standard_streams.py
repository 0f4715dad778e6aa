"""Messages through standard streams arrive whole, in order, and apart from what else is printed or read."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ecs_core.rendering.standard_streams import Input, connection_from
from tests.waiting import HANG

CHILD = """
import os, sys
from ecs_core.rendering.standard_streams import StandardStreams, take_standard_output

parent = StandardStreams(lambda: os._exit(3), take_standard_output())
print("printed by a plugin", flush=True)
os.write(1, b"printed by a library\\n")
parent.send(sys.stdin.read())
while True:
    message = parent.recv()
    if message == "end":
        parent.send("the end")
        break
    if message == "break off":
        os.write(parent._outgoing.fileno(), (1000).to_bytes(8, "big") + b"only the beginning")
        os._exit(0)
    parent.send(message)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        yield process
        process.kill()


def test_messages_come_back_and_prints_go_to_standard_error(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stderr is not None
    told, connection = Input(child.stdin), connection_from(child)
    with connection:
        messages = ["one", b"\n" * 5_000_000, {"three": 3}]
        for message in [*messages, "end"]:
            told.send(message)
        assert connection.recv() == "", "nothing but messages is read, and nobody else reads them"
        assert [connection.recv() for _ in messages] == messages
        assert connection.recv() == "the end", "also if the child ends at once"
        with pytest.raises(EOFError):
            connection.recv()
    assert child.stderr.read() == b"printed by a plugin\nprinted by a library\n"


def test_half_a_message_is_an_end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    with connection_from(child) as connection:
        Input(child.stdin).send("break off")
        assert connection.recv() == ""
        with pytest.raises(EOFError):
            connection.recv()


def test_child_ends_with_its_parent(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    half = pickle.dumps("half a message")
    child.stdin.write(len(half).to_bytes(8, "big") + half[:5])
    child.stdin.close()
    assert child.wait(HANG) == 3


def test_child_whose_parent_does_not_listen_any_more_ends(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.close()
    Input(child.stdin).send("one")
    assert child.wait(HANG) == 3


def test_sending_to_a_child_that_has_ended_is_an_error(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.kill()
    child.wait(HANG)
    with pytest.raises(OSError, match="pipe"):
        Input(child.stdin).send("one")
    with pytest.raises(OSError, match="pipe"):
        child.stdin.close()
