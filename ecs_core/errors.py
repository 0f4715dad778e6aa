"""The errors that Motes raises on purpose: one base class and a few subclasses, each message a line a user can act on.

Any other exception is a bug. The command line and the API show ``str(error)`` and nothing else.
"""

from __future__ import annotations


class MotesError(Exception):
    """Base of all errors that Motes raises on purpose; the message names the problem and what is allowed."""


def in_a_line(error: BaseException) -> str:
    """An exception's type and message in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class SceneError(MotesError):
    """A scene cannot be rendered as described: an unknown type or setting, or a value out of range."""


class AudioError(MotesError):
    """A song cannot be read: missing, not audio, empty, refused."""


class OutputError(MotesError):
    """The output cannot be written: a missing folder, no permission, a full disk."""


class PluginError(MotesError):
    """A plugin breaks the contract: duplicate type name, wrong API version, misspelt hook."""


class StructuralChangeError(MotesError):
    """Rows were added or removed while rows are frozen (outside REAP and EMIT)."""


class RenderError(MotesError):
    """A render failed: a segment killed its process too often, or its process reported an error."""


class RenderCancelled(MotesError):  # noqa: N818 - not an error but a request
    """The render was cancelled by the caller; nothing was left behind."""
