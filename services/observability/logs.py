"""Logs: text for terminals, otherwise JSON; every line carries the ids of its request, job and task."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_ids: ContextVar[Mapping[str, str]] = ContextVar("ids")
_SECRETS = re.compile(r"(motes_[a-z0-9]{8}_)[A-Za-z0-9_-]{43}|([?&]key=)[^&\s\"]+")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@contextmanager
def bound(**more: str) -> Iterator[None]:
    """Add these ids to all log lines in this context, including those of asynchronous tasks started in it."""
    token = _ids.set({**ids(), **more})
    try:
        yield
    finally:
        _ids.reset(token)


def ids() -> Mapping[str, str]:
    """The ids that log lines carry now."""
    return _ids.get({})


def mask_keys(text: str) -> str:
    """Mask the secret part of API keys in a text, such as a URL."""
    return _SECRETS.sub(lambda found: f"{found[1] or found[2]}********", text)


def set_up(*, form: str, level: str) -> None:
    """Log to standard error, replacing earlier settings.

    ``form`` is json, text or auto (text for a terminal), ``level`` debug to error. Other packages log warnings only.
    """
    handler = logging.StreamHandler()
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler.setFormatter(_Text() if as_text else _Json())
    logging.basicConfig(level=max(logging.WARNING, _LEVELS[level]), handlers=[handler], force=True)
    logging.getLogger("motes").setLevel(_LEVELS[level])


def _about(record: logging.LogRecord) -> dict[str, object]:
    """The ids of the context and the record's own ``extra={"about": …}``."""
    return {**ids(), **getattr(record, "about", {})}


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        about = " ".join(f"{name}={value}" for name, value in _about(record).items())
        return super().formatMessage(record) + (f" [{about}]" if about else "")

    def format(self, record: logging.LogRecord) -> str:
        """A line, followed by the traceback of an error."""
        return mask_keys(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """A single line of JSON."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return mask_keys(json.dumps(line, ensure_ascii=False))
