"""Lettering: what texts and lyrics share: how letters look, the box they are in, and their masks as marks.

Nothing that is drawn is loaded before it is needed: checks know no pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from pydantic import field_validator

from ecs_core.scene.layer_settings import PlacedLayer
from ecs_core.scene.model import RGB, Share, option

if TYPE_CHECKING:
    from ecs_core.raster.marks import LightMask, Mark, Pose
    from ecs_core.text.drawing import Mask, Part
    from ecs_core.text.placed import Layout
    from ecs_core.text.style import Style

LEAST = 0.012  # of the picture's shorter side: letters that are smaller cannot be read
_DROP, _BLUR = 0.045, 0.07  # of a shadow, in sizes of the letters: how far down, and how soft
_MOST_DENSITY = 4.0  # texels to a pixel of the layer, for letters that bindings make larger
_BOUND = 1.5  # how much larger bindings are expected to make them

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
    """A mask with its upper left corner, in pixels from the middle of the box."""

    mask: LightMask
    left: float
    top: float


@dataclass(frozen=True, eq=False, slots=True)
class Ink:
    """A part of a text as marks draw it: characters ``start`` to ``end``, in line ``row``; ``density`` as of marks."""

    start: int
    end: int
    row: int
    density: float
    fill: Layer
    outline: Layer | None
    shadow: Layer | None
    glow: Layer | None


def inks(
    layout: Layout, ranges: Sequence[tuple[int, int]], density: float, *, shining: bool = False
) -> tuple[Ink, ...]:
    """The parts of a layout, of ``density`` texels to a pixel, that are seen; of ``shining`` ones letters and glow."""
    from ecs_core.text.drawing import draw  # noqa: PLC0415 - many scenes have no text

    if shining:
        layout = replace(layout, style=replace(layout.style, outline=0.0, shadow=None))
    across, down = round(layout.width / 2), round(layout.height / 2)

    def laid(mask: Mask | None) -> Layer | None:
        from ecs_core.raster.marks import LightMask  # noqa: PLC0415 - many scenes have no text

        if mask is None:
            return None
        return Layer(LightMask.of(mask.values), (mask.left - across) / density, (mask.top - down) / density)

    def ink(part: Part) -> Ink:
        fill = laid(part.fill)
        assert fill is not None
        return Ink(
            part.start, part.end, part.line, density, fill, laid(part.outline), laid(part.shadow), laid(part.glow)
        )

    return tuple(map(ink, draw(layout, ranges)))


@lru_cache(256)
def light(color: RGB) -> tuple[float, float, float]:
    """The light of a colour, 0–255 each."""
    from ecs_core.raster.marks import light_of  # noqa: PLC0415 - many scenes have no text

    return light_of(color)


def under(ink: Ink, now: Lettered, pose: Pose, opacity: float = 1.0, *, glow: float = 1.0) -> list[Mark]:
    """What lies under the letters of an ink: shadow, light, and the line around them, from below."""
    from ecs_core.raster.marks import MaskMark  # noqa: PLC0415 - many scenes have no text

    found: list[Mark] = []
    shadow, bright = opacity * now.shadow * pose.opacity, opacity * now.glow * glow * pose.opacity
    if ink.shadow is not None and shadow > 0 and now.blend != "add":
        at = replace(pose, opacity=shadow)
        found.append(
            MaskMark(ink.shadow.mask, at, ink.shadow.left, ink.shadow.top, (0.0, 0.0, 0.0), density=ink.density)
        )
    if ink.glow is not None and bright > 0:
        at, color = replace(pose, opacity=bright), light(now.glow_color or now.color)
        found.append(MaskMark(ink.glow.mask, at, ink.glow.left, ink.glow.top, color, density=ink.density, blend="add"))
    if ink.outline is not None and opacity > 0:
        at, color = replace(pose, opacity=opacity * pose.opacity), light(now.outline_color)
        found.append(
            MaskMark(
                ink.outline.mask, at, ink.outline.left, ink.outline.top, color, density=ink.density, blend=now.blend
            )
        )
    return found


def letters(
    ink: Ink,
    now: Lettered,
    pose: Pose,
    opacity: float = 1.0,
    *,
    color: RGB | None = None,
    other: RGB | None = None,
    split: float = 0.0,
) -> Mark:
    """The letters of an ink in ``color``, and left of ``split``, pixels from the box's middle, in the ``other`` one."""
    from ecs_core.raster.marks import MaskMark  # noqa: PLC0415 - many scenes have no text

    fill = ink.fill
    return MaskMark(
        fill.mask,
        replace(pose, opacity=opacity * pose.opacity),
        fill.left,
        fill.top,
        light(now.color if color is None else color),
        None if other is None else light(other),
        (split - fill.left) * ink.density,
        ink.density,
        now.blend,
    )
