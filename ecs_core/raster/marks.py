"""Marks: pictures, masks and boxes that layers draw among sprites, in pixels of the frame.

Marks that did not change since the frame before are not drawn anew, so they compare by what they show (:func:`same`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecs_core import kernels
from ecs_core.arrays import F32, I32, U8
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.raster.light_pictures import RGB, LightMask, Picture, shown_share
from ecs_core.raster.sprites import Blend

Floats = NDArray[np.floating[Any]]
Bounds = tuple[float, float, float, float]  # left, top, right, bottom, pixels
MOST, MOST_SPREAD = 0.9995, 0.85  # of white that a picture shows, and that it spreads in bloom


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a layer is in a frame: its middle in pixels, how much larger it is, its turn clockwise in radians.

    ``opacity`` is 0–1.
    """

    x: float
    y: float
    scale: float = 1.0
    angle: float = 0.0
    opacity: float = 1.0

    def moved(self, dx: float, dy: float) -> Pose:
        """The pose of what lies ``dx`` and ``dy`` local pixels from the layer's middle."""
        x, y = self.points(np.array([dx]), np.array([dy]))
        return replace(self, x=float(x[0]), y=float(y[0]))

    def points(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Local places, pixels from the layer's middle, as places in the frame; (n,) each."""
        c, s = self.scale * math.cos(self.angle), self.scale * math.sin(self.angle)
        return self.x + c * x - s * y, self.y + s * x + c * y


@dataclass(frozen=True, slots=True)
class Painting:
    """What marks are drawn into: one band's accumulators, and scratch.

    ``light`` is the factor on all light. In a ``spread`` picture, that of bloom, white is limited.
    """

    luminance: F32
    colour: F32
    top: int
    bottom: int
    width: int
    light: float
    work: F32
    places: I32
    touched: U8
    spread: bool = False

    @property
    def toe(self) -> float:
        """Light that is shown as half of white."""
        return float(kernels.cover.TOE) * self.light

    @property
    def most(self) -> np.float32:
        """The largest share of white."""
        return np.float32(MOST_SPREAD if self.spread else MOST)


class Mark(Protocol):
    """What a layer draws in a frame. It covers what is behind it, or adds its light."""

    @property
    def bounds(self) -> Bounds:
        """The part of the frame outside of which nothing is drawn."""

    @property
    def texels(self) -> int:
        """The widest row of its pictures."""

    def draw(self, painting: Painting) -> None:
        """Draw it into a band."""

    def scaled(self, across: float, down: float) -> Mark:
        """The mark in a frame of another size."""

    def black(self) -> Mark | None:
        """The same that covers as much, in black; None where it covers nothing."""

    def dimmed(self, share: float) -> Mark:
        """The mark with so much of its opacity."""


@dataclass(frozen=True, eq=False)
class PictureMark:
    """A picture; its upper left corner is ``left`` and ``top`` local pixels from the middle of its layer.

    ``density`` is its texels per local pixel; ``brightness`` (0–1) a factor on what it shows. Where it is ``wide`` its
    edges are as its outermost texels, not soft; it must not be turned.
    """

    picture: Picture
    pose: Pose
    left: float
    top: float
    density: float = 1.0
    blend: Blend = "over"
    brightness: float = 1.0
    wide: bool = False
    stretch: tuple[float, float] = (1.0, 1.0)  # of the frame, against that in which the pose is
    is_black: bool = False

    @cached_property
    def bounds(self) -> Bounds:
        """See :class:`Mark`."""
        return _bounds(self.pose, self.left, self.top, self.picture, self.density, self.stretch)

    @property
    def texels(self) -> int:
        """See :class:`Mark`."""
        return self.picture.width + 4

    def draw(self, painting: Painting) -> None:
        """See :class:`Mark`."""
        number, place, bounds = self._lies
        fine, half, solid = self.picture.level(number)  # in each band, as a video has one frame at a time
        most = np.float32(0) if self.is_black else painting.most
        kernels.pictures.draw_picture(
            painting.luminance, painting.colour, painting.top, painting.bottom, painting.width, fine, half, place,
            bounds, np.float32(self.pose.opacity), np.float32(self.brightness), int(self.blend == "add"), most,
            painting.toe, int(solid), int(self.wide), painting.work, painting.places, painting.touched,
        )  # fmt: skip

    @cached_property
    def _lies(self) -> tuple[int, F32, F32]:
        """What all bands share: the number of the level, where pixels lie in it, and the bounds."""
        number, place = _place(self.pose, self.left, self.top, self.density, self.stretch, self.picture)
        return number, place, np.array(self.bounds, np.float32)

    def scaled(self, across: float, down: float) -> PictureMark:
        """See :class:`Mark`."""
        return replace(self, stretch=(self.stretch[0] * across, self.stretch[1] * down))

    def black(self) -> PictureMark | None:
        """See :class:`Mark`."""
        return None if self.blend == "add" else replace(self, is_black=True)

    def dimmed(self, share: float) -> PictureMark:
        """See :class:`Mark`."""
        return replace(self, pose=replace(self.pose, opacity=self.pose.opacity * share))


@dataclass(frozen=True, eq=False)
class GradientMark:
    """Colours that pass into one another over the whole frame.

    ``table`` is (4, n), n >= 2: luma, red, green and blue as shares of white, in equal steps from the first colour
    to the last. ``place`` is (6,), as ``kernels.grounds.draw_gradient`` has it.
    """

    table: F32
    place: tuple[float, float, float, float, float, float]
    radial: bool
    opacity: float
    bounds: Bounds
    texels: int = 0

    def draw(self, painting: Painting) -> None:
        """See :class:`Mark`."""
        kernels.grounds.draw_gradient(
            painting.luminance, painting.colour, painting.top, painting.bottom, painting.width, self.table,
            np.array(self.place, np.float32), int(self.radial), np.float32(self.opacity), painting.most, painting.toe,
            painting.work, painting.touched,
        )  # fmt: skip

    def scaled(self, across: float, down: float) -> GradientMark:
        """See :class:`Mark`."""
        a, b, c, d, e, f = self.place
        left, top, right, bottom = self.bounds
        bounds = left * across, top * down, right * across, bottom * down
        return replace(self, place=(a / across, b / down, c, d / across, e / down, f), bounds=bounds)

    def black(self) -> GradientMark:
        """See :class:`Mark`."""
        return replace(self, table=np.zeros_like(self.table))

    def dimmed(self, share: float) -> GradientMark:
        """See :class:`Mark`."""
        return replace(self, opacity=self.opacity * share)


@dataclass(frozen=True, eq=False)
class MaskMark:
    """A mask in a ``colour``, linear light >= 0, and left of texel ``split`` in the ``other`` one; see PictureMark."""

    mask: LightMask
    pose: Pose
    left: float
    top: float
    colour: RGB
    other: RGB | None = None
    split: float = 0.0
    density: float = 1.0
    blend: Blend = "over"
    stretch: tuple[float, float] = (1.0, 1.0)

    @cached_property
    def bounds(self) -> Bounds:
        """See :class:`Mark`."""
        return _bounds(self.pose, self.left, self.top, self.mask, self.density, self.stretch)

    @property
    def texels(self) -> int:
        """See :class:`Mark`."""
        return self.mask.width + 4

    def draw(self, painting: Painting) -> None:
        """See :class:`Mark`."""
        fine, half, place, bounds, colours, split = self._drawn
        kernels.pictures.draw_mask(
            painting.luminance, painting.colour, painting.top, painting.bottom, painting.width, fine, half, place,
            bounds, colours, split, np.float32(self.pose.opacity), int(self.blend == "add"), painting.most,
            painting.toe, painting.work, painting.places, painting.touched,
        )  # fmt: skip

    @cached_property
    def _drawn(self) -> tuple[F32, F32, F32, F32, F32, np.float32]:
        """What all bands share: the planes, where pixels lie in them, the bounds, both colours, and the split."""
        number, place = _place(self.pose, self.left, self.top, self.density, self.stretch, self.mask)
        shown = shown_share(np.array([self.colour if self.other is None else self.other, self.colour], np.float32))
        colours = np.concatenate([shown @ np.array([[KR], [KG], [KB]], np.float32), shown], axis=1)
        split = np.float32(-1e6 if self.other is None else self.split / 2**number)
        return *self.mask.levels[number], place, np.array(self.bounds, np.float32), colours, split

    def scaled(self, across: float, down: float) -> MaskMark:
        """See :class:`Mark`."""
        return replace(self, stretch=(self.stretch[0] * across, self.stretch[1] * down))

    def black(self) -> MaskMark | None:
        """See :class:`Mark`."""
        return None if self.blend == "add" else replace(self, colour=(0.0, 0.0, 0.0), other=None)

    def dimmed(self, share: float) -> MaskMark:
        """See :class:`Mark`."""
        return replace(self, pose=replace(self.pose, opacity=self.pose.opacity * share))


@dataclass(frozen=True, eq=False)
class BoxesMark:
    """Rounded boxes in draw order; all arrays have shape (n,), float32, in pixels of the frame.

    ``x`` and ``y`` are the middles, ``wide`` and ``tall`` half of the sides, ``angle`` the turn clockwise in radians,
    ``corner`` the radius of the corners, ``rim`` the width of the rim of boxes that are not filled, 0 for others;
    ``red``, ``green`` and ``blue`` linear light >= 0, ``alpha`` 0–1.
    """

    x: F32
    y: F32
    wide: F32
    tall: F32
    angle: F32
    corner: F32
    rim: F32
    red: F32
    green: F32
    blue: F32
    alpha: F32
    opacity: float = 1.0
    blend: Blend = "over"

    @staticmethod
    def at(
        pose: Pose,
        x: Floats,
        y: Floats,
        wide: Floats,
        tall: Floats,
        colours: Floats,
        *,
        angle: Floats | float = 0.0,
        corner: Floats | float = 0.0,
        rim: Floats | float = 0.0,
        alpha: Floats | float = 1.0,
        blend: Blend = "over",
    ) -> BoxesMark:
        """Boxes at places of a layer, (n,) each, in local pixels; ``colours`` is (3,) or (n, 3), linear light."""
        seen_x, seen_y = pose.points(np.asarray(x, np.float64), np.asarray(y, np.float64))
        red, green, blue = np.broadcast_to(colours, (len(x), 3)).T

        def column(values: ArrayLike, factor: float = 1.0) -> F32:
            return np.array(np.broadcast_to(np.asarray(values, np.float64) * factor, len(x)), np.float32)

        return BoxesMark(
            column(seen_x), column(seen_y), column(wide, pose.scale), column(tall, pose.scale),
            column(np.asarray(angle) + pose.angle), column(corner, pose.scale), column(rim, pose.scale), column(red),
            column(green), column(blue), column(alpha), pose.opacity, blend,
        )  # fmt: skip

    @cached_property
    def bounds(self) -> Bounds:
        """See :class:`Mark`."""
        c, s = np.abs(np.cos(self.angle)), np.abs(np.sin(self.angle))
        across, down = c * self.wide + s * self.tall + 1, s * self.wide + c * self.tall + 1
        if not len(self.x):
            return 0.0, 0.0, 0.0, 0.0
        return (
            float((self.x - across).min()),
            float((self.y - down).min()),
            float((self.x + across).max()),
            float((self.y + down).max()),
        )

    @property
    def texels(self) -> int:
        """See :class:`Mark`."""
        return 0

    def draw(self, painting: Painting) -> None:
        """See :class:`Mark`."""
        kernels.boxes.draw_boxes(
            painting.luminance, painting.colour, painting.top, painting.bottom, painting.width,
            self._columns, np.float32(self.opacity), int(self.blend == "add"),
            painting.most, painting.toe, painting.work, painting.touched,
        )  # fmt: skip

    @cached_property
    def _columns(self) -> F32:
        """The boxes as the kernel takes them; it is called for each band."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        colours = (shown_share(light) for light in (self.red, self.green, self.blue))
        columns = (self.x, self.y, self.wide, self.tall, c, s, self.corner, self.rim, *colours, self.alpha)
        return np.stack(columns).astype(np.float32)

    def scaled(self, across: float, down: float) -> BoxesMark:
        """See :class:`Mark`."""
        factor = np.float32(down)
        sides = {name: getattr(self, name) * factor for name in ("wide", "tall", "corner", "rim")}
        return replace(self, x=self.x * np.float32(across), y=self.y * factor, **sides)

    def black(self) -> BoxesMark | None:
        """See :class:`Mark`."""
        nothing = np.zeros_like(self.red)
        return None if self.blend == "add" else replace(self, red=nothing, green=nothing, blue=nothing)

    def dimmed(self, share: float) -> BoxesMark:
        """See :class:`Mark`."""
        return replace(self, opacity=self.opacity * share)


@dataclass(frozen=True, slots=True)
class PlacedMark:
    """A mark, and how many of a frame's sprites come before it. Where it is ``dark``, its light does not spread."""

    after: int
    mark: Mark
    dark: bool = False


Marks: TypeAlias = Sequence[PlacedMark]


def draw_in(mark: Mark, painting: Painting) -> None:
    """Draw a mark into a band if any of it is there."""
    _, top, _, bottom = mark.bounds
    if top < painting.bottom and bottom > painting.top:
        mark.draw(painting)


def same(one: Mark | None, other: Mark | None) -> bool:
    """Whether two marks show the same."""
    if one is other:
        return True
    if one is None or other is None or type(one) is not type(other):
        return False
    return all(_equal(getattr(one, each.name), getattr(other, each.name)) for each in fields(one))  # type: ignore[arg-type]


def _equal(one: object, other: object) -> bool:
    if one is other:
        return True
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other)
    return bool(one == other)


