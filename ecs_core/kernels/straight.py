"""Accumulated light into pictures with straight alpha: red, green, blue and how much they hide, or such as YUV.

What a pixel shows over black is what ``kernels.tone`` develops. Alpha is the brightest of its three values, and its
colour is divided by it: the smallest alpha with which the picture shows the same over black, and what is light alone
hides as little as possible. What sprites that cover hide (``behind``, the share of the background that is still seen)
makes alpha larger: max(brightest, 1 - behind). Where nothing of the background is seen, alpha is 1: a picture without
alpha is one whose background is hidden everywhere.

Colour is known for every 2 × 2 pixels, so they have one hue, and the luminance of each pixel goes into its alpha. Where
that would be over 1, the colour goes towards white until its luma is right. At the edge of what covers there are pixels
with light whose four have no colour: they are grey, as black would show on bright grounds.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64, U8, U16, Scalar
from ecs_core.kernels.cover import TOE
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel
from ecs_core.kernels.raster import BLOCK_SHIFT, PAD, STRIP_SHIFT
from ecs_core.kernels.tone import filmic

f32 = np.float32

_ZERO, _HALF, _ONE = f32(0.0), f32(0.5), f32(1.0)
_LEAST = f32(1e-7)  # prevents 0 / 0 where there is no light
_DARK = f32(1e-6)  # light of a cell that has no colour
_ALL = f32(1 - 1e-5)  # more is all of the background, whatever was rounded
_CB, _CR = f32(1 / 1.8556), f32(1 / 1.5748)  # of ITU-R BT.709
CELLS = 5  # rows of scratch for what two pixels share


@inner_kernel
def _straight(
    luminance: F32, colour: F32, row: int, top: int, left: int, right: int, width: int, base: F32, glow: F32, gx: F32,
    gy: F32, behind: F32, narrow: F32, cells: F32, line: F32,
) -> None:  # fmt: skip
    """Red, green, blue and alpha, 0–1, of two rows from ``row`` of a band on, into ``line`` (2, 4, width).

    The light is cleared for the next frame. ``narrow`` and ``cells`` are scratch of (CELLS, width).
    """
    stride, half_stride = width + PAD, (width >> 1) + PAD
    plane = colour.size // 3
    n, half = right - left, (right - left) >> 1
    at = (row >> 1) * half_stride + (left >> 1)
    red, green = colour[at : at + half], colour[at + plane : at + plane + half]
    blue = colour[at + 2 * plane : at + 2 * plane + half]
    half_column, column = gx[1, left >> 1 : right >> 1], gx[0, left:right]
    level = gy[top + row]
    glow_r, glow_g, glow_b = level * glow[0], level * glow[1], level * glow[2]
    for i in range(half):
        shade = half_column[i]
        linear_r = red[i] + (base[0] + glow_r * shade)
        linear_g = green[i] + (base[1] + glow_g * shade)
        linear_b = blue[i] + (base[2] + glow_b * shade)
        red[i] = _ZERO
        green[i] = _ZERO
        blue[i] = _ZERO
        r, g, b = filmic(linear_r), filmic(linear_g), filmic(linear_b)
        x = KR * linear_r + KG * linear_g + KB * linear_b + _LEAST
        most = max(r, g, b)
        per = _ONE / (most + _LEAST)
        r, g, b = r * per, g * per, b * per
        luma = KR * r + KG * g + KB * b
        dark = x < _DARK
        narrow[0, i] = _ONE if dark else most / filmic(x)
        narrow[1, i] = _ONE if dark else r
        narrow[2, i] = _ONE if dark else g
        narrow[3, i] = _ONE if dark else b
        narrow[4, i] = luma / (_ONE - luma + _LEAST)
    for k in range(CELLS):
        for i in range(half):
            cells[k, 2 * i] = narrow[k, i]
            cells[k, 2 * i + 1] = narrow[k, i]
    scale, reds, greens, blues, white = cells[0, :n], cells[1, :n], cells[2, :n], cells[3, :n], cells[4, :n]
    base_l = KR * base[0] + KG * base[1] + KB * base[2]
    glow_l = KR * glow[0] + KG * glow[1] + KB * glow[2]
    seen = narrow[0, :n]
    for lower in range(2):
        here = row + lower
        if behind.shape[0] == 1:
            for i in range(n):
                seen[i] = behind[0, 0]
        else:
            for i in range(n):
                seen[i] = behind[top + here, left + i]
        light = luminance[here * stride + left : here * stride + left + n]
        out_r, out_g, out_b, out_a = line[lower, 0, :n], line[lower, 1, :n], line[lower, 2, :n], line[lower, 3, :n]
        level = gy[top + here] * glow_l
        for i in range(n):
            x = light[i] + (base_l + level * column[i])
            light[i] = _ZERO
            wanted = scale[i] * filmic(x)
            own = min(wanted, _ONE)
            alpha = max(own, _ONE - seen[i])
            share = own / (alpha + _LEAST)
            whiter = min(max(wanted - _ONE, _ZERO) * white[i], _ONE)
            out_r[i] = share * (reds[i] + (_ONE - reds[i]) * whiter)
            out_g[i] = share * (greens[i] + (_ONE - greens[i]) * whiter)
            out_b[i] = share * (blues[i] + (_ONE - blues[i]) * whiter)
            out_a[i] = alpha


@inner_kernel
def _runs(touched: U8, before: U8, rows: int, width: int, runs: I64) -> int:
    """List what is to be drawn of a band of so many rows: the runs of blocks that are or were touched.

    ``runs`` (n, 4) gets the first row of each, one more than its last row, and the same of its columns; the number of
    runs is returned. What is touched now is what was touched before in the next frame.
    """
    count, blocks = 0, touched.shape[1]
    for strip in range(touched.shape[0]):
        first = strip << STRIP_SHIFT
        last = min(rows, first + (1 << STRIP_SHIFT))
        block = 0
        while first < last and block < blocks:
            begin = block
            while block < blocks and (touched[strip, block] | before[strip, block]):
                block += 1
            if block > begin:
                runs[count, 0], runs[count, 1] = first, last
                runs[count, 2], runs[count, 3] = begin << BLOCK_SHIFT, min(width, block << BLOCK_SHIFT)
                count += 1
            block += 1
        if first < last:
            for each in range(blocks):
                before[strip, each] = touched[strip, each]
                touched[strip, each] = 0
    return count


@inline_kernel
def _noise(dither: f32, amount: f32) -> f32:
    """What rounds a value of a colour: dither, or a half for none."""
    return _HALF + amount * (dither - _HALF)


def scratch(width: int, rows: int) -> tuple[I64, F32, F32, F32]:
    """What kernels here work with, in bands of so many rows: runs, cells at half and at full size, two lines."""
    runs = (-(-rows >> STRIP_SHIFT)) * ((width >> BLOCK_SHIFT) // 2 + 1)
    narrow, cells = np.zeros((CELLS, width), np.float32), np.zeros((CELLS, width), np.float32)
    return np.zeros((runs, 4), np.int64), narrow, cells, np.zeros((2, 4, width), np.float32)


_BAND = (
    "f4[::1], f4[::1], i8, i8, i8, u1[:, ::1], u1[:, ::1], f4[::1], f4[::1], f4[:, ::1], f4[::1], f4[:, ::1], "
    "f4[:, ::1], f4, i8[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, :, ::1], "
)


@kernel(_BAND + "u1[:, ::1]")
def develop_rgba(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, touched: U8, before: U8, base: F32, glow: F32,
    gx: F32, gy: F32, behind: F32, dither: F32, amount: f32, runs: I64, narrow: F32, cells: F32, line: F32, out: U8,
) -> None:  # fmt: skip
    """Develop a band as ``tone.develop_band`` does, into pixels of four bytes: ``out`` is (height, >= 4 width).

    ``behind`` is (height, width), the share of the background that is still seen behind what covers it, or (1, 1) where
    it is the same everywhere. ``dither`` is (rows of a band, width); colours take ``amount`` (0–1) of it, alpha all.
    The arrays after that are scratch: :func:`scratch`.
    """
    for run in range(_runs(touched, before, bottom - top, width, runs)):
        first, last, left, right = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        for row in range(first, last, 2):
            _straight(luminance, colour, row, top, left, right, width, base, glow, gx, gy, behind, narrow, cells, line)
            for lower in range(2):
                noise = dither[row + lower, left:right]
                pixels = out[top + row + lower, 4 * left : 4 * right]
                for i in range(right - left):
                    more = _noise(noise[i], amount)
                    for channel in range(3):
                        pixels[4 * i + channel] = np.uint8(np.int32(f32(255.0) * line[lower, channel, i] + more))
                    pixels[4 * i + 3] = np.uint8(np.int32(f32(255.0) * line[lower, 3, i] + noise[i]))


@kernel(_BAND + "u2[:, ::1], u2[:, ::1], u2[:, ::1], u2[:, ::1]")
def develop_yuva444(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, touched: U8, before: U8, base: F32, glow: F32,
    gx: F32, gy: F32, behind: F32, dither: F32, amount: f32, runs: I64, narrow: F32, cells: F32, line: F32, luma: U16,
    cb: U16, cr: U16, alpha: U16,
) -> None:  # fmt: skip
    """The same into four planes of ten bits, (height, >= width) each: limited-range BT.709, and full-range alpha."""
    for run in range(_runs(touched, before, bottom - top, width, runs)):
        first, last, left, right = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        for row in range(first, last, 2):
            _straight(luminance, colour, row, top, left, right, width, base, glow, gx, gy, behind, narrow, cells, line)
            for lower in range(2):
                y = top + row + lower
                noise = dither[row + lower, left:right]
                red, green, blue, hides = line[lower, 0], line[lower, 1], line[lower, 2], line[lower, 3]
                out_y, out_b, out_r = luma[y, left:right], cb[y, left:right], cr[y, left:right]
                out_a = alpha[y, left:right]
                for i in range(right - left):
                    more = _noise(noise[i], amount)
                    light = KR * red[i] + KG * green[i] + KB * blue[i]
                    out_y[i] = np.uint16(np.int32(f32(64.0) + f32(876.0) * light + more))
                    out_b[i] = np.uint16(np.int32(f32(512.0) + f32(896.0) * _CB * (blue[i] - light) + more))
                    out_r[i] = np.uint16(np.int32(f32(512.0) + f32(896.0) * _CR * (red[i] - light) + more))
                    out_a[i] = np.uint16(np.int32(f32(1023.0) * hides[i] + noise[i]))


@kernel(_BAND + "u1[:, ::1], u1[:, ::1], u1[:, ::1], u1[:, ::1]")
def develop_yuva420(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, touched: U8, before: U8, base: F32, glow: F32,
    gx: F32, gy: F32, behind: F32, dither: F32, amount: f32, runs: I64, narrow: F32, cells: F32, line: F32, luma: U8,
    cb: U8, cr: U8, alpha: U8,
) -> None:  # fmt: skip
    """The same into planes of eight bits, of which ``cb`` and ``cr`` have half the size.

    Their colour is the mean of four pixels, each by its alpha, as what is not seen must not dull what is.
    """
    for run in range(_runs(touched, before, bottom - top, width, runs)):
        first, last, left, right = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        for row in range(first, last, 2):
            _straight(luminance, colour, row, top, left, right, width, base, glow, gx, gy, behind, narrow, cells, line)
            for lower in range(2):
                noise = dither[row + lower, left:right]
                red, green, blue, hides = line[lower, 0], line[lower, 1], line[lower, 2], line[lower, 3]
                out_y = luma[top + row + lower, left:right]
                out_a = alpha[top + row + lower, left:right]
                for i in range(right - left):
                    light = KR * red[i] + KG * green[i] + KB * blue[i]
                    out_y[i] = np.uint8(np.int32(f32(16.0) + f32(219.0) * light + _noise(noise[i], amount)))
                    out_a[i] = np.uint8(np.int32(f32(255.0) * hides[i] + noise[i]))
            out_b = cb[(top + row) >> 1, left >> 1 : right >> 1]
            out_r = cr[(top + row) >> 1, left >> 1 : right >> 1]
            for i in range((right - left) >> 1):
                red_sum, green_sum, blue_sum, total = _ZERO, _ZERO, _ZERO, _LEAST
                for lower in range(2):
                    for pixel in range(2 * i, 2 * i + 2):
                        hides_here = line[lower, 3, pixel]
                        red_sum += hides_here * line[lower, 0, pixel]
                        green_sum += hides_here * line[lower, 1, pixel]
                        blue_sum += hides_here * line[lower, 2, pixel]
                        total += hides_here
                light = KR * red_sum + KG * green_sum + KB * blue_sum
                per, more = f32(224.0) / total, f32(128.0) + _HALF
                out_b[i] = np.uint8(np.int32(more + per * _CB * (blue_sum - light)))
                out_r[i] = np.uint8(np.int32(more + per * _CR * (red_sum - light)))


@kernel("f4[::1], f4[::1], i8, i8, i8, u1[:, ::1], u1[:, ::1], f4[::1], f4, i8[:, ::1], f4[:, ::1]")
def see_behind(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, touched: U8, before: U8, base: F32, white: Scalar,
    runs: I64, behind: F32,
) -> None:  # fmt: skip
    """The share of a background that is still seen behind black sprites, into ``behind`` (height, width).

    The background is grey light that is shown as ``white``; ``base`` (3,) is what of it is not in the accumulators yet.
    ``runs`` is the first of :func:`scratch`.
    """
    stride, half_stride, plane = width + PAD, (width >> 1) + PAD, colour.size // 3
    per, rest = _ONE / f32(white), base[0]
    for run in range(_runs(touched, before, bottom - top, width, runs)):
        first, last, left, right = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        for row in range(first, last):
            light = luminance[row * stride + left : row * stride + right]
            out = behind[top + row, left:right]
            for i in range(right - left):
                x = light[i] + rest
                light[i] = _ZERO
                share = per * x / (x + TOE)
                out[i] = share if share < _ALL else _ONE
        for row in range(first >> 1, last >> 1):
            for channel in range(3):
                at = channel * plane + row * half_stride
                cell = colour[at + (left >> 1) : at + (right >> 1)]
                for i in range(cell.size):
                    cell[i] = _ZERO
