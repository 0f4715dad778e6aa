"""Lettering: what texts and lyrics share: how letters look, the box they are in, and their masks as marks.

Nothing that is drawn is loaded before it is needed: checks know no pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from pydantic import field_validator

from ecs_core.scene.layer_settings import PlacedLayer
from ecs_core.scene.model import RGB, Share, option

if TYPE_CHECKING:
    from ecs_core.raster.light_pictures import LightMask
    from ecs_core.raster.marks import Mark, MaskMark, Pose
    from ecs_core.raster.sprites import Blend
    from ecs_core.text.drawing import Mask
    from ecs_core.text.placed import Layout, Placed
    from ecs_core.text.style import Style

LEAST = 0.012  # of the picture's shorter side: letters that are smaller cannot be read
_DROP, _BLUR = 0.045, 0.07  # of a shadow, in sizes of the letters: how far down, and how soft
_MOST_DENSITY = 4.0  # texels to a pixel of the layer, for letters that bindings make larger
_BOUND = 1.5  # how much larger bindings are expected to make them

BLACK = (0.0, 0.0, 0.0)
_GLOW_TEXELS = 4.0  # in which the standard deviation of a glow is kept: it has no detail

Light: TypeAlias = tuple[float, float, float]
Split: TypeAlias = tuple[Light, float]  # the colour left of a place, and that: pixels from the box's middle
Dark: TypeAlias = tuple[float, bool]  # such a place, and whether what lies left of it is dark

K = TypeVar("K")
V = TypeVar("V")


class Lettered(PlacedLayer):
    """What is set in letters, in a box whose middle is ``x``, ``y``."""

    bindable = ("shadow", "glow")

    size: float = option(
        0.08,
        "size of the letters as a share of the picture's shorter side; less where they would not fit",
        group="place",
        ge=0.005,
        le=4,
    )
    width: float = option(
        0.86, "width of its box, in which lines break, as a fraction of the picture's", group="place", gt=0, le=10
    )
    font: str = option(
        "Inter", "typeface: one of those that come with Motes", group="look", min_length=1, max_length=100
    )
    font_file: str | None = option(
        None,
        "font of one's own instead: a TrueType or OpenType file; in the API an uploaded font",
        group="look",
        asset="font",
        min_length=1,
        max_length=4096,
    )
    weight: float | None = option(
        None, "from thin to heavy, where the typeface has it; null: 400, or the nearest", group="look", ge=1, le=1000
    )
    color: RGB = option((255, 255, 255), "colour of the letters", group="look")
    align: Literal["start", "center", "end", "left", "right"] = option(
        "center", "where lines stand in the box", group="look"
    )
    letter_spacing: float = option(0.0, "space between letters, in sizes of the letters", group="look", ge=-0.2, le=2)
    line_height: float = option(1.2, "from line to line, in sizes of the letters", group="look", ge=0.5, le=4)
    uppercase: bool = option(False, "in capital letters", group="look")
    language: str | None = option(
        None,
        "language of the words (BCP 47: ja, zh-Hant …), which some letters depend on; null: by the letters",
        group="look",
        max_length=35,
        pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
    )
    outline: float = option(
        0.0, "width of a line around the letters, in sizes of the letters", group="look", ge=0, le=0.5
    )
    outline_color: RGB = option((0, 0, 0), "its colour", group="look")
    shadow: Share = option(0.0, "how dark their shadow is", group="look")
    glow: Share = option(0.0, "how bright the light around them is", group="look")
    glow_size: float = option(0.2, "how far that reaches, in sizes of the letters", group="look", ge=0.01, le=2)
    glow_color: RGB | None = option(None, "its colour; null: that of the letters", group="look")

    @field_validator("font")
    @classmethod
    def _is_there(cls, value: str) -> str:
        from ecs_core.text.typefaces import families  # noqa: PLC0415 - many scenes have no text

        by_name = {name.casefold(): name for name in families()}
        if value.strip().casefold() not in by_name:
            raise ValueError(f"must be one of {', '.join(families())}; a font of one's own is font_file")
        return by_name[value.strip().casefold()]

    def written(self, text: str) -> str:
        """A text as it is set."""
        return text.upper() if self.uppercase else text

    @property
    def is_awaited(self) -> bool:
        """Whether its font stands for one that is not here yet: an empty file, as no font is."""
        path = None if self.font_file is None else Path(self.font_file)
        return path is not None and path.is_file() and not path.stat().st_size

    def drawn_with(self, name: str) -> bool:
        """Whether a part that ``name`` says how strong it is, shadow or glow, is seen at any time."""
        return bool(getattr(self, name)) or name in (each.target for each in self.bindings)


def style_of(settings: Lettered, place: Literal["top", "middle", "bottom"] = "middle") -> Style:
    """How a layer's letters look."""
    from ecs_core.text.style import Shadow, Style  # noqa: PLC0415 - many scenes have no text

    return Style(
        family=settings.font if settings.font_file is None else settings.font_file,
        weight=settings.weight,
        letter_spacing=settings.letter_spacing,
        line_height=settings.line_height,
        align=settings.align,
        place=place,
        language=settings.language,
        outline=settings.outline,
        shadow=Shadow(dy=_DROP, blur=_BLUR) if settings.drawn_with("shadow") else None,
        glow=settings.glow_size if settings.drawn_with("glow") else 0.0,
    )


def density_of(settings: Lettered, longest: float) -> float:
    """Texels to a pixel of a layer, whose box is ``longest`` pixels: more where it is shown larger."""
    largest = settings.scale * (_BOUND if "scale" in (each.target for each in settings.bindings) else 1.0)
    return max(1.0, min(largest, _MOST_DENSITY, 8192 / max(1.0, longest)))


