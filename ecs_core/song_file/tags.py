"""The tags, the lyrics and the artwork of a song, as they are safe to use in a video.

All come from strangers: texts are cleaned and limited; pictures are recognised by their first bytes, limited, and
never decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ecs_core.song_file.lyrics_in_tags import UNSAFE, lyrics_in

if TYPE_CHECKING:
    import av.container

TAGS = ("title", "artist", "album", "date", "genre")
MOST_LETTERS = 300  # per tag
MOST_BYTES = 10 << 20  # of artwork
# By the first bytes of a file.
_FORMATS: Mapping[bytes, Literal["jpeg", "png"]] = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}
_FRONT = "Cover (front)"  # what FFmpeg calls the picture that ID3 and FLAC call so


@dataclass(frozen=True)
class SongTags:
    """Texts by name (see ``TAGS``), a JPEG or PNG file, and warnings about what had to be left out.

    ``lyrics`` are lines of text, with times as LRC has them or without; empty if there are none.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    artwork: bytes | None = None
    warnings: tuple[str, ...] = ()
    lyrics: str = ""


def picture_format(data: bytes) -> Literal["jpeg", "png"] | None:
    """The format of a picture by its first bytes; None for any other."""
    return next((name for magic, name in _FORMATS.items() if data.startswith(magic)), None)


def clean(text: str) -> str:
    """A tag in one line of at most ``MOST_LETTERS`` characters, without control characters."""
    return " ".join(UNSAFE.sub(" ", text).split())[:MOST_LETTERS].rstrip()


def tags_of(container: av.container.InputContainer, sound: Mapping[str, str], *, name: str) -> SongTags:
    """The tags of an open song, of whose sound track the metadata is ``sound``; warnings call it ``name``.

    This reads from the container, so its sound cannot be read afterwards.
    """
    # In Ogg, tags are the sound track's. Elsewhere, a track's title is "Stereo" or the like.
    given = {**(sound if container.format.name == "ogg" else {}), **container.metadata}
    texts = {key.lower(): clean(text) for key, text in given.items()}
    lyrics, long = lyrics_in(given, name)
    artwork, warnings = _artwork(container, name)
    return SongTags({key: texts[key] for key in TAGS if texts.get(key)}, artwork, (*warnings, *long), lyrics)


def _artwork(container: av.container.InputContainer, name: str) -> tuple[bytes | None, tuple[str, ...]]:
    """The front cover, or else the first attached picture that can be used; and what is wrong with the others."""
    import av.error  # noqa: PLC0415 - slow, and loaded already where there is a container
    from av.stream import Disposition  # noqa: PLC0415 - likewise

    waiting = {each.index for each in container.streams.video if each.disposition & Disposition.attached_pic}
    best: bytes | None = None
    warnings = []
    packets = container.demux([container.streams[index] for index in waiting]) if waiting else iter(())
    while waiting:  # FFmpeg delivers attached pictures before anything else
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            break
        waiting.discard(packet.stream.index)
        if packet.size > MOST_BYTES:
            warnings.append(f"{name}: artwork of {packet.size} bytes was left out; allowed: {MOST_BYTES}")
        elif picture_format(data := bytes(packet)) is None:
            warnings.append(f"{name}: artwork was left out that is neither JPEG nor PNG")
        elif best is None or packet.stream.metadata.get("comment") == _FRONT:
            best = data
    return best, () if best is not None else tuple(warnings)
