"""Leases, waits and turns depend on the time: in these tests it passes only when they say so."""

from __future__ import annotations

import pytest

from tests.services.moments import Clock


@pytest.fixture(autouse=True)
def _time_stands_still(clock: Clock) -> None:
    pass
