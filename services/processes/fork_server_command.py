"""How a fork server is started: its command, and its environment, which holds no secret."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ecs_core.rendering.environment import ENVIRONMENT

# What a process that touches what clients sent, or runs plugins, has no business with.
_SECRETS = ("MOTES_DATABASE_URL", "MOTES_REDIS_URL", "MOTES_WEBHOOK_SECRET")


def fork_server_command(storage_url: str, *, nice: int, parent: int) -> list[str]:
    """The command; what it is asked for comes through its standard input, see ``services.worker.fork_server``.

    The process ends with ``parent``, and gives way to others by ``nice``, as does what it forks.
    """
    return [sys.executable, "-m", "services.worker.fork_server", storage_url, str(nice), str(parent)]


def fork_server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Its environment, of one that holds secrets."""
    return {**{name: value for name, value in environment.items() if name not in _SECRETS}, **ENVIRONMENT}
