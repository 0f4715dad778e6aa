"""How tests wait: until something has happened, however slow the machine is. Only a test that hangs fails by time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

HANG = 300.0  # seconds after which whatever is waited for counts as hung


async def eventually(condition: Callable[[], Any], *, why: Callable[[], object] = lambda: "it never happened") -> Any:
    """Return what the condition returns, or what awaiting that returns, as soon as it is true."""
    end = time.monotonic() + HANG
    while not (found := await found if inspect.isawaitable(found := condition()) else found):
        assert time.monotonic() < end, why()
        await asyncio.sleep(0.01)
    return found
