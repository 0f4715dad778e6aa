"""The lock and the webhook secret that ``motes serve`` keeps in its data folder."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from ecs_core.errors import MotesError


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Create the data folder if it is missing, and hold it for this process alone."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "serve.lock").open("a+")
    except OSError as error:
        raise MotesError(f"cannot use the data folder {data}: {error.strerror}; give another one with --data") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            who = f"motes serve already runs on {data} (process {lock.read().strip() or 'unknown'})"
            raise MotesError(f"{who}: stop it, or give another folder with --data") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def webhook_secret(data: Path) -> str:
    """The secret that signs webhooks; created at first use, atomically, readable by this user only."""
    path, part = data / "webhook-secret", data / ".webhook-secret.part"
    try:
        if not path.exists():
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave an empty file
            part.replace(path)
        return path.read_text().strip()
    except OSError as error:
        what = f"cannot use the webhook secret in {path}: {error.strerror}"
        raise MotesError(f"{what}; make it readable, or set MOTES_WEBHOOK_SECRET") from None


def existing_webhook_secret(data: Path) -> SecretStr | None:
    """The secret that ``motes serve`` made in this folder, if it did."""
    try:
        return SecretStr((data / "webhook-secret").read_text().strip())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MotesError(f"cannot read {data / 'webhook-secret'}: {error.strerror}; set MOTES_WEBHOOK_SECRET") from None
