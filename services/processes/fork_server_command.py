"""The command and the environment, free of secrets, that start a fork server."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ecs_core.rendering.environment import ENVIRONMENT

# Kept from processes that read clients' files or run plugins.
_SECRETS = ("MOTES_DATABASE_URL", "MOTES_REDIS_URL", "MOTES_WEBHOOK_SECRET")


def fork_server_command(storage_url: str, *, nice: int, parent: int) -> list[str]:
    """The command. Requests arrive on its standard input, see ``services.worker.fork_server``.

    The process ends with ``parent``; it and the processes it forks run at niceness ``nice``.
    """
    return [sys.executable, "-m", "services.worker.fork_server", storage_url, str(nice), str(parent)]


def fork_server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without its secrets."""
    return {**{name: value for name, value in environment.items() if name not in _SECRETS}, **ENVIRONMENT}
