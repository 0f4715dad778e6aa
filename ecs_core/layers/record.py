"""Records: a black disc with grooves and a sheen, which a cover as its label turns on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ecs_core.arrays import F32, U8
from ecs_core.layers.kind import Drawer, LayerKind, Moment, Stage
from ecs_core.scene.layer_settings import PlacedLayer
from ecs_core.scene.model import RGB, Share, option

if TYPE_CHECKING:
    from ecs_core.raster.marks import Mark, Pose

_LONGEST = 2160  # texels of a side
_LABEL = 0.36  # radius of the label, as a share of the record's
_GAPS = (0.47, 0.585, 0.69, 0.80, 0.895)  # radii at which a track ends
_LIT = (-0.62, 2.52)  # where light falls, radians clockwise from the right: its sheen does not turn
_SHADOW_SIZE, _SHADOW_DROP = 0.035, 0.014  # shares of its diameter


class RecordSettings(PlacedLayer):
    """A record; ``size`` is its diameter. Its grooves are round, so that turning does not show."""

    color: RGB = option((16, 16, 19), "of the vinyl", group="look")
    label: RGB = option((222, 214, 200), "of the label in its middle", group="look")
    sheen: Share = option(0.6, "how bright the light is on its grooves", group="look")
    shadow: Share = option(0.5, "how dark its shadow is", group="look")
    arm: bool = option(False, "whether a tone arm lies on it", group="look")


def record_picture(side: int, settings: RecordSettings) -> U8:
    """A record, (side, side, 4) uint8: sRGB and straight alpha."""
    at = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side / 2) - np.float32(1)
    radius = np.hypot(at[None, :], at[:, None])
    angle = np.arctan2(at[:, None], at[None, :])
    # Grooves: waves of several lengths, so that no two look alike; gaps between tracks are smooth.
    grooves = (
        sum(np.sin(radius * often + shift) for often, shift in ((430, 0.0), (613, 1.3), (197, 2.1), (71, 0.4))) / 4
    )
    smooth = np.zeros_like(radius)
    for gap in _GAPS:
        smooth = np.maximum(smooth, np.exp(-(((radius - gap) / np.float32(0.005)) ** 2)))
    lit = np.zeros_like(radius)
    for where in _LIT:
        away = np.angle(np.exp(1j * (angle - where))).astype(np.float32)
        lit += np.exp(-((away / np.float32(0.34)) ** 2)) + np.float32(0.5) * np.exp(-((away / np.float32(0.1)) ** 2))
    playing = _inside(radius, 0.965, side) * (1 - _inside(radius, _LABEL + 0.045, side))
    light = 0.05 * grooves * playing * (1 - smooth)
    light = light + settings.sheen * lit * (0.2 + playing * (0.14 + 0.16 * grooves - 0.1 * smooth))
    light = light + 0.10 * np.exp(-(((radius - 0.988) / np.float32(0.006)) ** 2))
    colour = np.array(settings.color, np.float32) / 255
    shown = colour + (np.float32(1) - colour) * np.clip(light, -0.04, 1)[:, :, None].astype(np.float32)
    middle = _inside(radius, _LABEL, side)[:, :, None]
    shown = shown + middle * (np.array(settings.label, np.float32) / 255 - shown)
    shown = shown * (1 - _inside(radius, 0.018, side)[:, :, None])
    alpha = _inside(radius, 0.998, side)
    pixels: U8 = np.round(np.clip(np.dstack([shown, alpha]), 0, 1) * 255).astype(np.uint8)
    return pixels


def _inside(radius: F32, of: float, side: int) -> F32:
    """1 within a radius, 0 outside, and smooth over a pixel."""
    share: F32 = np.clip((np.float32(of) - radius) * np.float32(side / 2) + np.float32(0.5), 0, 1)
    return share


def _prepare(settings: RecordSettings, stage: Stage) -> Drawer:
    from PIL import Image, ImageFilter  # noqa: PLC0415 - slow, and many scenes have no record

    from ecs_core.raster.light_pictures import LightMask, LightPicture  # noqa: PLC0415 - likewise
    from ecs_core.raster.marks import MaskMark, PictureMark  # noqa: PLC0415 - likewise

    diameter = settings.size * stage.short
    density = min(1.0, _LONGEST / diameter)
    side = max(8, round(diameter * density))
    pixels = record_picture(side, settings)
    picture = LightPicture.of(pixels)
    corner = float(-(side // 2)) / density
    shadow = None
    if settings.shadow:
        blur = max(1, round(_SHADOW_SIZE * side))
        padded = Image.fromarray(np.pad(pixels[:, :, 3], 3 * blur))
        shadow = LightMask.of(np.asarray(padded.filter(ImageFilter.GaussianBlur(blur)), np.float32) / np.float32(255))
        margin, drop = 3 * blur / density, _SHADOW_DROP * diameter

    def draw(now: RecordSettings, moment: Moment, pose: Pose) -> Sequence[Mark]:
        shown: list[Mark] = [PictureMark(picture, pose, corner, corner, density, now.blend)]
        if settings.arm:
            shown.append(_arm(pose, diameter))
        if shadow is None or now.blend == "add":
            return shown
        black = MaskMark(shadow, pose, corner - margin, corner - margin + drop, (0.0, 0.0, 0.0), density=density)
        return [black.dimmed(settings.shadow), *shown]

    return draw


def _arm(pose: Pose, diameter: float) -> Mark:
    """A tone arm: its base, a tube in two parts, the head, and a weight, in shares of the record's radius."""
    from ecs_core.raster.marks import BoxesMark  # noqa: PLC0415 - see above

    base, elbow, head = (1.1, -0.86), (0.98, 0.22), (0.72, 0.6)
    parts: list[tuple[float, float, float, float, float, float, float]] = [  # x, y, wide, tall, angle, corner, light
        (*base, 0.17, 0.17, 0.0, 0.17, 0.012),
        (*base, 0.12, 0.12, 0.0, 0.12, 0.07),
        *(_tube(one, other, 0.019, light) for one, other, light in ((base, elbow, 0.42), (elbow, head, 0.42))),
        _tube((1.125, -1.12), (1.116, -0.98), 0.055, 0.1),
        (*base, 0.05, 0.05, 0.0, 0.05, 0.5),
        _tube((0.752, 0.556), (0.655, 0.695), 0.042, 0.03),
    ]
    x, y, wide, tall, angle, corner, light = (np.array(column, np.float32) for column in zip(*parts, strict=True))
    unit = np.float32(diameter / 2)
    colours = light[:, None] * np.array([1.0, 0.98, 0.94], np.float32)
    return BoxesMark.at(pose, x * unit, y * unit, wide * unit, tall * unit, colours, angle=angle, corner=corner * unit)


def _tube(
    one: tuple[float, float], other: tuple[float, float], thick: float, light: float
) -> tuple[float, float, float, float, float, float, float]:
    """A round-ended box from one point to another."""
    across, down = other[0] - one[0], other[1] - one[1]
    middle = ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)
    return (*middle, math.hypot(across, down) / 2 + thick, thick, math.atan2(down, across), thick, light)


RECORD = LayerKind("record", "a black record, for a cover as its label", RecordSettings, _prepare)
