"""A process whose clock differs from the database's says so: once, and as a metric."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

import pytest

from services.database.clock_skew import SkewCheck
from services.database.engine import open_database
from services.observability import metrics

pytestmark = pytest.mark.anyio


async def test_wrong_clock_is_reported_once_until_it_is_right(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine, sessions = open_database(database)
    check, right, said = SkewCheck(sessions), time.time, []
    caplog.set_level(logging.INFO, "motes.clock")
    for wrong in (0.0, 3600.0, 3600.0, -7200.0, 0.0, -60.0):
        caplog.clear()
        monkeypatch.setattr(time, "time", lambda wrong=wrong: right() + wrong)
        await check.check()
        assert abs(metrics.CLOCK_SKEW._value.get() - wrong) < 5
        assert abs(sessions.clock.skew - wrong) < 5
        said.append([record.message[:63] for record in caplog.records])
    assert [len(each) for each in said] == [0, 1, 0, 0, 1, 1]
    assert said[1][0].startswith("the clock of this process is 3600.") or said[1][0].startswith(
        "the clock of this process is 3599."
    )
    await engine.dispose()


async def test_time_is_asked_for_rarely_and_goes_on(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, sessions = open_database(database)
    first = await sessions.clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(sessions.clock, "ask", None)
    second = await sessions.clock.now()
    assert timedelta(0) <= second - first < timedelta(minutes=5)
    await engine.dispose()
