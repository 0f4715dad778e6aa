"""``motes serve``: the API, its workers and Redis, on this machine."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
from pathlib import Path

from ecs_core.errors import MotesError

HELP = "Run the whole service on this machine: the REST API, workers, and a private Redis."
EXAMPLES = """\
examples:
  motes serve
  motes serve --port 9000 --workers 4 --data /srv/motes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--port", type=int, help="where the API listens (default: 8000)")
    parser.add_argument("--host", help="address the API listens on (default: 127.0.0.1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="default: one per core")
    parser.add_argument("--data", type=Path, help="folder of everything that is kept (default: motes-data)")


def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    if not 1 <= arguments.workers <= 256:
        raise MotesError(f"--workers {arguments.workers}: must be between 1 and 256")
    try:
        from services.settings import ServiceSettings  # noqa: PLC0415 - not everybody installs the service
        from services.supervisor import serve  # noqa: PLC0415
    except ImportError as error:
        raise MotesError(
            f"the service is not installed ({error.name} is missing): pip install motes[service]"
        ) from None
    over = {name: getattr(arguments, name) for name in ("port", "host", "data") if getattr(arguments, name) is not None}
    settings = ServiceSettings(**over)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    print(f"Motes serves http://{settings.host}:{settings.port}/particles, docs at /docs; Ctrl-C to stop", flush=True)
    asyncio.run(serve(settings, workers=arguments.workers))
