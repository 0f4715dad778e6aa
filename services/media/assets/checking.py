"""check_asset(): an uploaded file, decoded by a sandboxed process, and what is stored of it.

A picture arrives as pixels and is written as a PNG here, a video as frames, which a process of ours encodes; so nobody
ever decodes what a client, or a decoder that a client has taken over, has made. Lyrics arrive as text. Fonts are stored
as they are.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from services.media.assets.kinds import HEAD, AssetError, Found, Kind, check_bytes, found_in
from services.media.assets.limits import (
    CHUNK,
    LONGEST_SIDE,
    LONGEST_VIDEO,
    MOST_BYTES,
    MOST_LINES,
    MOST_PIXELS,
    PICTURE_MEMORY,
    STORED_VIDEO_FPS,
    STORED_VIDEO_SIDE,
    VIDEO_MEMORY,
)
from services.media.assets.png_writer import PngWriter
from services.media.assets.video_writer import VideoWriter
from services.media.decoding_limits import MEMORY_LIMIT
from services.media.sandbox.decoding import Decoding, Line, Message, SandboxedDecoder
from services.media.sandbox.messages import Text

_NICE = 5  # requests come first
_DECODERS: Mapping[Kind, str] = {
    "image": "services.media.assets.pictures:normalise",
    "video": "services.media.assets.videos:normalise",
    "font": "services.media.assets.fonts:check",
    "lyrics": "services.media.assets.lyrics:read",
}
_MEMORY: Mapping[Kind, int] = {"image": PICTURE_MEMORY, "video": VIDEO_MEMORY}
_Name = Annotated[str, Field(max_length=100, pattern=r"^\P{C}*$")]


class _Image(Message):
    format: Literal["PNG", "JPEG", "WEBP", "AVIF"]
    width: int = Field(ge=1, le=LONGEST_SIDE)
    height: int = Field(ge=1, le=LONGEST_SIDE)
    channels: Literal[3, 4]
    warnings: list[Line] = Field(max_length=20)

    @model_validator(mode="after")
    def _small(self) -> _Image:
        if self.width * self.height > MOST_PIXELS:
            raise ValueError("too many pixels")
        return self


class _Video(Message):
    format: Literal["MP4", "WebM"]
    codec: _Name
    width: int = Field(ge=2, le=STORED_VIDEO_SIDE, multiple_of=2)
    height: int = Field(ge=2, le=STORED_VIDEO_SIDE, multiple_of=2)
    rate: tuple[Annotated[int, Field(ge=1, le=1 << 20)], Annotated[int, Field(ge=1, le=1 << 20)]]
    frames: int = Field(ge=1)
    warnings: list[Line] = Field(max_length=20)

    @model_validator(mode="after")
    def _slow_and_short(self) -> _Video:
        if not 1 <= self.fps <= STORED_VIDEO_FPS:
            raise ValueError("too fast or too slow")
        if self.frames > (LONGEST_VIDEO + 1) * STORED_VIDEO_FPS or self.duration > LONGEST_VIDEO + 1:
            raise ValueError("too many frames")
        return self

    @property
    def fps(self) -> Fraction:
        return Fraction(*self.rate)

    @property
    def duration(self) -> Fraction:
        return self.frames / self.fps


class _Font(Message):
    format: Literal["TTF", "OTF", "WOFF2"]
    family: _Name
    style: _Name


class _Lyrics(Message):
    format: Literal["LRC", "SRT", "VTT"]
    lines: int = Field(ge=1, le=MOST_LINES)


_FACTS: Mapping[Kind, type[Message]] = {"image": _Image, "video": _Video, "font": _Font, "lyrics": _Lyrics}


@dataclass(frozen=True)
class CheckedAsset:
    """A file that may be stored: its kind, the digest of its content, and its facts by kind (format, width …); size,
    rate and length are those of what is stored.
    """

    kind: Kind
    digest: str
    facts: Mapping[str, Any]


class Cancellation:
    """Ends a check that runs in another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: SandboxedDecoder | None = None
        self._cancelled = False

    def begin(self, process: SandboxedDecoder) -> None:
        """Have this process killed by :meth:`cancel`, or now, if that came first."""
        with self._lock:
            self._process = process
            if self._cancelled:
                process.kill()

    def end(self) -> None:
        """The process has ended by itself."""
        with self._lock:
            self._process = None

    def cancel(self) -> None:
        """Kill the process, if there is one."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.kill()


def check_asset(
    path: Path,
    target: Path,
    *,
    name: str,
    required: bool = True,
    decoder: str | None = None,
    cancellation: Cancellation | None = None,
) -> CheckedAsset:
    """Decode an uploaded file in the sandbox and write what is stored of it to ``target``. Blocking.

    Errors call it ``name``. If ``required``, nothing is decoded where the sandbox lacks something. ``target`` may be
    another name of the same file. The digest is that of a picture's size and pixels, or of the bytes that are stored.

    Raises:
        MissingSandboxError: it is not decoded.
        AssetError: it is nothing that is allowed, or damaged; or it was killed.
        OSError: there is no room for it.
    """
    found = look(path, name)
    decoding = Decoding(
        decoder=decoder or _DECODERS[found.kind],
        path=path,
        name=name,
        options={} if decoder else {"form": found.form},
        error=AssetError,
        required=required,
        memory=_MEMORY.get(found.kind, MEMORY_LIMIT),
        nice=_NICE,
    )
    cancellation = cancellation or Cancellation()
    try:
        with SandboxedDecoder(decoding) as process, _cancellable(cancellation, process):
            facts = _facts(process, decoding, found.kind)
            if found.kind == "image":
                digest = _write_picture(process, decoding, facts, target)
            elif found.kind == "video":
                digest = _write_video(process, decoding, facts, target)
            elif found.kind == "lyrics":
                digest = _write_text(process, decoding, target)
            else:
                digest = _hash(path)
                os.link(path, target)
    except ConnectionResetError:
        raise AssetError(f"{name}: the decoder was killed; try again") from None
    plain = facts.model_dump(exclude={"channels", "rate", "frames"})
    if isinstance(facts, _Video):
        plain |= {"fps": float(facts.fps), "duration": float(facts.duration)}
    if "warnings" in plain:
        plain["warnings"] = [decoding.shown(warning) for warning in plain["warnings"]]
    return CheckedAsset(found.kind, digest, plain)


@contextmanager
def _cancellable(cancellation: Cancellation, process: SandboxedDecoder) -> Iterator[None]:
    cancellation.begin(process)
    try:
        yield
    finally:
        cancellation.end()


def look(path: Path, name: str) -> Found:
    """What a file is by its first bytes.

    Raises:
        AssetError: it is nothing that is allowed, or has too many bytes for its kind.
    """
    with path.open("rb") as file:
        found = found_in(file.read(HEAD), name)
    check_bytes(found, path.stat().st_size, name)
    return found


def _facts(process: SandboxedDecoder, decoding: Decoding, kind: Kind) -> Any:
    message = process.receive()
    try:
        return _FACTS[kind].model_validate_json(message.json if isinstance(message, Text) else message)
    except ValidationError:
        raise decoding.protocol_error() from None


def _write_picture(process: SandboxedDecoder, decoding: Decoding, facts: _Image, target: Path) -> str:
    """Write as many pixels as there must be; their digest."""
    digest = hashlib.sha256(f"{facts.width}x{facts.height}x{facts.channels}\n".encode())
    left = facts.width * facts.height * facts.channels
    with target.open("wb") as file:
        writer = PngWriter(file, facts.width, facts.height, facts.channels)
        while left:
            pixels = process.receive(max_bytes=min(left, max(CHUNK, facts.width * facts.channels)))
            if not isinstance(pixels, bytes) or not pixels:
                raise decoding.protocol_error()
            left -= len(pixels)
            digest.update(pixels)
            writer.write(pixels)
        writer.close()
    return digest.hexdigest()


def _write_video(process: SandboxedDecoder, decoding: Decoding, facts: _Video, target: Path) -> str:
    """Encode as many frames as there must be; the digest of the file."""
    size = facts.width * facts.height * 3 // 2
    with VideoWriter(target, width=facts.width, height=facts.height, rate=facts.fps, frames=facts.frames) as writer:
        for _ in range(facts.frames):
            frame = process.receive(max_bytes=size)
            if not isinstance(frame, bytes) or len(frame) != size:
                raise decoding.protocol_error()
            writer.write(frame)
        writer.close()
    return _hash(target)


def _write_text(process: SandboxedDecoder, decoding: Decoding, target: Path) -> str:
    text = process.receive(max_bytes=2 * MOST_BYTES["lyrics"])
    try:
        if not isinstance(text, bytes):
            raise decoding.protocol_error()
        text.decode()
    except UnicodeDecodeError:
        raise decoding.protocol_error() from None
    target.write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
