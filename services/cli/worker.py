"""``motes worker``: renders what the API accepts; run any number on any number of machines."""

from __future__ import annotations

import argparse
import socket

from ecs_core.cores import available_cores
from ecs_core.errors import MotesError
from services.cli.service_database import prepare
from services.cli.service_settings import add_data_argument, require_service, settings_from
from services.observability import logs

HELP = "Run a worker, which renders what the API accepts; `motes serve` runs everything on one machine."
EXAMPLES = """\
examples:
  motes worker
  motes worker --size 8 --name render-3 --nice 10
  motes worker --metrics-port 9101
  MOTES_REDIS_URL=redis://queue MOTES_DATABASE_URL=postgresql+asyncpg://db/motes motes worker
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "--size", type=int, default=available_cores(), help="tasks at a time, a process each (default: one per core)"
    )
    parser.add_argument("--name", help="for people, in logs and lists of tasks (default: its process id)")
    parser.add_argument("--nice", type=int, default=0, help="how far rendering gives way to other processes, 0 to 19")
    parser.add_argument(
        "--metrics-port", type=int, help="where Prometheus may ask it (default: $MOTES_METRICS_PORT, or nowhere)"
    )
    # For the supervisor: its workers share one fork server, and take back at once what they held when they were killed.
    parser.add_argument("--fork-server", metavar="FD", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--identity", help=argparse.SUPPRESS)
    add_data_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Work until Ctrl-C or SIGTERM; what is unfinished then is given back."""
    if not 1 <= arguments.size <= 256:
        raise MotesError(f"--size {arguments.size}: must be between 1 and 256")
    if not 0 <= arguments.nice <= 19:
        raise MotesError(f"--nice {arguments.nice}: must be between 0 and 19")
    settings = settings_from(arguments, "data", "metrics_port")
    with require_service():
        from services.worker.main import run as work
    logs.set_up(form=settings.log_format, level=settings.log_level)
    prepare(settings)
    shared = None if arguments.fork_server is None else socket.socket(fileno=arguments.fork_server)
    who = {"name": arguments.name, "identity": arguments.identity}
    work(settings, size=arguments.size, **who, nice=arguments.nice, fork_server=shared)
