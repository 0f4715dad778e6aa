"""Checking of fonts, in the sandboxed process: their tables, and whether FreeType opens and draws them."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

from PIL import ImageFont

from services.media.assets.endings import cut_off, two_at_once
from services.media.assets.kinds import ALLOWED, AssetError
from services.media.sandbox.messages import Channel

_MOST_TABLES = 64
_NEEDED = (b"cmap", b"head", b"hhea", b"hmtx", b"maxp", b"name")
_OUTLINES = (b"glyf", b"CFF ", b"CFF2")
_SIZE = 48  # pixels at which letters are drawn on trial
_TRIAL = "AaÄß09あ"
_LONGEST_NAME = 100


def check(path: Path, channel: Channel, form: str) -> None:
    """Send {format, family, style}.

    Raises:
        AssetError: it is damaged, cut off, has no outlines, or cannot be drawn.
    """
    data = path.read_bytes()
    if form == "WOFF2":
        _check_woff2(data, path)
    else:
        _check_tables(data, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            font = ImageFont.truetype(io.BytesIO(data), _SIZE, layout_engine=ImageFont.Layout.BASIC)
            family, style = (_clean(name) for name in font.getname())
            font.getmask(_TRIAL)
    except MemoryError:
        raise
    except Exception as error:  # of any kind, where a file is damaged
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise AssetError(f"{path}: is damaged: it cannot be drawn ({why}); allowed: {ALLOWED['font']}") from None
    channel.say(format=form, family=family, style=style)


def _clean(name: str | None) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name or "")[:_LONGEST_NAME]


def _check_tables(data: bytes, path: Path) -> None:
    """Its tables lie within the file, and nothing lies behind them."""
    if len(data) < 12:
        raise cut_off(path)
    count = struct.unpack_from(">H", data, 4)[0]
    if not 0 < count <= _MOST_TABLES or 12 + 16 * count > len(data):
        raise AssetError(f"{path}: is damaged: it has {count} tables; allowed: 1 to {_MOST_TABLES}, all of them there")
    end, names = 12 + 16 * count, []
    for number in range(count):
        name, _, offset, size = struct.unpack_from(">4sIII", data, 12 + 16 * number)
        if offset + size > len(data):
            raise cut_off(path)
        names.append(name)
        end = max(end, offset + size)
    missing = [name.decode() for name in _NEEDED if name not in names]
    if missing or not set(names) & set(_OUTLINES):
        raise AssetError(f"{path}: is no font with outlines: it lacks {', '.join(missing) or 'glyf or CFF'}")
    if data[end:].strip(b"\0"):
        raise two_at_once(path, len(data) - end)


def _check_woff2(data: bytes, path: Path) -> None:
    """It is as long as it says."""
    said = struct.unpack_from(">I", data, 8)[0] if len(data) >= 48 else len(data) + 1
    if said > len(data):
        raise cut_off(path)
    if data[said:].strip(b"\0"):
        raise two_at_once(path, len(data) - said)
