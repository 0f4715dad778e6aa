"""A process whose clock differs from the database's says so: once, and as a metric."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

import pytest

from services.database import clock as module
from services.database.clock_skew import SkewCheck
from services.database.engine import open_database
from services.observability import metrics
from tests.services.moments import Clock

pytestmark = pytest.mark.anyio


async def test_wrong_clock_is_reported_once_until_it_is_right(
    database: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine, sessions = open_database(database)
    check, said = SkewCheck(sessions), []
    caplog.set_level(logging.INFO, "motes.clock")
    monkeypatch.setattr(module, "uptime", lambda: 0.0)  # the database answers at once
    for wrong in (0.0, 3600.0, 3600.0, -7200.0, 0.0, -60.0):
        caplog.clear()
        monkeypatch.setattr(time, "time", lambda wrong=wrong: clock().timestamp() + wrong)
        await check.check()
        assert metrics.CLOCK_SKEW._value.get() == sessions.clock.skew == pytest.approx(wrong, abs=0.01)
        said += [record.message.partition(":")[0] for record in caplog.records] or [""]
    assert said == [
        "",
        "the clock of this process is 3600.0 s ahead of the database's",
        "",
        "",
        "the clock of this process and the database's agree again",
        "the clock of this process is 60.0 s behind the database's",
    ]
    await engine.dispose()


async def test_slow_answer_is_no_skew(database: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, sessions = open_database(database)
    uptime = iter((0.0, 60.0, 60.0))
    monkeypatch.setattr(module, "uptime", lambda: next(uptime))
    right = clock().timestamp()
    monkeypatch.setattr(time, "time", lambda: right - 50.0)  # the database read its own 10 s before it answered
    await sessions.clock.ask()
    assert sessions.clock.skew == 0
    await engine.dispose()


async def test_time_is_asked_for_rarely_and_goes_on(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, sessions = open_database(database)
    up = 1000.0
    monkeypatch.setattr(module, "uptime", lambda: up)
    first = await sessions.clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(sessions.clock, "ask", None)
    up += module._FRESH
    assert await sessions.clock.now() == first + timedelta(seconds=module._FRESH)
    up += 1
    with pytest.raises(TypeError):  # it asks again
        await sessions.clock.now()
    await engine.dispose()
