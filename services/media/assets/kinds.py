"""What an uploaded file is, by how it begins: its name and its Content-Type say nothing. Nothing is decoded here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ecs_core.errors import MotesError
from services.media.assets.limits import MOST_BYTES

Kind = Literal["image", "video", "font", "lyrics"]
KINDS: tuple[Kind, ...] = get_args(Kind)
HEAD = 512  # bytes that tell
ALLOWED = {
    "image": "JPEG, PNG, WebP or AVIF",
    "video": "MP4, MOV, WebM or MKV",
    "font": "TTF, OTF or WOFF2",
    "lyrics": "LRC, SRT or VTT in UTF-8",
}
ALL_ALLOWED = (
    f"an image ({ALLOWED['image']}), a video ({ALLOWED['video']}), a font ({ALLOWED['font']}) or lyrics "
    f"({ALLOWED['lyrics']})"
)
_SIGNATURES: tuple[tuple[bytes, Kind, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image", "PNG"),
    (b"\xff\xd8\xff", "image", "JPEG"),
    (b"\x1a\x45\xdf\xa3", "video", "Matroska"),
    (b"\x00\x01\x00\x00", "font", "TTF"),
    (b"true", "font", "TTF"),
    (b"OTTO", "font", "OTF"),
    (b"wOF2", "font", "WOFF2"),
)
# What people have, and may wonder why it is refused.
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"wOFF", "WOFF"),
    (b"ttcf", "font collection"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"RIFF", "RIFF"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"ID3", "MP3"),
)
_AVIF, _HEIF = (b"avif", b"avis"), (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip")  # which files from before MP4 begin with
_SPACE = b" \t\r\n"


class AssetError(MotesError):
    """An uploaded file is no asset that is allowed, or it is damaged."""


class AssetTooLargeError(AssetError):
    """An uploaded file has more bytes than its kind may have."""


@dataclass(frozen=True)
class Found:
    """The kind of a file and its format, as far as its beginning tells."""

    kind: Kind
    form: str


def found_in(head: bytes, name: str) -> Found:
    """What a file is of which these are the first ``HEAD`` bytes; errors call it ``name``.

    Raises:
        AssetError: it is nothing that is allowed.
    """
    for signature, kind, form in _SIGNATURES:
        if head.startswith(signature):
            return Found(kind, form)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Found("image", "WEBP")
    if head[4:8] in _QUICKTIME and head[:1] == b"\0":
        return Found("video", "MP4")
    if head[4:8] == b"ftyp":
        if head[8:12] in _AVIF or (head[8:12] in _HEIF and _AVIF[0] in head[16:64]):
            return Found("image", "AVIF")
        if head[8:12] in _HEIF:
            raise _refused(name, "is a HEIF picture")
        return Found("video", "MP4")
    for signature, form in _REFUSED:
        if head.startswith(signature):
            raise _refused(name, f"is a {form} file")
    if not head:
        raise _refused(name, "is empty")
    return _found_in_text(head, name)


def _found_in_text(head: bytes, name: str) -> Found:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE).lower()
    if text.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")) and (b"<svg" in text or b"svg" in text):
        raise AssetError(f"{name}: is an SVG, which can hold programs and links; save it as PNG")
    if text.startswith(b"<"):
        raise _refused(name, "is HTML or XML")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise AssetError(f"{name}: is text in UTF-16; allowed: lyrics in UTF-8 ({ALLOWED['lyrics']})")
    if b"\0" in head or sum(byte < 32 and byte not in b"\t\r\n\f\x1b" for byte in head):
        raise _refused(name, "is of no known kind")
    return Found("lyrics", "text")


def _refused(name: str, what: str) -> AssetError:
    return AssetError(f"{name}: {what}; allowed: {ALL_ALLOWED}")


def check_bytes(found: Found, size: int, name: str) -> None:
    """Refuse a file with more bytes, of those that have arrived, than its kind may have.

    Raises:
        AssetTooLargeError: says how many it may have.
    """
    most = MOST_BYTES.get(found.kind, size)
    if size > most:
        what = {"image": "an image", "font": "a font", "lyrics": "lyrics"}[found.kind]
        raise AssetTooLargeError(f"{name}: has too many bytes for {what}; allowed: at most {most}")
