"""How much later an owner's webhook arrives beside another owner's tarpit than without it.

    python bench/webhooks.py
    python bench/webhooks.py --waiting 100000
    python -m tests.services.servers bench/webhooks.py    # PostgreSQL

A worker's delivery runs beside a receiver that takes connections and never answers, with that many messages to it, and
to ``--hosts`` names of it. Meanwhile another owner's messages are stored one after the other. It prints the median and
the longest time from storing one until it arrives, without and beside the tarpit, and their ratio. The goal: a second
more at most.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import delete, insert

from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from services.database.models import DeliveryRow, JobRow, new_id
from services.settings import ServiceSettings
from services.webhooks.delivery import Deliverer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GOAL = 1.0  # seconds
_BATCH = 5000  # rows


async def this_machine(host: str, port: int) -> Sequence[str]:
    """A name server for which every name is this machine's."""
    return ["127.0.0.1"]


async def store(sessions: Sessions, owner: str, urls: Sequence[str]) -> None:
    """Messages of an owner, one to each URL."""
    job = JobRow(
        id=new_id(),
        owner=owner,
        fairness_key=owner,
        system_id="x",
        scene={"type": "snow"},
        scene_key="x",
        output_path="x.mp4",
    )
    async with sessions.begin() as session:
        session.add(job)
    for first in range(0, len(urls), _BATCH):
        rows = [
            {"job_id": job.id, "url": url, "event": "job.completed", "payload": {"type": "job.completed"}}
            for url in urls[first : first + _BATCH]
        ]
        async with sessions.begin() as session:
            await session.execute(insert(DeliveryRow), rows)


async def delays(sessions: Sessions, settings: ServiceSettings, *, waiting: Sequence[str], number: int) -> list[float]:
    """Seconds until each of so many messages arrived, while others wait."""
    arrived = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        arrived.set()
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with sessions.begin() as session:
        await session.execute(delete(DeliveryRow))
    await store(sessions, "mallory", waiting)
    delivery = asyncio.create_task(Deliverer(sessions, settings, resolve=this_machine).run())
    found = []
    for each in range(number + 1):
        arrived.clear()
        began = time.perf_counter()
        await store(sessions, "alice", [url])
        await arrived.wait()
        if each:  # before the first, what waited was noted
            found.append(time.perf_counter() - began)
        else:
            print(f"  the first after {time.perf_counter() - began:.2f} s", flush=True)
        await asyncio.sleep(0.2)
    delivery.cancel()
    with suppress(asyncio.CancelledError):
        await delivery
    server.close()
    return found


async def measure(options: argparse.Namespace, data: str) -> bool:
    """Print the delays; whether the goal is met."""
    settings = ServiceSettings.model_validate(
        {"data": data, "webhook_secret": SECRET, "webhook_private_targets": True}
        | ({} if os.environ.get("MOTES_DATABASE_URL") else {"database_url": ""})
    )
    await upgrade(settings.database)
    engine, sessions = open_database(settings.database)
    held = list[asyncio.StreamWriter]()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)  # and never answer

    tarpit = await asyncio.start_server(hold, "127.0.0.1", 0, backlog=1000)
    port = tarpit.sockets[0].getsockname()[1]
    urls = [f"http://n{number % options.hosts}.example.com:{port}/" for number in range(options.waiting)]
    print(f"{engine.dialect.name}, {options.number} messages each, {options.waiting} waiting for {options.hosts} hosts")
    alone = await delays(sessions, settings, waiting=[], number=options.number)
    beside = await delays(sessions, settings, waiting=urls, number=options.number)
    for name, found in (("without", alone), ("beside", beside)):
        print(f"{name:8} median {statistics.median(found):.2f} s, longest {max(found):.2f} s")
    print(
        f"ratio of medians {statistics.median(beside) / statistics.median(alone):.2f}, {len(held)} held by the tarpit"
    )
    for writer in held:
        writer.close()
    tarpit.close()
    await engine.dispose()
    return max(beside) - max(alone) <= GOAL


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waiting", type=int, default=300, help="messages to the tarpit (default: %(default)s)")
    parser.add_argument("--hosts", type=int, default=1, help="names that it has (default: %(default)s)")
    parser.add_argument("--number", type=int, default=20, help="messages that are timed (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        if not asyncio.run(measure(options, data)):
            print(f"MISSED: a tarpit delays others by at most {GOAL:g} s")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