def _place(
    pose: Pose, left: float, top: float, density: float, stretch: tuple[float, float], of: Picture | LightMask
) -> tuple[int, F32]:
    """The number of the level whose texels are about as large as pixels, and where pixels lie among them."""
    size = max(pose.scale, 1e-6)
    c, s = math.cos(pose.angle) * density / size, math.sin(pose.angle) * density / size
    across, down = stretch
    per_pixel = density / (size * math.sqrt(across * down))
    number = min(max(0, math.floor(math.log2(per_pixel) + 0.5)), of.depth - 1)
    level = 2.0**number
    u = (c / across, s / down, -(c * pose.x + s * pose.y) - left * density)
    v = (-s / across, c / down, s * pose.x - c * pose.y - top * density)
    return number, np.array([*u, *v], np.float32) / np.float32(level)


def _bounds(
    pose: Pose,
    left: float,
    top: float,
    of: Picture | LightMask,
    density: float,
    stretch: tuple[float, float],
) -> Bounds:
    right, bottom = left + of.width / density, top + of.height / density
    x, y = pose.points(np.array([left, right, left, right]), np.array([top, top, bottom, bottom]))
    x, y = x * stretch[0], y * stretch[1]
    return float(x.min()) - 1, float(y.min()) - 1, float(x.max()) + 1, float(y.max()) + 1
