"""Colour in linear light: conversion from sRGB, rotation of hues, and crosstalk that turns bright cores white."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecs_core import kernels
from ecs_core.arrays import F32

# How much of a sprite's light leaks into the other two channels. A per-channel curve alone would clip a bright pure
# red to flat red; with a leak the other channels rise too once it is far brighter than white, and its core turns white
# (the "crosstalk" of film, and of the input matrix of the Academy Color Encoding System's output transforms). Because
# light adds up linearly, mixing each sprite's colour once is the same as mixing every pixel.
LEAK = 0.03
_DIMMED = 0.16
_WHITEST = 0.985  # shown: the tone curve reaches white only with infinite light


def linear_from_srgb(srgb: ArrayLike) -> F32:
    """Linear light, 0–1, of display-encoded sRGB values 0–1 (IEC 61966-2-1); float32, same shape."""
    value = np.asarray(srgb, np.float64)
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def light_shown_as(srgb: ArrayLike) -> F32:
    """The linear light of sprites that cover, or of a background, which is shown as these sRGB values, 0–1.

    ``srgb`` is (..., 3), and so is what is returned, float32 >= 0. A saturated colour that is very bright leaks into
    its other channels: it is dimmed by up to _DIMMED, as far as that keeps its hue.
    """
    colour = np.clip(np.asarray(srgb, np.float64), 0, _WHITEST)
    low, high = np.full(colour.shape[:-1], 1 - _DIMMED), np.ones(colour.shape[:-1])
    for _ in range(24):
        middle = (low + high) / 2
        fits = _before_leak(colour * middle[..., None]).min(axis=-1) >= 0
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    brightest = _before_leak(colour).min(axis=-1) >= 0
    light = _before_leak(colour * np.where(brightest, 1, low)[..., None])
    return np.maximum(light, 0).astype(np.float32)


def _before_leak(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """The light that :func:`leak` turns into what is shown as ``srgb``, (..., 3); negative where there is none."""
    wanted = kernels.curve.linear_shown_as(srgb)
    spread = LEAK * wanted.sum(axis=-1, keepdims=True)
    before: NDArray[np.float64] = (wanted - spread) / (1 - 3 * LEAK)
    return before


def turn_hue(red: F32, green: F32, blue: F32, turns: float) -> tuple[F32, F32, F32]:
    """Rotate hues, keeping luminance; ``turns`` 0.5 gives the complement; (n,) float32 each.

    The matrix of SVG's feColorMatrix hueRotate (Filter Effects 1, 9.6), with the luminances of BT.709.
    """
    c, s = math.cos(2 * math.pi * turns), math.sin(2 * math.pi * turns)
    grey = np.array([[0.2126, 0.7152, 0.0722]] * 3)
    swing = np.array([[-0.2126, -0.7152, 0.9278], [0.143, 0.140, -0.283], [-0.7874, 0.7152, 0.0722]])
    matrix = (grey + c * (np.eye(3) - grey) + s * swing).astype(np.float32)
    turned = [np.maximum(row[0] * red + row[1] * green + row[2] * blue, np.float32(0)) for row in matrix]
    return turned[0], turned[1], turned[2]


def leak(red: F32, green: F32, blue: F32) -> tuple[F32, F32, F32]:
    """Mix a share of each channel's light into the others; arrays of shape (n,), the sum of the three is kept."""
    keep = np.float32(1.0 - 3.0 * LEAK)
    spread = np.float32(LEAK) * (red + green + blue)
    return keep * red + spread, keep * green + spread, keep * blue + spread
