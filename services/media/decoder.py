"""DecodedSong: an untrusted song, decoded by a sandboxed process that sends samples through a socket.

FFmpeg never reads a client's bytes in a process that holds connections, credentials or other clients' files. The reader
checks the numbers that it receives, so a malicious file can at worst be a strange song.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, model_validator

from ecs_core.errors import AudioError
from ecs_core.heartbeat import beat
from ecs_core.song_file.layouts import MOST_CHANNELS, positions
from ecs_core.song_file.tracks import RATES
from services.media.decoding_limits import CHUNK_SAMPLES, MAX_SONG_SECONDS
from services.media.sandbox.decoding import Decoding, Line, Message, SandboxedDecoder
from services.media.sandbox.messages import Text

F32 = NDArray[np.float32]
_DECODER = "services.media.song_decoder:decode"


class _Begin(Message):
    rate: int = Field(ge=RATES[0], le=RATES[-1])
    channels: int = Field(ge=1, le=MOST_CHANNELS)
    layout: str = Field(max_length=1000, pattern=r"^[A-Za-z0-9 .()+@-]+$")
    seconds: float | None = Field(ge=0)

    @model_validator(mode="after")
    def _fits(self) -> _Begin:
        if len(positions(self.layout)) != self.channels:
            raise ValueError(f"layout {self.layout} has not {self.channels} channels")
        return self


class _End(Message):
    warnings: list[Line]


_MESSAGE: TypeAdapter[_Begin | _End] = TypeAdapter(_Begin | _End)


class DecodedSong:
    """A ``track`` of an untrusted song, read once like an AudioFile; errors and warnings call it ``name``.

    A context manager. If ``required``, nothing is decoded where the sandbox lacks something. The decoding process ends
    with it.

    Raises:
        MissingSandboxError: it is not decoded.
        AudioError: it is no song, it is too long, or decoding it crashes or takes too long.
        ConnectionResetError: the decoding process was killed from outside; a retry may succeed.
    """

    def __init__(
        self, path: Path, *, name: str, track: int | None = None, required: bool = True, decoder: str = _DECODER
    ) -> None:
        self.warnings: list[str] = []
        options = {} if track is None else {"track": track}
        self._decoding = Decoding(decoder=decoder, path=path, name=name, options=options, required=required)
        self._process = SandboxedDecoder(self._decoding)
        try:
            begin = self._next(channels=0)
            if not isinstance(begin, _Begin):
                raise self._decoding.protocol_error()
            self.rate, self.channels, self.seconds = begin.rate, begin.channels, begin.seconds
            self.layout = begin.layout
        except BaseException:
            self.close()
            raise

    def blocks(self) -> Iterator[F32]:
        """Yield blocks of samples in order, of shape (channels, n), float32, nominally ±1, as AudioFile does."""
        samples = 0
        while isinstance(message := self._next(channels=self.channels), np.ndarray):
            samples += message.shape[1]
            if samples > MAX_SONG_SECONDS * self.rate:
                raise AudioError(f"{self._decoding.name}: is longer than {MAX_SONG_SECONDS // 3600} hours")
            yield message
        if not isinstance(message, _End):
            raise self._decoding.protocol_error()
        self.warnings += map(self._decoding.shown, message.warnings)

    def _next(self, *, channels: int) -> F32 | _Begin | _End:
        """The next samples or message."""
        message = self._process.receive(max_bytes=4 * channels * CHUNK_SAMPLES)
        beat()
        try:
            if isinstance(message, Text):
                return _MESSAGE.validate_json(message.json)
            return np.frombuffer(message, "<f4").reshape(channels, -1)
        except ValueError:  # pydantic's is one; or it is no whole number of samples, or none
            raise self._decoding.protocol_error() from None

    def close(self) -> None:
        """Kill the process."""
        self._process.close()

    def __enter__(self) -> DecodedSong:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()
