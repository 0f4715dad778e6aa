"""OwnPackets: an untrusted song's AAC packets, to be copied, from a sandboxed process that compared them with the song.

Only that process looks into them. Here they are counted and measured, and go into the video as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from ecs_core.song_file.own_aac import FRAME, LONGEST_PACKET, MOST_SKIPPED, OwnAac
from services.media.decoding_limits import MAX_SONG_SECONDS
from services.media.sandbox.decoding import Decoding, Message, SandboxedDecoder
from services.media.sandbox.messages import Text

_DECODER = "services.media.song_decoder:copy"


class _Own(Message):
    rate: Literal[96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350]
    channels: int = Field(ge=1, le=2)
    skip: int = Field(ge=0, le=MOST_SKIPPED * FRAME)
    samples: int = Field(ge=1)


class _Found(Message):
    own: _Own | None


class OwnPackets:
    """The packets of a song's ``track``, read once; ``own`` is None if they cannot be copied. A context manager.

    If ``required``, nothing is decoded where the sandbox lacks something.

    Raises:
        MissingSandboxError: it is not decoded.
        AudioError: it is no song, or decoding it crashes or takes too long.
        ConnectionResetError: the decoding process was killed from outside; a retry may succeed.
    """

    def __init__(
        self, path: Path, *, name: str, track: int | None = None, required: bool = True, decoder: str = _DECODER
    ) -> None:
        options = {} if track is None else {"track": track}
        self._decoding = Decoding(decoder=decoder, path=path, name=name, options=options, required=required)
        self._process = SandboxedDecoder(self._decoding)
        try:
            self.own = self._found(self._process.receive())
        except BaseException:
            self.close()
            raise

    def _found(self, message: Text | bytes) -> OwnAac | None:
        try:
            found = _Found.model_validate_json(message.json if isinstance(message, Text) else message).own
        except ValidationError:
            raise self._decoding.protocol_error() from None
        if found is None:
            return None
        if found.samples > MAX_SONG_SECONDS * found.rate:
            raise self._decoding.protocol_error()
        return OwnAac(**found.model_dump())

    def packets(self) -> Iterator[bytes]:
        """Yield as many packets as ``own`` needs, in order."""
        if self.own is None:
            return
        for _ in range(-(-(self.own.skip + self.own.samples) // FRAME)):
            packet = self._process.receive(max_bytes=LONGEST_PACKET)
            if not isinstance(packet, bytes) or not packet:
                raise self._decoding.protocol_error()
            yield packet

    def close(self) -> None:
        """Kill the process."""
        self._process.close()

    def __enter__(self) -> OwnPackets:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()
