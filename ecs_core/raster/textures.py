"""Textures: the pictures that sprites can be drawn with, as the rasteriser samples them.

A picture has an alpha, how much of a sprite there is at a pixel, and a shade, the share of the sprite's light there. It
is kept as levels of half the size each, and the rasteriser takes the one whose pixels are about as large as the
picture's, so that a small sprite neither shimmers nor loses light.

Pictures are numbered in the order in which a process first uses them, from 1; a number means nothing elsewhere.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ecs_core.arrays import F32, U8
from ecs_core.errors import PluginError, in_a_line
from ecs_core.kernels.curve import KB, KG, KR

f32 = np.float32
SIDE = 256  # pixels of the finest level, a square
FRAME = 5  # of kernels.textures, which is loaded where something is drawn
SIDES = tuple(SIDE >> level for level in range(9))
FILE = Path(__file__).with_name("textures.npz")
Picture = Literal["flake", "leaf", "note", "petal", "smoke", "spark", "sun"]
BUILT_IN: tuple[str, ...] = get_args(Picture)
MOST_PICTURES = 255  # that a process can use: their numbers are bytes
MOST_SIDE, MOST_BYTES = 2048, 8_000_000  # of a PNG
BLURS = 10  # grades of blur
_WIDEST = 0.16  # sigma of the largest blur, of half a side
_NOTHING = 1 / 512  # of alpha
_MARGIN = 2.2  # sigmas that a blurred picture is larger by

Texture = str | Path
_lock = threading.Lock()
_numbers: dict[tuple[Texture, int], int] = {}
_levels: list[F32] = []
_sizes: list[tuple[float, float, float, float]] = [(1.0, 1.0, 1.0, 0.0)]


def texture_number(texture: Texture, *, blur: float = 0.0) -> int:
    """The number of a built-in picture, or of a PNG, out of focus by ``blur``, 0–1; loaded when it is first asked for.

    Raises:
        PluginError: no such picture, or the PNG cannot be used; says why and what can.
    """
    key = texture, round(BLURS * min(max(blur, 0.0), 1.0))
    found = _numbers.get(key)
    if found is None:
        with _lock:
            if key not in _numbers:
                if len(_levels) == MOST_PICTURES:
                    raise PluginError(f"texture {str(texture)!r}: {MOST_PICTURES} pictures are in use, as many as can")
                picture, reach = _blurred(picture_of(texture), key[1])
                _sizes.append((reach, *_extent(picture[0]), _detail(key[1], reach)))
                _levels.append(_with_levels(picture))  # last: others go by their number
                _numbers[key] = len(_levels)
        found = _numbers[key]
    return found


def pictures_in_use() -> int:
    """How many there are, which is the highest number."""
    return len(_levels)


def atlas() -> tuple[F32, F32]:
    """The pictures in use, (pictures, 2 × texels) as ``kernels.textures`` takes them; and four rows by number, from 0:
    half a side of each, in radii of a sprite, the shares of its width and height within which there is anything, and
    the share of half a side that its smallest detail is wide.
    """
    return _stacked(len(_levels))


@functools.lru_cache(maxsize=1)
def _stacked(count: int) -> tuple[F32, F32]:
    return np.stack(_levels[:count]), np.array(_sizes[: count + 1], np.float32).T


def _extent(alpha: F32) -> tuple[float, float]:
    """How far from the middle there is anything, across and down, as shares of half a side."""
    there = alpha > _NOTHING
    away = np.abs(np.arange(SIDE) + 0.5 - SIDE / 2) + 0.5
    across, down = (float(away[there.any(axis=axis)].max(initial=0.0)) / (SIDE / 2) for axis in (0, 1))
    return across, down


def _detail(grade: int, reach: float) -> float:
    """How wide the smallest detail of a picture is that is so blurred, as a share of half a side."""
    return max(2 / SIDE, _WIDEST * grade / BLURS / reach)


def picture_of(texture: Texture) -> F32:
    """Alpha, and shade times alpha, of a picture: (2, SIDE, SIDE) float32, 0–1.

    Raises:
        PluginError: as :func:`texture_number`.
    """
    if isinstance(texture, str):
        if texture not in BUILT_IN:
            there_are = ", ".join(BUILT_IN)
            raise PluginError(f"texture {texture!r}: no such picture; there are: {there_are}, or the Path of a PNG")
        with np.load(FILE) as pictures:
            kept = pictures[texture].astype(np.float32) / f32(255)
        return np.stack([kept[0], kept[0] * kept[1]])
    return _read(texture)


def _read(path: Path) -> F32:
    """A PNG's alpha, and its brightness as shade; without alpha, its brightness is the alpha."""
    allowed = f"a PNG of at most {MOST_SIDE} × {MOST_SIDE} pixels and {MOST_BYTES // 1_000_000} MB, not animated"
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise PluginError(f"texture {str(path)!r} is {size / 1e6:.0f} MB large: must be {allowed}")
    except OSError as error:
        raise PluginError(f"texture {str(path)!r}: {error.strerror}: must be {allowed}") from None
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - few types have pictures of their own

    try:
        with Image.open(path, formats=("PNG",)) as image:
            if max(image.size) > MOST_SIDE:
                raise PluginError(
                    f"texture {str(path)!r} has {image.size[0]} × {image.size[1]} pixels: must be {allowed}"
                )
            if getattr(image, "n_frames", 1) > 1:
                raise PluginError(f"texture {str(path)!r} is animated: must be {allowed}")
            has_alpha = "A" in image.getbands() or "transparency" in image.info
            pixels = np.asarray(image.convert("RGBA"), np.float32) / f32(255)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise PluginError(f"texture {str(path)!r} is not a PNG: must be {allowed}") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise PluginError(f"texture {str(path)!r} is damaged ({in_a_line(error)}): must be {allowed}") from None
    grey = KR * pixels[..., 0] + KG * pixels[..., 1] + KB * pixels[..., 2]
    alpha = pixels[..., 3] if has_alpha else grey
    if not alpha.any():
        raise PluginError(f"texture {str(path)!r} is empty: some of its pixels must be opaque")
    return _fitted(np.stack([alpha, alpha * grey if has_alpha else alpha]))


