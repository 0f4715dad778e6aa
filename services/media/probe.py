"""probe(): duration and format of an untrusted song, found by a sandboxed process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from ecs_core.errors import AudioError
from services.media.sandbox.decoding import Decoding, Line, Message, run_sandboxed
from services.media.sandbox.messages import Text

_NICE = 5  # requests come first


class _Facts(Message):
    duration: float = Field(ge=0)
    sample_rate: int = Field(ge=1)
    channels: int = Field(ge=1)
    warnings: list[Line] = Field(max_length=100)


async def probe(path: Path, name: str, *, required: bool = True) -> dict[str, Any]:
    """Decode a file, up to the longest duration allowed: {duration} in seconds, {sample_rate, channels, warnings}.

    ``warnings`` say what is cut, damaged or changed. If ``required``, nothing is decoded where the sandbox lacks
    something.

    Raises:
        MissingSandboxError: it is not decoded.
        AudioError: it is no song; the message calls it ``name``.
    """
    decoding = Decoding(
        decoder="services.media.song_decoder:measure", path=path, name=name, required=required, nice=_NICE
    )
    try:
        messages = await run_sandboxed(decoding)
    except ConnectionResetError:
        raise AudioError(f"{name}: the decoder was killed; try again") from None
    match messages:
        case [Text(json=text)]:
            try:
                facts = _Facts.model_validate_json(text).model_dump()
                return facts | {"warnings": [decoding.shown(warning) for warning in facts["warnings"]]}
            except ValidationError:
                raise decoding.protocol_error() from None
        case _:
            raise decoding.protocol_error()
