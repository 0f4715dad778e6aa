"""The queue on a real Redis: what a worker leaves half done as it stops."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

import pytest

from services.jobs.arq_queue import Queue
from tests.service import running_redis
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.debian("redis-server")]


async def test_cancelled_transaction_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_redis(tmp_path) as url:
        async with Queue.open(url) as queue:

            async def is_up() -> bool:
                queue._not_before = 0.0  # ask again, although it did not answer just now
                return await queue.enqueue("a", 1)

            await eventually(is_up)
            caplog.clear()
            pipeline = queue._redis.pipeline()
            await pipeline.watch("key")
            connection = pipeline.connection
            assert connection.is_connected
            with caplog.at_level(logging.DEBUG):
                del pipeline
                gc.collect()
            assert caplog.messages == []
            assert not connection.is_connected
            assert await queue.enqueue("b", 1)
