"""``motes api``: the REST API alone, for a service of several machines."""

from __future__ import annotations

import argparse
import gc
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from services.cli.service_database import prepare
from services.cli.service_settings import add_data_argument, require_service, settings_from, variable
from services.observability import logs

if TYPE_CHECKING:
    import uvicorn

    from services.settings import ServiceSettings

HELP = "Run the REST API alone; `motes serve` runs everything on one machine."
EXAMPLES = """\
examples:
  motes api
  motes api --host 0.0.0.0 --port 80
  MOTES_REDIS_URL=redis://queue MOTES_DATABASE_URL=postgresql+asyncpg://db/motes motes api
"""
_GRACE = 5  # seconds to finish responses after a signal to stop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--host", help="address to listen on (default: $MOTES_HOST or 127.0.0.1)")
    parser.add_argument("--port", type=int, help="default: $MOTES_PORT or 8000; 0 is any that is free")
    # For the supervisor, which owns the socket, waits for the API to answer, and checks the settings first.
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    add_data_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Answer until Ctrl-C or SIGTERM."""
    gc.disable()  # during the start collections would take a fifth of the time and find nothing
    settings = settings_from(arguments, "host", "port", "data")
    with require_service():
        from services.processes.listener import listen, url_of
        from services.processes.loops import end_process
    logs.set_up(form=settings.log_format, level=settings.log_level)
    if arguments.check:
        prepare(settings)
        return
    supervised = arguments.fd is not None
    listener = socket.socket(fileno=arguments.fd) if supervised else listen(settings.host, settings.port)
    with listener:
        prepare(settings)
        where = {"data": settings.data, "host": settings.host, "port": listener.getsockname()[1]}
        for name, value in where.items():
            os.environ[variable(name)] = str(value)  # the application reads them here
        url = url_of(listener)

        def say_ready() -> None:
            if arguments.ready_fd is not None:
                os.write(arguments.ready_fd, b".")
            else:
                print(f"The API is ready: {url}/particles (docs: {url}/docs); Ctrl-C stops it", flush=True)

        server = _server(settings, say_ready)
        end_process.end = partial(setattr, server, "should_exit", True)
        server.run([listener])
        if end_process.wanted:  # the log says why
            sys.exit(1)


def _server(settings: ServiceSettings, on_ready: Callable[[], None]) -> uvicorn.Server:
    """A server that calls ``on_ready`` once it answers."""
    import uvicorn

    from services.api.middleware.connections import server_options

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            gc.enable()
            if not self.should_exit:
                on_ready()

    config = uvicorn.Config(
        "services.api:create_app",
        factory=True,
        log_config=None,
        log_level="warning",
        access_log=False,  # services.api.middleware.request_context logs each request
        timeout_graceful_shutdown=_GRACE,
        **server_options(settings) | {"proxy_headers": False},  # services.api.middleware.forwarded_headers reads them
    )
    return Server(config)
