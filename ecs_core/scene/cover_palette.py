"""The palette of a cover: a few colours of a picture that go together and are light enough for particles.

In a config "cover" stands for it, wherever the name of a palette may; it is replaced before the config is checked, so
that a scene has plain colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.errors import SceneError
from ecs_core.scene.oklab import F64, colour_shown, lab_from_srgb

COVER = "cover"
KEYS = ("particle_colors", "colors")  # what takes palettes

_SIDE = 96  # pixels of the longer side that are looked at
_CLUSTERS, _FEWEST = 5, 3
_ROUNDS = 24
_GREY = 0.04  # chroma of what has no colour to speak of
_COLOURED = 0.02  # share of a picture's pixels that must have a colour
_RARE = 0.02  # share of the coloured pixels that a colour must have
_DARK = 0.12  # lightness of pixels whose hue nobody sees
_LIGHTEST, _DARKEST = 0.86, 0.6  # lightness of the palette's colours
_PALE, _VIVID = 0.12, 0.19  # chroma of the palette's colours, where the picture has any
_SAME = 0.055  # distance of colours that are one


def colours_of(pixels: NDArray[np.uint8]) -> list[list[int]]:
    """Three to five colours, (r, g, b) in 0–255, of a picture in sRGB, (height, width, 3) uint8; the main one first.

    Of a picture without colours they are greys.
    """
    lab = lab_from_srgb(_small(pixels).reshape(-1, 3) / 255)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    coloured = lab[(chroma >= _GREY) & (lab[:, 0] >= _DARK)]
    if len(coloured) < _COLOURED * len(lab):
        mean = lab[:, 0].mean()
        return [colour_shown(each, 0, 0) for each in (0.92, 0.8, 0.68)][:: 1 if mean < 0.5 else -1]
    centres, shares = _clusters(coloured)
    found: list[tuple[float, float, float]] = []
    for number in np.argsort(-shares * (0.05 + np.hypot(centres[:, 1], centres[:, 2])), kind="stable"):
        each = _lit(*(float(value) for value in centres[number]))
        if shares[number] >= _RARE and all(_distance(each, other) >= _SAME for other in found):
            found.append(each)
    lightness, a, b = found[0]
    more = [(0.9, a * 0.5, b * 0.5), (0.55 if lightness > 0.7 else 0.8, a, b)]
    return [colour_shown(*each) for each in [*found, *more][: max(len(found), _FEWEST)]]


def colours_of_picture(picture: Path) -> list[list[int]]:
    """Three to five colours, (r, g, b) in 0–255, of a picture in a file.

    Raises:
        SceneError: it cannot be read, or is too large.
    """
    from ecs_core.raster.picture_file import read_picture  # noqa: PLC0415 - slow, and needed for this alone

    try:
        return colours_of(read_picture(picture)[:, :, :3])
    except ValueError as error:
        raise SceneError(f"cover = {str(picture)!r}: {error}") from None


def with_cover_colours(config: Mapping[str, Any], colours: Callable[[], list[list[int]]]) -> dict[str, Any]:
    """A config in which "cover" is replaced by colours, also within its layers; ``colours`` is called if it occurs."""
    cache: list[list[list[int]]] = []

    def replaced(value: Any, key: str = "") -> Any:
        if value == COVER and key in KEYS:
            if not cache:
                cache.append(colours())
            return [list(each) for each in cache[0]]
        if isinstance(value, Mapping):
            return {name: replaced(each, str(name)) for name, each in value.items()}
        return [replaced(each) for each in value] if isinstance(value, list | tuple) else value

    return {name: replaced(value, name) for name, value in config.items()}


def _small(pixels: NDArray[np.uint8]) -> F64:
    """The picture with a longer side of at most ``_SIDE``: means of boxes."""
    step = max(1, -(-max(pixels.shape[:2]) // _SIDE))
    high, wide = (max(1, side // step) for side in pixels.shape[:2])
    cut = pixels[: high * step, : wide * step].astype(np.float64)
    high_step, wide_step = (min(step, side) for side in pixels.shape[:2])
    shaped = cut.reshape(high, high_step, wide, wide_step, 3)
    means: F64 = shaped.mean(axis=(1, 3))
    return means


def _clusters(lab: F64) -> tuple[F64, F64]:
    """Centres, (k, 3), and shares, (k,), of k-means. It starts from the most common colour, then from the farthest."""
    cells = np.floor(lab / 0.05).astype(np.int64)
    _, first, counts = np.unique(cells, axis=0, return_index=True, return_counts=True)
    starts = [lab[first[int(np.argmax(counts))]]]
    nearest = _squares(lab, starts[0])
    for _ in range(_CLUSTERS - 1):
        starts.append(lab[int(np.argmax(nearest))])
        nearest = np.minimum(nearest, _squares(lab, starts[-1]))
    centres = np.array(starts)
    shares = np.zeros(_CLUSTERS)
    for _ in range(_ROUNDS):
        of = np.argmin(np.stack([_squares(lab, centre) for centre in centres], axis=-1), axis=-1)
        shares = np.bincount(of, minlength=_CLUSTERS) / len(lab)
        sums = [np.bincount(of, lab[:, axis], minlength=_CLUSTERS) / len(lab) for axis in range(3)]
        means = np.stack(sums, axis=-1) / np.maximum(shares, 1e-12)[:, None]
        centres = np.where(shares[:, None] > 0, means, centres)
    return centres, shares


def _squares(lab: F64, centre: F64) -> F64:
    away = lab - centre
    return away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1] + away[:, 2] * away[:, 2]


def _lit(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """A colour that is light enough for particles, and coloured enough."""
    chroma, lit = float(np.hypot(a, b)), min(max(lightness, _DARKEST), _LIGHTEST)
    wanted = min(max(chroma * max(1.0, lit / lightness), _PALE), max(_VIVID, chroma))
    return lit, a * wanted / chroma, b * wanted / chroma


def _distance(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5)
