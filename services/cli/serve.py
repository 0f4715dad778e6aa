"""``motes serve``: the API and its workers on this machine."""

from __future__ import annotations

import argparse
import gc
import os

from ecs_core.cores import available_cores
from ecs_core.errors import MotesError
from services.cli.service_settings import (
    add_data_argument,
    require_service,
    settings_from,
    variable,
    warn_of_misspelt,
)
from services.observability import logs

HELP = "Run the whole service on this machine: the REST API and workers."
EXAMPLES = """\
examples:
  motes serve
  motes serve --port 9000 --workers 4 --data /srv/motes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--port", type=int, help="where the API listens (default: 8000; 0 is any port that is free)")
    parser.add_argument("--host", help="address the API listens on (default: 127.0.0.1)")
    parser.add_argument("--workers", type=int, default=available_cores(), help="default: one per core")
    add_data_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    if not 1 <= arguments.workers <= 256:
        raise MotesError(f"--workers {arguments.workers}: must be between 1 and 256")
    settings = settings_from(arguments, "host", "port", "data")
    warn_of_misspelt()
    if (settings.metrics_port or 0) + arguments.workers - 1 > 65535:
        raise MotesError(f"MOTES_METRICS_PORT = {settings.metrics_port}: every worker needs a port, the last is 65535")
    with require_service():
        from services.processes.supervisor import serve
    logs.set_up(form=settings.log_format, level=settings.log_level)
    serve(settings, workers=arguments.workers, load=_load, command=arguments.motes, on_ready=_say_ready)


def _load() -> None:
    """Import what the API and the workers need, before they are forked."""
    gc.disable()  # collections would take a sixth of the time and find nothing
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # forked processes do not inherit threads
    import aiosqlite  # noqa: F401 - used by the forked processes
    import uvicorn  # noqa: F401 - likewise

    import services.api.app
    import services.worker.main  # noqa: F401 - likewise
    from services.jobs.render_spec import renderable_versions

    renderable_versions()  # cached now: packages may be upgraded on disk later
    gc.freeze()  # keeps pages shared between forked processes: collections do not touch frozen objects
    gc.enable()


def _say_ready(url: str) -> None:
    print(f"Motes is ready: {url}/particles (docs: {url}/docs); Ctrl-C stops it", flush=True)
    if variable("redis_url") not in os.environ:
        print(
            "Running without Redis, which only several machines need: set MOTES_REDIS_URL to share work between them",
            flush=True,
        )
