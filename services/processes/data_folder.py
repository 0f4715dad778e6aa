"""What ``motes serve`` keeps in its data folder for itself: a lock, and the secret that webhooks are signed with."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecs_core.errors import MotesError


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """The data folder, made if need be, for this process alone."""
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
            who = f"motes serve runs on {data} already (process {lock.read().strip() or 'unknown'})"
            raise MotesError(f"{who}: stop it, or give another folder with --data") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def webhook_secret(data: Path) -> str:
    """What webhooks are signed with, made when it is first needed; for nobody else to read, and there whole or not."""
    path, part = data / "webhook-secret", data / ".webhook-secret.part"
    try:
        if not path.exists():
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave the name without the secret
            part.replace(path)
        return path.read_text().strip()
    except OSError as error:
        what = f"cannot use the webhook secret in {path}: {error.strerror}"
        raise MotesError(f"{what}; make it readable, or set MOTES_WEBHOOK_SECRET") from None