class Recent(Generic[K, V]):
    """The values that were made last for the keys asked for, ``most`` of them: memory stays flat."""

    def __init__(self, make: Callable[[K], V], most: int) -> None:
        self._make, self._most = make, most
        self._held: OrderedDict[K, V] = OrderedDict()

    def __call__(self, key: K) -> V:
        """The value of a key."""
        if key not in self._held:
            self._held[key] = self._make(key)
            if len(self._held) > self._most:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]


@dataclass(frozen=True, eq=False, slots=True)
class Layer:
    """A mask with its upper left corner, in pixels from the middle of the box, and its texels to a pixel."""

    mask: LightMask
    left: float
    top: float
    density: float

    def mark(self, pose: Pose, opacity: float, color: Light, blend: Blend, split: Split | None = None) -> MaskMark:
        """The mask in a colour, or in another one left of a place."""
        from ecs_core.raster.marks import MaskMark  # noqa: PLC0415 - many scenes have no text

        at = replace(pose, opacity=opacity * pose.opacity)
        if split is None:
            return MaskMark(self.mask, at, self.left, self.top, color, density=self.density, blend=blend)
        other, place = split
        texel = (place - self.left) * self.density
        return MaskMark(self.mask, at, self.left, self.top, color, other, texel, self.density, blend)


@dataclass(frozen=True, eq=False, slots=True)
class Ink:
    """A part of a text as marks draw it."""

    fill: Layer
    outline: Layer | None
    shadow: Layer | None
    glow: Layer | None


def inks(
    layout: Layout, ranges: Sequence[tuple[int, int]], density: float, *, shining: bool = False
) -> tuple[Ink, ...]:
    """The parts of a layout, of ``density`` texels to a pixel, that are seen; of ``shining`` ones letters and glow."""
    from ecs_core.text.drawing import draw  # noqa: PLC0415 - many scenes have no text

    sharp = replace(layout.style, glow=0.0)
    if shining:
        sharp = replace(sharp, outline=0.0, shadow=None)
    parts = draw(replace(layout, style=sharp), ranges)
    factor = min(1.0, _GLOW_TEXELS / max(1e-6, layout.style.glow * layout.size))
    coarse = replace(resized(layout, factor), style=replace(layout.style, shadow=None))
    glows = draw(coarse, ranges) if layout.style.glow else parts

    def laid(mask: Mask | None, factor: float = 1.0) -> Layer | None:
        from ecs_core.raster.light_pictures import LightMask  # noqa: PLC0415 - many scenes have no text

        if mask is None:
            return None
        left, top = mask.left - across * factor, mask.top - down * factor
        return Layer(LightMask.of(mask.values), left / density / factor, top / density / factor, density * factor)

    across, down = round(layout.width / 2), round(layout.height / 2)
    found = []
    for part, soft in zip(parts, glows, strict=True):
        fill = laid(part.fill)
        assert fill is not None
        found.append(Ink(fill, laid(part.outline), laid(part.shadow), laid(soft.glow, factor)))
    return tuple(found)


def resized(layout: Layout, factor: float) -> Layout:
    """A layout in which all is so much larger."""

    def placed(each: Placed) -> Placed:
        return replace(each, left=each.left * factor, right=each.right * factor, baseline=each.baseline * factor)

    return replace(
        layout,
        size=layout.size * factor,
        width=layout.width * factor,
        height=layout.height * factor,
        lines=(),
        letters=tuple(map(placed, layout.letters)),
        bounds=layout.bounds.scaled(factor),
    )


@lru_cache(256)
def light(color: RGB) -> Light:
    """The light of a colour, 0–255 each."""
    from ecs_core.raster.light_pictures import light_of  # noqa: PLC0415 - many scenes have no text

    return light_of(color)


def under(ink: Ink, now: Lettered, pose: Pose, opacity: float = 1.0, *, glow: float = 1.0) -> list[Mark]:
    """What lies under the letters of an ink: shadow, light, and the line around them, from below."""
    found: list[Mark] = []
    if ink.shadow is not None and opacity * now.shadow > 0 and now.blend != "add":
        found.append(ink.shadow.mark(pose, opacity * now.shadow, BLACK, "over"))
    found += glow_of(ink, now, pose, opacity * glow)
    if ink.outline is not None and opacity > 0:
        found.append(ink.outline.mark(pose, opacity, light(now.outline_color), now.blend))
    return found


def glow_of(ink: Ink, now: Lettered, pose: Pose, opacity: float, dark: Dark | None = None) -> list[Mark]:
    """The light around an ink; one side of a place may be ``dark``."""
    if ink.glow is None or not opacity * now.glow > 0:
        return []
    bright = light(now.glow_color or now.color)
    if dark is None:
        return [ink.glow.mark(pose, opacity * now.glow, bright, "add")]
    place, is_left = dark
    sides = (BLACK, bright) if is_left else (bright, BLACK)
    return [ink.glow.mark(pose, opacity * now.glow, sides[1], "add", (sides[0], place))]


def letters(
    ink: Ink, now: Lettered, pose: Pose, opacity: float = 1.0, *, color: RGB, left: tuple[RGB, float] | None = None
) -> Mark:
    """The letters of an ink in ``color``, and in another one ``left`` of a place, pixels from the box's middle."""
    split = None if left is None else (light(left[0]), left[1])
    return ink.fill.mark(pose, opacity, light(color), now.blend, split)
