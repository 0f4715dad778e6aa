"""Messages from a decoder to the process that started it: JSON or bytes, each after its kind and its size."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

_HEADER = struct.Struct("<cI")
_TEXT, _DATA = b"t", b"d"
MAX_TEXT = 1 << 18  # bytes


@dataclass(frozen=True)
class Text:
    """A message that must be validated before it is used."""

    json: bytes


class ProtocolError(Exception):
    """The decoder sent something that it may not send."""


class Channel:
    """The decoder's end: where it sends what it finds."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def say(self, **fields: Any) -> None:
        """Send the fields as JSON."""
        text = json.dumps(fields).encode()
        self._stream.write(_HEADER.pack(_TEXT, len(text)) + text)

    def send(self, data: bytes | memoryview) -> None:
        """Send bytes, such as samples, pixels or packets."""
        self._stream.write(_HEADER.pack(_DATA, memoryview(data).nbytes))
        self._stream.write(data)


def read_message(read: Callable[[int], bytes], *, max_bytes: int) -> Text | bytes | None:
    """The next message; None at the end, or if the decoder died within a message.

    ``read`` returns the number of bytes it is given, fewer at the end.

    Raises:
        ProtocolError: the message is of no known kind, or larger than ``max_bytes``, or MAX_TEXT for JSON.
    """
    header = read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    kind, size = _HEADER.unpack(header)
    if size > {_TEXT: MAX_TEXT, _DATA: max_bytes}.get(kind, -1):
        raise ProtocolError
    data = read(size)
    if len(data) < size:
        return None
    return Text(data) if kind == _TEXT else data
