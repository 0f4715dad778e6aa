"""How tests wait: until something has happened, however slow the machine is. Only a test that hangs fails by time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

HANG = 300.0  # seconds after which whatever is waited for counts as hung


def wait_until(condition: Callable[[], Any], *, why: Callable[[], object] = lambda: "it never happened") -> Any:
    """Return what the condition returns as soon as that is true."""
    end = time.monotonic() + HANG
    while not (found := condition()):
        assert time.monotonic() < end, why()
        time.sleep(0.01)
    return found


async def eventually(condition: Callable[[], Any], *, why: Callable[[], object] = lambda: "it never happened") -> Any:
    """Likewise in an event loop; the condition may be a coroutine function."""
    end = time.monotonic() + HANG
    while not (found := await found if inspect.isawaitable(found := condition()) else found):
        assert time.monotonic() < end, why()
        await asyncio.sleep(0.01)
    return found
