"""The stream of a job's events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.api.routes import events
from services.database.models import JobRow

pytestmark = pytest.mark.anyio


async def test_idle_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_new(job: str) -> int:
        return 0

    monkeypatch.setattr(events, "_KEEP_ALIVE_EVERY", -1.0)  # it has been idle for longer
    service: Any = SimpleNamespace(event_poller=SimpleNamespace(next=nothing_new))
    caller: Any = None
    stream = events._stream(service, caller, JobRow(id="job"), [], 0)
    assert [await anext(stream) for _ in range(3)] == ["retry: 1000\n\n", *[": still here\n\n"] * 2]
    await stream.aclose()  # type: ignore[attr-defined]


async def test_stream_is_quiet_until_then() -> None:
    calls = 0

    async def deleted_after_three(job: str) -> int | None:
        nonlocal calls
        calls += 1
        return None if calls == 3 else 0

    service: Any = SimpleNamespace(event_poller=SimpleNamespace(next=deleted_after_three))
    caller: Any = None
    assert [each async for each in events._stream(service, caller, JobRow(id="job"), [], 0)] == ["retry: 1000\n\n"]