def _fitted(planes: F32) -> F32:
    """Planes of any size, (2, rows, columns), in the middle of a square of SIDE."""
    _, rows, columns = planes.shape
    largest = max(rows, columns)
    square = np.zeros((2, largest, largest), np.float32)
    top, left = (largest - rows) // 2, (largest - columns) // 2
    square[:, top : top + rows, left : left + columns] = planes
    return np.stack([_resized(_resized(plane, SIDE).T, SIDE).T for plane in square])


def _resized(plane: F32, count: int, *, first: float = 0.0, last: float = 1.0) -> F32:
    """Rows from ``first`` to ``last`` (shares of all) as ``count`` rows, each the mean of what it covers."""
    n = plane.shape[0]
    whole = np.concatenate([np.zeros((1, plane.shape[1])), np.cumsum(plane, axis=0, dtype=np.float64)])
    edges = np.linspace(first, last, count + 1) * n
    at = np.clip(edges, 0, n)
    low = np.minimum(at.astype(np.int64), n - 1)
    sums = whole[low] + (at - low)[:, None] * plane[low]
    means: F32 = (np.diff(sums, axis=0) / np.diff(edges)[:, None]).astype(np.float32)
    return means


def _blurred(picture: F32, grade: int) -> tuple[F32, float]:
    """A picture out of focus, with room for what spreads, and how much larger it is."""
    if not grade:
        return picture, 1.0
    sigma = _WIDEST * grade / BLURS
    reach = 1 + _MARGIN * sigma
    first, last = (1 - reach) / 2, (1 + reach) / 2
    spread = sigma / reach * SIDE / 2  # pixels
    at = np.arange(-int(4 * spread) - 1, int(4 * spread) + 2)
    weights = np.exp(-0.5 * (at / spread) ** 2)
    weights /= weights.sum()
    planes = []
    for plane in picture:
        wide = _resized(_resized(plane, SIDE, first=first, last=last).T, SIDE, first=first, last=last).T
        for _ in range(2):
            padded = np.pad(wide, ((len(at) // 2, len(at) // 2), (0, 0))).astype(np.float64)
            wide = sum(weight * padded[k : k + SIDE] for k, weight in enumerate(weights)).T
        planes.append(wide.astype(np.float32))
    return np.stack(planes), reach


def _with_levels(picture: F32) -> F32:
    """All levels of a picture, end to end, (2 × texels,), with an empty frame round each."""
    levels: list[F32] = []
    for _ in SIDES:
        levels.append(np.pad(picture, ((0, 0), *2 * [(FRAME, FRAME)])).reshape(2, -1).T)
        half = picture[:, 0::2] + picture[:, 1::2]
        picture = (half[:, :, 0::2] + half[:, :, 1::2]) * f32(0.25) if picture.shape[1] > 1 else picture
    return np.ascontiguousarray(np.concatenate(levels).reshape(-1), np.float32)


def texture_numbers(textures: Texture | Sequence[Texture], *, blur: float = 0.0) -> U8:
    """The numbers of one picture or several, (pictures,) uint8."""
    return np.array([texture_number(each, blur=blur) for each in _several(textures)], np.uint8)


def check_textures(textures: Texture | Sequence[Texture]) -> None:
    """Check one picture or several without loading those that Motes has.

    Raises:
        PluginError: as :func:`texture_number`.
    """
    for each in _several(textures):
        if each not in BUILT_IN:
            texture_number(each)


def _several(textures: Texture | Sequence[Texture]) -> tuple[Texture, ...]:
    several = (textures,) if not isinstance(textures, tuple | list) else tuple(textures)
    if not several or not all(isinstance(each, str | Path) for each in several):
        raise PluginError(f"texture {textures!r}: must be the name of a picture, the Path of a PNG, or several of them")
    return several
