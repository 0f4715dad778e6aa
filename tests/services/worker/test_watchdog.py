"""When the watchdog says that a process must be killed, for any speed of the machine; its time and its processes are
made up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ecs_core.video.encoding import STEPS
from services.processes.process_activity import Activity
from services.worker.deadlines import TRIES, deadline_of
from services.worker.watchdog import LOOK_EVERY, Verdict, Watchdog

pytestmark = pytest.mark.anyio
STALL, DEADLINE = 60.0, 1000.0
BUSY, IDLE = 1.0, 0.0  # shares of a processor


class Machine:
    """What the watchdog sees: the time, and a process that gets a share of a processor."""

    def __init__(self, *, stall: float = STALL, deadline: float = DEADLINE) -> None:
        self.now = self.cpu = 0.0
        self.is_ready = False
        self.told: list[dict[str, Any]] = []
        self.dog = Watchdog(
            stall=stall,
            deadline=deadline,
            activity=lambda pid: Activity(self.cpu, self.is_ready),
            clock=lambda: self.now,
        )
        self._messages = self.dog.messages(self._sent())

    async def _sent(self) -> AsyncIterator[dict[str, Any]]:
        while self.told:
            yield self.told.pop(0)

    async def message(self, **message: Any) -> None:
        """It says something, which has been handled when the next message is asked for."""
        self.told += [message, {"done": True}]
        await anext(self._messages)

    def run(self, seconds: float, share: float, *, every: float = LOOK_EVERY) -> Verdict | None:
        """Time passes; the first verdict."""
        end = self.now + seconds
        while self.now < end:
            self.now += every
            self.cpu += share * every
            if (verdict := self.dog.look(1)) is not None:
                return verdict
        return None


async def begun(**limits: float) -> Machine:
    machine = Machine(**limits)
    machine.dog._paused = False
    return machine


async def test_waiting_process_hangs_by_the_clock() -> None:
    machine = await begun()
    assert machine.run(STALL - 1, IDLE) is None
    assert machine.run(2, IDLE) == Verdict("no progress for 60 s, while it waits for something", is_waiting=True)


async def test_computing_process_hangs_by_its_processor_time() -> None:
    machine = await begun()
    assert machine.run(STALL - 1, BUSY) is None
    assert machine.run(2, BUSY) == Verdict("no progress for 60 s, while it computes")


async def test_process_that_a_busy_machine_starves_is_not_taken_for_hung() -> None:
    machine = await begun()
    assert machine.run(10 * STALL, 0.05) is None
    machine.is_ready = True  # it got nothing at all for a while, but would have used it
    assert machine.run(10 * STALL, IDLE) is None


async def test_many_threads_count_as_one() -> None:
    machine = await begun()
    assert machine.run(STALL - 1, 8.0) is None
    assert machine.run(2, 8.0) is not None


async def test_time_in_which_the_worker_was_stopped_itself_does_not_count() -> None:
    machine = await begun()
    assert machine.run(20 * STALL, IDLE, every=10 * STALL) is None


async def test_task_that_advances_for_ever_is_past_its_deadline() -> None:
    machine = await begun()
    machine.dog._stall = 2 * DEADLINE
    assert machine.run(2 * DEADLINE, BUSY) == Verdict("not done after 1000 s")
    assert machine.now == pytest.approx(DEADLINE, abs=1)


async def test_messages_are_signs_of_life_and_heartbeats_end_here() -> None:
    dog = Machine()
    seen = []

    async def sent() -> AsyncIterator[dict[str, Any]]:
        for message in ({"beat": 1}, {"progress": 3}, {"beat": 2}, {"done": True}):
            assert dog.run(STALL - 1, IDLE) is None
            yield message

    async for message in dog.dog.messages(sent()):
        assert dog.run(3 * STALL, IDLE) is None  # while it is handled, as by a database that is down
        seen.append(message)
    assert seen == [{"progress": 3}, {"done": True}]
    assert dog.run(3 * STALL, IDLE) is None  # nothing is waited for


@pytest.mark.parametrize(
    ("scene", "kind", "frames", "seconds", "usual"),
    [
        ({"config": {"width": 7680, "height": 4320, "fps": 30}}, "segment", 60, 0, 300),
        ({"config": {"width": 320, "height": 180, "fps": 30}}, "segment", 60, 0, 1),
        ({"config": {"fps": 60, "particle_count": 250_000}}, "plan", 0, 3600.0, 216_000 * 0.03),
        ({"config": {"fps": 60, "particle_count": 250_000}, "at": 3500.0}, "frame", 0, 0, 216_000 * 0.03),
        ({"config": {"fps": "30000/1001"}, "audio": "a"}, "sound", 0, 10_800.0, 600),
        ({"config": {"fps": "30000/1001"}, "audio": "a"}, "join", 0, 10_800.0, 150),
        ({"audio": "a"}, "analysis", 0, 0, 200),
    ],
)
def test_deadlines_are_far_beyond_what_is_usual(
    scene: dict[str, Any], kind: str, frames: int, seconds: float, usual: float
) -> None:
    deadline = deadline_of(scene, kind, frames=frames, seconds=seconds)
    assert 10 * usual < deadline
    assert deadline >= 900


def test_segment_of_a_given_size_may_be_encoded_again_and_again() -> None:
    assert TRIES == STEPS
