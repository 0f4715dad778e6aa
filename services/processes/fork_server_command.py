"""The command and the environment, free of secrets, that start a fork server."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ecs_core.rendering.environment import ENVIRONMENT

STORAGE = "MOTES_STORAGE_URL"
# Kept from processes that read clients' files or run plugins.
_SECRETS = ("MOTES_DATABASE_URL", "MOTES_REDIS_URL", "MOTES_WEBHOOK_SECRET")


def fork_server_command(*, nice: int, parent: int) -> list[str]:
    """The command. Requests arrive on its standard input, see ``services.worker.fork_server``.

    The process ends with ``parent``; it and the processes it forks run at niceness ``nice``.
    """
    return [sys.executable, "-m", "services.worker.fork_server", str(nice), str(parent)]


def fork_server_environment(environment: Mapping[str, str], *, storage_url: str) -> dict[str, str]:
    """``environment`` without its secrets, with the storage, which anybody on the machine could read in the command."""
    kept = {name: value for name, value in environment.items() if name not in _SECRETS}
    return {**kept, **ENVIRONMENT, STORAGE: storage_url}
