"""How a text looks, independent of its size: lengths are in ems, so 0.1 is a tenth of the size of the font."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecs_core.errors import SceneError
from ecs_core.text.typefaces import DEFAULT

Align = Literal["start", "center", "end", "left", "right"]
Place = Literal["top", "middle", "bottom"]


def check_within(name: str, value: float, least: float, most: float) -> None:
    """Refuse a length in ems that is out of its range.

    Raises:
        SceneError: it names the field, the value and what is allowed.
    """
    if not least <= value <= most:
        raise SceneError(f"{name}: {value:g}; must be from {least:g} to {most:g} (in sizes of the font)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A blurred copy below the text: ``dx`` to the right, ``dy`` down, ``blur`` is the standard deviation, in ems."""

    dx: float = 0.0
    dy: float = 0.04
    blur: float = 0.06

    def __post_init__(self) -> None:
        check_within("shadow.dx", self.dx, -2, 2)
        check_within("shadow.dy", self.dy, -2, 2)
        check_within("shadow.blur", self.blur, 0, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Typeface, spacing, alignment, outline, shadow and glow of a text.

    ``family`` is a name or the path of a font file, ``weight`` one that it has (None: 400, or the nearest).
    ``letter_spacing`` comes between letters, ``line_height`` between baselines; ``align`` and ``place`` say where the
    text is in its box (``start`` and ``end`` by its direction). ``rtl`` is its direction (None: that of its first
    letter), ``language`` a BCP 47 tag. ``balance`` makes lines about equally long. ``outline`` is the width of a line
    around the letters, ``glow`` the standard deviation of light around them. ``features`` are OpenType features, such
    as ``("ss01", "-liga")``.
    """

    family: str = DEFAULT
    weight: float | None = None
    letter_spacing: float = 0.0
    line_height: float = 1.2
    align: Align = "center"
    place: Place = "middle"
    rtl: bool | None = None
    language: str | None = None
    balance: bool = True
    outline: float = 0.0
    shadow: Shadow | None = None
    glow: float = 0.0
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_within("letter_spacing", self.letter_spacing, -0.2, 2)
        check_within("line_height", self.line_height, 0.5, 4)
        check_within("outline", self.outline, 0, 0.5)
        check_within("glow", self.glow, 0, 2)
