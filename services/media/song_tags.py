"""read_tags(): tags, lyrics and artwork of an untrusted song, found in the sandbox and checked like a request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from ecs_core.song_file.lyrics_in_tags import MOST_OF_LYRICS, clean_lines
from ecs_core.song_file.tags import MOST_BYTES, MOST_LETTERS, SongTags, clean, picture_format
from services.media.sandbox.decoding import Decoding, Line, Message, SandboxedDecoder
from services.media.sandbox.messages import Text

_DECODER = "services.media.song_decoder:describe"


class _Tags(Message):
    texts: dict[
        Literal["title", "artist", "album", "date", "genre"],
        Annotated[str, Field(min_length=1, max_length=MOST_LETTERS)],
    ]
    artwork: int = Field(ge=0, le=MOST_BYTES)
    lyrics: int = Field(0, ge=0, le=4 * MOST_OF_LYRICS)
    warnings: list[Line] = Field(max_length=100)


def read_tags(path: Path, *, name: str, required: bool = True, decoder: str = _DECODER) -> SongTags:
    """The tags, the lyrics and the artwork of a song; errors and warnings call it ``name``. Blocking.

    If ``required``, nothing is read where the sandbox lacks something.

    Raises:
        MissingSandboxError: nothing is read.
        AudioError: it is no song, or reading it crashes or takes too long.
        ConnectionResetError: the process was killed from outside; a retry may succeed.
    """
    decoding = Decoding(decoder=decoder, path=path, name=name, required=required)
    with SandboxedDecoder(decoding) as process:
        message = process.receive()
        if not isinstance(message, Text):
            raise decoding.protocol_error()
        try:
            found = _Tags.model_validate_json(message.json)
        except ValidationError:
            raise decoding.protocol_error() from None
        artwork = process.receive(max_bytes=found.artwork) if found.artwork else None
        lyrics = process.receive(max_bytes=found.lyrics) if found.lyrics else b""
    if isinstance(artwork, Text) or (artwork is not None and picture_format(artwork) is None):
        raise decoding.protocol_error()
    if not isinstance(lyrics, bytes):
        raise decoding.protocol_error()
    texts: dict[str, str] = {key: clean(text) for key, text in found.texts.items()}
    words = clean_lines(lyrics.decode(errors="replace"))
    return SongTags(texts, artwork, tuple(map(decoding.shown, found.warnings)), words)
