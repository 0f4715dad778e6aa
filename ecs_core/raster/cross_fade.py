"""Cross-fades of two finished pictures: what is shown is the mean of both, by shares of 256."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.raster.rasteriser import Planes
from ecs_core.raster.straight import StraightPlanes

WHOLE = 256  # the share of one picture alone


def cross_fade(one: Planes, other: Planes, share: int, out: Planes) -> None:
    """Write the mean of two pictures of one size into ``out``; ``share`` (0–256) of it is the ``other``."""
    for name in ("luma", "cb", "cr"):
        a, b = getattr(one, name), getattr(other, name)
        getattr(out, name)[:, : a.shape[1]] = _mean(a, b, share)


def cross_fade_straight(one: StraightPlanes, other: StraightPlanes, share: int, out: StraightPlanes) -> None:
    """The same for pictures with alpha: colours count by how much of them is seen."""
    width = _width(one)
    if one.form == "rgba":
        pixels = [planes.arrays[0][:, : 4 * width].reshape(-1, width, 4) for planes in (one, other)]
        mixed = _mixed([[each[:, :, channel] for channel in range(4)] for each in pixels], share)
        out.arrays[0][:, : 4 * width] = np.stack(mixed, axis=2).reshape(-1, 4 * width)
        return
    full = [[plane[:, :width] for plane in planes.arrays] for planes in (one, other)]
    if one.form == "yuva444p10le":
        mixed = _mixed(full, share)
    else:
        luma, alpha = _mixed([[planes[0], planes[3]] for planes in full], share)
        cells = [[planes[1][:, : width // 2], planes[2][:, : width // 2], _halved(planes[3])] for planes in full]
        cb, cr, _ = _mixed(cells, share)
        mixed = [luma, cb, cr, alpha]
    for target, values in zip(out.arrays, mixed, strict=True):
        target[:, : values.shape[1]] = values


def _width(planes: StraightPlanes) -> int:
    return int(planes.arrays[-1].shape[1]) // (4 if planes.form == "rgba" else 1)


def _mean(a: NDArray[Any], b: NDArray[Any], share: int) -> NDArray[Any]:
    mean = a.astype(np.uint32) * np.uint32(WHOLE - share) + b.astype(np.uint32) * np.uint32(share)
    return ((mean + WHOLE // 2) // WHOLE).astype(a.dtype)


def _mixed(pictures: list[list[NDArray[Any]]], share: int) -> list[NDArray[Any]]:
    """Channels, of which the last is alpha, of the mean of two pictures."""
    weights = [
        planes[-1].astype(np.uint64) * np.uint64(part)
        for planes, part in zip(pictures, (WHOLE - share, share), strict=True)
    ]
    total = weights[0] + weights[1]
    per = np.maximum(total, 1)
    rest = 0 if share < WHOLE // 2 else 1  # whose colours are kept where nothing is seen
    mixed = [
        np.where(total > 0, (a * weights[0] + b * weights[1] + per // 2) // per, (a, b)[rest]).astype(a.dtype)
        for a, b in zip(pictures[0][:-1], pictures[1][:-1], strict=True)
    ]
    return [*mixed, ((total + WHOLE // 2) // WHOLE).astype(pictures[0][-1].dtype)]


def _halved(alpha: NDArray[Any]) -> NDArray[Any]:
    wide = alpha.astype(np.uint32)
    cells: NDArray[Any] = wide[0::2, 0::2] + wide[1::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 1::2]
    return cells
