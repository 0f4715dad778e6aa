"""Rows of what marks show into light: put over it, in its place, or added to it.

What is shown is kept as shares of white (see ``kernels.cover``), times alpha: then the mean of two is what is shown
between them, as in every drawing program. Its luma is as fine as the picture, its colours have half the size.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel

f32 = np.float32

_ONE = f32(1.0)
_LEAST = f32(1e-7)  # prevents 0 / 0 where there is no light
_MOST = f32(0.9999)  # share of white that is shown at most


@inline_kernel
def _to_pixels(cells: F32, pixels: F32, n: int) -> None:
    """Give each of two pixels what their cell has, (n,) of them."""
    for i in range(n >> 1):
        pixels[2 * i] = cells[i]
        pixels[2 * i + 1] = cells[i]


@inner_kernel
def put(
    luminance: F32, above: int, below: int, colour: F32, at: int, n: int, alpha: F32, shown: F32, cells: F32,
    shares: F32, opacity: f32, level: f32, adds: int, most: f32, toe: f32,
) -> None:  # fmt: skip
    """Put two rows of a picture over light, or add their light to it.

    ``alpha`` and ``shown`` are (2, n), n even: alpha, and luma as a share of white times alpha. ``cells`` is
    (4, n / 2): those of colours, alpha, red, green and blue. The rows of luminance begin at ``above`` and ``below``,
    those of colours at ``at`` in each plane. ``level`` is a factor on what is shown. ``shares`` is scratch, (4, n).

    What is shown of luminance is its share of white times k, as in ``kernels.tone``, where k is that of the cell. So
    a pixel's luminance has to change with its cell's k, for its luma to be the mean that it should be.
    """
    plane, half = colour.size // 3, n >> 1
    red, green, blue = colour[at : at + half], colour[at + plane : at + plane + half], colour[at + 2 * plane :]
    narrow, wide, before, after = shares[0], shares[1], shares[2], shares[3]
    cover, reds, greens, blues = cells[0], cells[1], cells[2], cells[3]
    if adds:
        for i in range(half):
            s_r, s_g, s_b = level * min(reds[i], most), level * min(greens[i], most), level * min(blues[i], most)
            r, g, b = toe * s_r / (_ONE - s_r), toe * s_g / (_ONE - s_g), toe * s_b / (_ONE - s_b)
            light, luma = KR * r + KG * g + KB * b, KR * s_r + KG * s_g + KB * s_b
            wide[i] = (light + _LEAST) / ((light + toe) * luma + _LEAST)
            red[i] += opacity * r
            green[i] += opacity * g
            blue[i] += opacity * b
        _to_pixels(wide, after, n)
        for row in range(2):
            start = above if row == 0 else below
            light_here, luma_here = luminance[start : start + n], shown[row]
            for j in range(n):
                share = min(level * min(luma_here[j], most) * after[j], _MOST)
                light_here[j] += opacity * (toe * share / (_ONE - share))
        return
    seen = opacity * level
    for i in range(half):
        r, g, b = red[i], green[i], blue[i]
        s_r, s_g, s_b = r / (r + toe), g / (g + toe), b / (b + toe)
        light, luma = KR * r + KG * g + KB * b, KR * s_r + KG * s_g + KB * s_b
        narrow[i] = (luma * (light + toe) + _LEAST) / (light + _LEAST)
        left = _ONE - opacity * cover[i]
        s_r = min(left * s_r + seen * min(reds[i], most), _MOST)
        s_g = min(left * s_g + seen * min(greens[i], most), _MOST)
        s_b = min(left * s_b + seen * min(blues[i], most), _MOST)
        r, g, b = toe * s_r / (_ONE - s_r), toe * s_g / (_ONE - s_g), toe * s_b / (_ONE - s_b)
        light, luma = KR * r + KG * g + KB * b, KR * s_r + KG * s_g + KB * s_b
        wide[i] = (light + _LEAST) / ((light + toe) * luma + _LEAST)
        red[i], green[i], blue[i] = r, g, b
    _to_pixels(narrow, before, n)
    _to_pixels(wide, after, n)
    for row in range(2):
        start = above if row == 0 else below
        light_here, luma_here, cover_here = luminance[start : start + n], shown[row], alpha[row]
        for j in range(n):
            x = light_here[j]
            luma = (_ONE - opacity * cover_here[j]) * (x / (x + toe)) * before[j] + seen * min(luma_here[j], most)
            share = min(luma * after[j], _MOST)
            light_here[j] = toe * share / (_ONE - share)


@inner_kernel
def put_solid(
    luminance: F32, above: int, below: int, colour: F32, at: int, n: int, shown: F32, cells: F32, shares: F32,
    level: f32, most: f32, toe: f32,
) -> None:  # fmt: skip
    """Put two rows of a picture in the place of light: as :func:`put` where alpha and opacity are 1."""
    plane, half = colour.size // 3, n >> 1
    red, green, blue = colour[at : at + half], colour[at + plane : at + plane + half], colour[at + 2 * plane :]
    wide, after = shares[0], shares[1]
    reds, greens, blues = cells[1], cells[2], cells[3]
    for i in range(half):
        s_r, s_g, s_b = level * min(reds[i], most), level * min(greens[i], most), level * min(blues[i], most)
        r, g, b = toe * s_r / (_ONE - s_r), toe * s_g / (_ONE - s_g), toe * s_b / (_ONE - s_b)
        light, luma = KR * r + KG * g + KB * b, KR * s_r + KG * s_g + KB * s_b
        wide[i] = (light + _LEAST) / ((light + toe) * luma + _LEAST)
        red[i], green[i], blue[i] = r, g, b
    _to_pixels(wide, after, n)
    for row in range(2):
        start = above if row == 0 else below
        light_here, luma_here = luminance[start : start + n], shown[row]
        for j in range(n):
            share = min(level * min(luma_here[j], most) * after[j], _MOST)
            light_here[j] = toe * share / (_ONE - share)


@inline_kernel
def _span(low: f32, high: f32, first: int, last: int) -> tuple[int, int]:
    """The whole pixels between two places, within first and last."""
    a = int(np.floor(min(max(low, f32(first)), f32(last))))
    b = int(np.ceil(min(max(high, f32(first)), f32(last))))
    return a, b


@inline_kernel
def even_span(low: f32, high: f32, first: int, last: int) -> tuple[int, int]:
    """As :func:`_span`, from an even number to an even number; ``first`` and ``last`` are even."""
    a, b = _span(low, high, first, last)
    return a & ~1, (b + 1) & ~1
