"""The finish of a picture, on linear light: light that spreads (bloom), exposure, contrast, tints, saturation, grain.

Bloom is the blurred light of a coarse picture of the same sprites, added to the fine one. A lens spreads light without
regard to how bright it is, so there is no threshold. The blur is the mean of three Gaussians, each twice as wide as the
one before, which together fall off about as the light of a lens does: a peak with a long tail. Each is computed at half
the size of the one before, with the same taps.

All else is a gain for each pair of pixels, worked out where colour is kept and applied to luminance and colour alike.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inner_kernel, kernel
from ecs_core.kernels.raster import PAD

f32 = np.float32

_ZERO, _HALF, _ONE, _TWO = f32(0.0), f32(0.5), f32(1.0), f32(2.0)
_THREE_QUARTERS, _QUARTER, _EIGHTH, _THREE_EIGHTHS = f32(0.75), f32(0.25), f32(0.125), f32(0.375)
_LEAST = f32(1e-7)  # prevents 0 / 0 where there is no light
MIDDLE = f32(0.18)  # light that contrast leaves as it is, and that is half shadow and half light: middle grey
LEVELS = 3  # Gaussians


@inner_kernel
def _blur(light: F32, taps: F32, work: F32) -> None:
    """Blur a plane (rows, columns) in place by symmetric taps (n,), n odd; there is no light beyond its edges.

    ``work`` is scratch of at least as many columns, and a row more.
    """
    rows, columns = light.shape
    reach, across = taps.size >> 1, work[rows]
    for row in range(rows):
        for i in range(columns):
            across[i] = _ZERO
        for tap in range(taps.size):
            shift, weight = tap - reach, taps[tap]
            low, high = max(0, -shift), min(columns, columns - shift)
            if low < high:
                source, target = light[row, low + shift : high + shift], across[low:high]
                for i in range(high - low):
                    target[i] += weight * source[i]
        for i in range(columns):
            light[row, i] = across[i]
    for row in range(rows):
        target = work[row]
        for i in range(columns):
            target[i] = _ZERO
        for other in range(max(0, row - reach), min(rows, row + reach + 1)):
            source, weight = light[other], taps[other - row + reach]
            for i in range(columns):
                target[i] += weight * source[i]
    for row in range(rows):
        for i in range(columns):
            light[row, i] = work[row, i]


@inner_kernel
def _halve(light: F32, half: F32, narrow: F32) -> None:
    """Write a plane of half the size in both directions, rounded up, each pixel from 4 × 4 by binomial weights.

    ``narrow`` is scratch of at least as many rows as ``light`` has, and columns as ``half``.
    """
    rows, columns = light.shape
    for row in range(rows):
        for i in range(half.shape[1]):
            j = 2 * i
            after = light[row, j + 1] if j + 1 < columns else _ZERO
            total = _THREE_EIGHTHS * (light[row, j] + after)
            if j > 0:
                total += _EIGHTH * light[row, j - 1]
            if j + 2 < columns:
                total += _EIGHTH * light[row, j + 2]
            narrow[row, i] = total
    for row in range(half.shape[0]):
        for i in range(half.shape[1]):
            half[row, i] = _ZERO
        for other in range(max(0, 2 * row - 1), min(rows, 2 * row + 3)):
            weight = _THREE_EIGHTHS if other >> 1 == row else _EIGHTH
            for i in range(half.shape[1]):
                half[row, i] += weight * narrow[other, i]


@inner_kernel
def _add_doubled(half: F32, light: F32, across: F32) -> None:
    """Add a plane of half the size to one, interpolated; ``across`` is scratch for a row of it."""
    rows, columns = light.shape
    for row in range(rows):
        near = row >> 1
        far = min(max(near + (1 if row & 1 else -1), 0), half.shape[0] - 1)
        for i in range(columns):
            j = i >> 1
            k = min(max(j + (1 if i & 1 else -1), 0), half.shape[1] - 1)
            across[i] = _THREE_QUARTERS * (_THREE_QUARTERS * half[near, j] + _QUARTER * half[near, k]) + _QUARTER * (
                _THREE_QUARTERS * half[far, j] + _QUARTER * half[far, k]
            )
        for i in range(columns):
            light[row, i] += across[i]


@kernel("f4[:, :, ::1], f4[::1], f4, i8[::1], f4[::1], f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1]")
def spread(
    light: F32, taps: F32, amount: f32, columns: I64, shares: F32, out: F32, half: F32, quarter: F32, work: F32
) -> None:
    """Blur the light of a coarse picture, and write it, times ``amount``, stretched to the columns of a fine one.

    ``light`` is (3, rows, n): red, green, blue; it is used up. ``out`` is (3, rows, m): its column i lies between the
    coarse columns ``columns[i]`` and the next, at ``shares[i]`` (0–1) of the way. ``taps`` are those of the narrowest
    Gaussian. The rest is scratch: ``half`` and ``quarter`` of half the size, rounded up, and half of that; ``work`` of
    (rows + 1, n).
    """
    m, last = out.shape[2], light.shape[2] - 1
    for channel in range(3):
        plane = light[channel]
        _halve(plane, half, work)
        _halve(half, quarter, work)
        _blur(plane, taps, work)
        _blur(half, taps, work)
        _blur(quarter, taps, work)
        _add_doubled(quarter, half, work[0])
        _add_doubled(half, plane, work[0])
        scale = amount / f32(LEVELS)
        for row in range(light.shape[1]):
            for i in range(m):
                left = plane[row, columns[i]]
                right = plane[row, min(columns[i] + 1, last)]
                out[channel, row, i] = scale * (left + (right - left) * shares[i])


@kernel(
    "f4[::1], f4[::1], i8, i8, i8, f4[::1], f4[::1], f4[:, ::1], f4[::1], f4[:, :, ::1], i8[::1], f4[::1], "
    "f4[:, ::1], f4[::1], f4[::1], f4[:, ::1], f4[:, ::1]"
)
def finish_band(
    luminance: F32,
    colour: F32,
    top: int,
    bottom: int,
    width: int,
    base: F32,
    glow: F32,
    gx: F32,
    gy: F32,
    bloom: F32,
    rows: I64,
    shares: F32,
    gains: F32,
    corner_x: F32,
    corner_y: F32,
    grain: F32,
    work: F32,
) -> None:
    """Add the background and the bloom to one band's accumulators, and finish their light.

    The first arguments are those of ``tone.develop_band``, which adds no background then. ``bloom`` is what ``spread``
    wrote: the band's row of colour i lies between its rows ``rows[i]`` and the next, at ``shares[i]``. ``gains`` is
    (4, 3): exposure, contrast and saturation; the tint of shadows; that of lights; the vignette, and the fade of the
    whole picture. ``corner_x`` (width / 2,) and ``corner_y`` (height / 2,) add up to 1 in the picture's corners, and to
    0 in its middle. ``grain`` is (rows of a band, width), around 1; ``work`` is scratch of (4, width).
    """
    stride, half_stride, half = width + PAD, (width >> 1) + PAD, width >> 1
    plane = colour.size // 3
    exposure, contrast, saturation = gains[0, 0], gains[0, 1], gains[0, 2]
    vignette, fade = gains[3, 0], gains[3, 1]
    dark, steep = _TWO - contrast, _TWO * (contrast - _ONE)
    shadow_r, shadow_g, shadow_b = gains[1, 0], gains[1, 1], gains[1, 2]
    more_r, more_g, more_b = gains[2, 0] - shadow_r, gains[2, 1] - shadow_g, gains[2, 2] - shadow_b
    base_l = KR * base[0] + KG * base[1] + KB * base[2]
    glow_l = KR * glow[0] + KG * glow[1] + KB * glow[2]
    gain, spread_l, wide_gain, wide_spread = work[0], work[1], work[2], work[3]
    last = bloom.shape[1] - 1
    for row in range((bottom - top) >> 1):
        at = row * half_stride
        red, green = colour[at : at + half], colour[at + plane : at + plane + half]
        blue = colour[at + 2 * plane : at + 2 * plane + half]
        above, share = rows[row], shares[row]
        below = min(above + 1, last)
        r0, g0, b0 = bloom[0, above], bloom[1, above], bloom[2, above]
        r1, g1, b1 = bloom[0, below], bloom[1, below], bloom[2, below]
        level, far = gy[top + 2 * row], corner_y[(top >> 1) + row]
        for i in range(half):
            shade = level * gx[1, i]
            bloom_r = r0[i] + (r1[i] - r0[i]) * share
            bloom_g = g0[i] + (g1[i] - g0[i]) * share
            bloom_b = b0[i] + (b1[i] - b0[i]) * share
            r = red[i] + (base[0] + glow[0] * shade) + bloom_r
            g = green[i] + (base[1] + glow[1] * shade) + bloom_g
            b = blue[i] + (base[2] + glow[2] * shade) + bloom_b
            before = KR * r + KG * g + KB * b + _LEAST
            corner = _ONE / (_ONE + vignette * (corner_x[i] + far))
            light = exposure * corner * corner
            r, g, b = light * r, light * g, light * b
            seen = light * before
            bright = seen / (seen + MIDDLE)
            light = fade * (dark + steep * bright)
            r = light * (shadow_r + more_r * bright) * max(seen + saturation * (r - seen), _ZERO)
            g = light * (shadow_g + more_g * bright) * max(seen + saturation * (g - seen), _ZERO)
            b = light * (shadow_b + more_b * bright) * max(seen + saturation * (b - seen), _ZERO)
            red[i], green[i], blue[i] = r, g, b
            gain[i] = (KR * r + KG * g + KB * b) / before
            spread_l[i] = KR * bloom_r + KG * bloom_g + KB * bloom_b
        # A sample of colour lies on the left pixel of its two; the right one is halfway to the next.
        gain[half], spread_l[half] = gain[half - 1], spread_l[half - 1]
        for i in range(half):
            wide_gain[2 * i], wide_gain[2 * i + 1] = gain[i], _HALF * (gain[i] + gain[i + 1])
            wide_spread[2 * i], wide_spread[2 * i + 1] = spread_l[i], _HALF * (spread_l[i] + spread_l[i + 1])
        for here in range(2 * row, 2 * row + 2):
            light_here = luminance[here * stride : here * stride + width]
            level = gy[top + here] * glow_l
            noise = grain[here]
            for i in range(width):
                x = light_here[i] + (base_l + level * gx[0, i]) + wide_spread[i]
                light_here[i] = x * wide_gain[i] * noise[i]
