"""Pictures in files: JPEG, PNG, WebP and others, read as pixels."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecs_core.arrays import U8

if TYPE_CHECKING:
    from PIL import Image

MOST = 40_000_000  # pixels
_MOST_KEPT = 64 * 2**20  # bytes of a picture that is kept for the next check: a 4K one is
_ROWS = 256
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")


class _UnusableError(ValueError):
    """A picture that can be read, but not be used."""


def read_picture(path: str | Path) -> U8:
    """The pixels of a picture, (height, width, 4) uint8: sRGB and straight alpha, the right way up. Not to be changed.

    Raises:
        ValueError: it cannot be read, is too large, or moves.
    """
    try:
        state = Path(path).stat()
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not Path(path).is_file():
        raise ValueError("is no file")
    pixels = _read(str(Path(path).absolute()), state.st_mtime_ns, state.st_size)
    if pixels.nbytes > _MOST_KEPT:
        _read.cache_clear()
    return pixels


def take_picture(path: str | Path) -> U8:
    """As :func:`read_picture`, for drawing: it forgets the pictures that were read, which are then kept as light."""
    pixels = read_picture(path)
    _read.cache_clear()
    return pixels


def _in_rows(image: Image.Image) -> U8:
    """The pixels of an image in RGBA, converted some rows at a time: of all at once there would be four copies."""
    pixels = np.empty((image.height, image.width, 4), np.uint8)
    for top in range(0, image.height, _ROWS):
        below = min(top + _ROWS, image.height)
        pixels[top:below] = np.asarray(image.crop((0, top, image.width, below)).convert("RGBA"))
    return pixels


@lru_cache(maxsize=4)  # a scene is checked several times, and then drawn
def _read(path: str, changed: int, size: int) -> U8:
    from PIL import Image, ImageOps  # noqa: PLC0415 - slow, and most scenes have no pictures

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, on what is damaged a little, or large
            with Image.open(path, formats=FORMATS) as file:
                if file.width * file.height > MOST:
                    raise _UnusableError(
                        f"has {file.width} × {file.height} pixels; allowed: at most {MOST // 1_000_000} megapixels"
                    )
                if getattr(file, "n_frames", 1) > 1:
                    raise _UnusableError("has several pictures; allowed: one that does not move")
                file.load()
                ImageOps.exif_transpose(file, in_place=True)
                image: Image.Image = file
                if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
                    image = Image.fromarray((np.clip(np.asarray(image), 0, 65_535) // 257).astype(np.uint8))
                elif image.mode == "F":
                    raise _UnusableError(
                        "has fractions as pixels, for which no white is known; save it with 8 or 16 bits"
                    )
                pixels = _in_rows(image)
    except _UnusableError:
        raise
    except Image.DecompressionBombError:
        raise ValueError(f"has too many pixels; allowed: at most {MOST // 1_000_000} megapixels") from None
    except Exception as error:  # of any kind, where a file is damaged
        known = ", ".join(FORMATS)
        raise ValueError(
            f"cannot be read as a picture ({known}): {' '.join(str(error).split())[:200] or type(error).__name__}"
        ) from None
    pixels.setflags(write=False)
    return pixels
