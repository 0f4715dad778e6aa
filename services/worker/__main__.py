"""``python -m services.worker``: a worker, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal

from services.settings import ServiceSettings
from services.worker.main import Worker


async def _main(size: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await Worker(ServiceSettings(), size=size).run(stop)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=os.cpu_count() or 1, help="tasks at a time")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_main(parser.parse_args().size))
