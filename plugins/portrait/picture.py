"""Pictures: what is read of a file, and how light and how coloured its places are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ecs_core import F32, linear_from_srgb

MOST = 40_000_000  # pixels
SIDE = 1400  # pixels of the longer side, after shrinking: more than there are particles to show it
DARKEST = 0.04  # lightness up to here is black: no particles
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """``lightness`` (height, width), 0–1, as it is seen, and 0 where the picture is transparent; ``linear`` colours
    (height, width, 3), 0–1.
    """

    lightness: F32
    linear: F32


def check_picture(path: str) -> str:
    """The path of a picture that can be read.

    Raises:
        ValueError: it cannot be read, is too large, moves, or is black all over.
    """
    read_picture(path)
    return path


def read_picture(path: str) -> Picture:
    """The picture in a file, shrunk to ``SIDE``.

    Raises:
        ValueError: as ``check_picture``.
    """
    try:
        state = Path(path).stat()
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not Path(path).is_file():
        raise ValueError("is no file")
    return _read(str(Path(path).absolute()), state.st_mtime_ns, state.st_size)


class _UnusableError(ValueError):
    """A picture that can be read, but not be used."""


@lru_cache(maxsize=4)  # a scene is checked several times, and then drawn
def _read(path: str, changed: int, size: int) -> Picture:
    from PIL import Image, ImageOps

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
                image = ImageOps.exif_transpose(file)
                if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
                    image = Image.fromarray((np.clip(np.asarray(image), 0, 65_535) // 257).astype(np.uint8))
                elif image.mode == "F":
                    raise _UnusableError(
                        "has fractions as pixels, for which no white is known; save it with 8 or 16 bits"
                    )
                image = image.convert("RGBA")
    except _UnusableError:
        raise
    except Image.DecompressionBombError:
        raise ValueError(f"has too many pixels; allowed: at most {MOST // 1_000_000} megapixels") from None
    except Exception as error:  # of any kind, where a file is damaged
        known = ", ".join(FORMATS)
        raise ValueError(
            f"cannot be read as a picture ({known}): {' '.join(str(error).split())[:200] or type(error).__name__}"
        ) from None
    shrink = max(1, -(-max(image.size) // SIDE))
    if shrink > 1:
        image = image.reduce(shrink)
    shown = np.asarray(image, np.float32) / np.float32(255)
    red, green, blue, alpha = (shown[:, :, channel] for channel in range(4))
    luma = np.float32(0.2126) * red + np.float32(0.7152) * green + np.float32(0.0722) * blue
    lightness = np.maximum(luma * alpha - np.float32(DARKEST), np.float32(0)) / np.float32(1 - DARKEST)
    if not lightness.any():
        raise ValueError("is black or transparent all over; nothing would be seen")
    return Picture(lightness, linear_from_srgb(shown[:, :, :3]))
