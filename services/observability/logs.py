"""Logs: text for terminals, otherwise JSON; every line carries the ids of its request, job and task."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from services.observability.masking import learn_secrets, masked

_ids: ContextVar[Mapping[str, str]] = ContextVar("ids")
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


def set_up(*, form: str, level: str) -> None:
    """Log to standard error, replacing earlier settings.

    ``form`` is json, text or auto (text for a terminal), ``level`` debug to error. Other packages log warnings only.
    """
    learn_secrets()
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
        return masked(super().format(record))


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
        # Before it is JSON, of which masking would remove a quote's backslash.
        shown = {name: masked(value) if isinstance(value, str) else value for name, value in line.items()}
        return json.dumps(shown, ensure_ascii=False)
