"""The safe area: the part of the picture that no button hides, within which text and pictures are placed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from ecs_core.platforms import FACTS, Platform
from ecs_core.scene.model import Model, Share, option

if TYPE_CHECKING:
    from ecs_core.scene.settings import Settings

_TITLE = 0.05  # of each side: the title-safe area of SMPTE ST 2046-1 is 90 % wide and high
_LEAST = 0.1  # share of the width and of the height that is left


class SafeAreaSettings(Model):
    """What is kept free at each edge, as a share of the height or the width."""

    top: Share = option(0.0, "kept free above", group="output")
    bottom: Share = option(0.0, "kept free below", group="output")
    left: Share = option(0.0, "kept free on the left", group="output")
    right: Share = option(0.0, "kept free on the right", group="output")

    @model_validator(mode="after")
    def _some_is_left(self) -> Self:
        for one, other in (("top", "bottom"), ("left", "right")):
            a, b = getattr(self, one), getattr(self, other)
            if a + b > 1 - _LEAST:
                raise ValueError(f"{one} = {a:g} with {other} = {b:g}: together at most {1 - _LEAST:g}")
        return self


SafeArea = Platform | Literal["title"] | SafeAreaSettings


def safe_rectangle(settings: Settings) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the safe area, as fractions of the width and the height.

    A platform's is as far from the left as from the right, so that what is in its middle is in the picture's.
    """
    area = settings.safe_area
    if area is None:
        return 0.0, 0.0, 1.0, 1.0
    if isinstance(area, SafeAreaSettings):
        return area.left, area.top, 1 - area.right, 1 - area.bottom
    if area == "title":
        return _TITLE, _TITLE, 1 - _TITLE, 1 - _TITLE
    facts = FACTS[area]
    side = max(facts.margins.left, facts.margins.right) / facts.width
    return side, facts.margins.top / facts.height, 1 - side, 1 - facts.margins.bottom / facts.height


def safe_box(settings: Settings) -> tuple[int, int, int, int]:
    """Left, top, width and height of the safe area, in whole pixels."""
    left, top, right, bottom = safe_rectangle(settings)
    x, y = round(left * settings.width), round(top * settings.height)
    return x, y, max(1, round(right * settings.width) - x), max(1, round(bottom * settings.height) - y)
