"""A process one of whose loops has ended ends with the reason in its log; a supervisor starts it again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import ROOT, environment_of
from tests.waiting import HANG

# The process with a loop that fails, after a moment, as if by a bug.
_BROKEN = """
import asyncio, importlib, sys
from services.cli.main import main

async def broken(*_, **__):
    await asyncio.sleep(0.2)
    raise RuntimeError("the reason")

module, name, method = sys.argv[1].split(":")
owner = getattr(importlib.import_module(module), name)
getattr(owner, method)  # there is such a loop
setattr(owner, method, broken)
sys.exit(main(sys.argv[2:]))
"""
WORKER, API = ("worker", "--size", "1"), ("api", "--port", "0")


@pytest.mark.parametrize(
    ("command", "broken"),
    [
        (WORKER, "services.worker.main:Worker:_take"),
        (WORKER, "services.jobs.local_queue:LocalQueue:take"),
        (WORKER, "services.jobs.dispatcher:Dispatcher:run"),
        (WORKER, "services.jobs.dispatcher:Dispatcher:_offer"),
        (WORKER, "services.webhooks.delivery:Deliverer:run"),
        (WORKER, "services.retention.janitor:Janitor:run"),
        (WORKER, "services.database.clock_skew:SkewCheck:run"),
        (API, "services.database.clock_skew:SkewCheck:run"),
        (API, "services.api.poller:Poller:_run"),
        (API, "services.api.notifier:TaskNotifier:_run"),
    ],
)
def test_process_ends_with_its_reason(command: tuple[str, ...], broken: str, tmp_path: Path) -> None:
    environment = environment_of(tmp_path, {"MOTES_REDIS_URL": f"local://{tmp_path}/queue", "MOTES_LOG_FORMAT": "text"})
    done = subprocess.run(
        (sys.executable, "-c", _BROKEN, broken, *command),
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "CRITICAL motes.process: the process ends, as its loop" in done.stderr
    assert "RuntimeError: the reason" in done.stderr
