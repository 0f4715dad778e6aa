"""DecodedSong: an untrusted song, decoded by a sandboxed process that sends samples through a socket.

FFmpeg never reads a client's bytes in a process that holds connections, credentials or other clients' files. The reader
checks the numbers that it receives, so a malicious file can at worst be a strange song.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ecs_core.audio.decode import MOST_CHANNELS, RATES, AudioFile
from ecs_core.errors import AudioError
from services.media import pyav_modules  # noqa: F401 - loaded before anything is confined
from services.media.decoding_limits import CPU_LIMIT, MAX_SONG_SECONDS, MEMORY_LIMIT, exit_error
from services.media.sandbox import enter_sandbox
from services.processes.parent_death import end_with_parent

F32 = NDArray[np.float32]
_Line = Annotated[str, Field(max_length=1000, pattern=r"^\P{C}*$")]  # printable: no control characters

_TIMEOUT = 300.0  # seconds to wait for the next samples
_CHUNK_SAMPLES = 1 << 15  # samples per message at most
_MAX_LINE = _BUFFER = 1 << 18  # bytes


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Begin(_Message):
    rate: int = Field(ge=RATES[0], le=RATES[-1])
    channels: int = Field(ge=1, le=MOST_CHANNELS)
    seconds: float | None = Field(ge=0)


class _End(_Message):
    warnings: list[_Line]


class _Error(_Message):
    error: _Line


_MESSAGE: TypeAdapter[_Begin | _End | _Error] = TypeAdapter(_Begin | _End | _Error)


class DecodedSong:
    """An untrusted song, read once like an AudioFile; errors and warnings call it ``name``. A context manager.

    Use it in a process with one Python thread that does not ignore SIGCHLD; the decoding process ends with it.

    Raises:
        AudioError: it is no song, it is too long, or decoding it crashes or takes too long.
        ConnectionResetError: the decoding process was killed from outside; a retry may succeed.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        self.warnings: list[str] = []
        self._name = name
        parent, (ours, theirs) = os.getpid(), socket.socketpair()
        self._process = os.fork()
        if self._process == 0:
            code = 1
            try:
                _close_all_but(theirs.fileno(), path)
                end_with_parent(parent, signal.SIGKILL)
                _decode(path, name, theirs)
                code = 0
            finally:
                os._exit(code)
        theirs.close()
        ours.settimeout(_TIMEOUT)
        self._socket, self._stream = ours, ours.makefile("rb", buffering=_BUFFER)
        try:
            begin = self._next(channels=0)
            if not isinstance(begin, _Begin):
                raise self._protocol_error()
            self.rate, self.channels, self.seconds = begin.rate, begin.channels, begin.seconds
        except BaseException:
            self.close()
            raise

    def blocks(self) -> Iterator[F32]:
        """Yield blocks of samples in order, of shape (channels, n), float32, nominally ±1, as AudioFile does."""
        samples = 0
        while isinstance(message := self._next(channels=self.channels), np.ndarray):
            samples += message.shape[1]
            if samples > MAX_SONG_SECONDS * self.rate:
                raise AudioError(f"{self._name}: is longer than {MAX_SONG_SECONDS // 3600} hours")
            yield message
        if not isinstance(message, _End):
            raise self._protocol_error()
        self.warnings += message.warnings

    def _next(self, *, channels: int) -> F32 | _Begin | _End:
        """The next samples or message."""
        try:
            size = int.from_bytes(self._read(4), "little")
            if size > (_CHUNK_SAMPLES if channels else 0):
                raise self._protocol_error()
            if size:
                return np.frombuffer(self._read(4 * size * channels), "<f4").reshape(channels, size)
            message = _MESSAGE.validate_json(self._stream.readline(_MAX_LINE))
        except TimeoutError:
            raise AudioError(f"{self._name}: cannot be decoded in reasonable time") from None
        except ValidationError:
            raise self._protocol_error() from None
        if isinstance(message, _Error):
            raise AudioError(message.error)
        return message

    def _read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        if len(data) < size:
            status, self._process = os.waitpid(self._process, 0)[1], 0
            raise exit_error(os.waitstatus_to_exitcode(status), self._name)
        return data

    def _protocol_error(self) -> AudioError:
        return AudioError(f"{self._name}: the decoder sent invalid data; is the file damaged?")

    def close(self) -> None:
        """Kill the process."""
        self._stream.close()
        self._socket.close()
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = 0

    def __enter__(self) -> DecodedSong:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def _close_all_but(kept: int, path: Path) -> None:
    """Close all files but ``kept``, and the song if it is only known by its descriptor. Nothing can be printed then."""
    keep = {kept, int(path.name)} if path.parent == Path("/proc/self/fd") else {kept}
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in {0, 1, 2} - keep:
        os.dup2(nothing, standard)
    for file in map(int, os.listdir("/proc/self/fd")):
        if file > 2 and file not in keep:
            with suppress(OSError):  # the descriptor of the listing itself is closed
                os.close(file)


def _decode(path: Path, name: str, target: socket.socket) -> None:
    """The decoding process. Sends {rate, channels, seconds}, samples, {warnings}; or {error}."""
    gc.disable()  # a collection would copy the memory shared with the parent
    enter_sandbox(memory=MEMORY_LIMIT, seconds=CPU_LIMIT, reads=[path])
    with target.makefile("wb", buffering=_BUFFER) as stream:

        def say(**what: Any) -> None:
            stream.write(bytes(4) + json.dumps(what).encode() + b"\n")

        try:
            with AudioFile(path) as song:
                seconds = None if song.seconds is None else max(0.0, song.seconds)
                say(rate=song.rate, channels=song.channels, seconds=seconds)
                for block in song.blocks():
                    for at in range(0, block.shape[1], _CHUNK_SAMPLES):
                        piece = np.ascontiguousarray(block[:, at : at + _CHUNK_SAMPLES], "<f4")
                        stream.write(piece.shape[1].to_bytes(4, "little"))
                        stream.write(piece.data)
                say(warnings=[each.replace(str(path), name) for each in song.warnings])
        except AudioError as error:
            say(error=str(error).replace(str(path), name))
        except MemoryError:
            say(error=f"{name}: needs more memory than a song should")
