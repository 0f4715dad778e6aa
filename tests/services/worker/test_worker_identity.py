"""Who a worker is: an id made at each start; its name is for people."""

from __future__ import annotations

from services.settings import ServiceSettings
from services.worker.main import Worker


def test_workers_of_one_name_and_process_are_others() -> None:
    names = {Worker(ServiceSettings(), size=1, name=name)._name for name in ("1", "1", None, None)}
    assert len(names) == 4
    assert sum(":1:" in name for name in names) >= 2


def test_supervisor_alone_keeps_an_identity() -> None:
    first, second = (Worker(ServiceSettings(), size=1, name="1", identity="f00")._name for _ in range(2))
    assert first == second
    assert first.endswith(":1:f00")
