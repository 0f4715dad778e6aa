"""Palettes: colours that go together, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Colours = tuple[tuple[int, int, int], ...]

# sRGB, 0–255. Light adds up, so none of them is dark: where particles meet, colours grow brighter by themselves.
PALETTES: Mapping[str, Colours] = MappingProxyType(
    {
        "aurora": ((60, 255, 170), (40, 190, 255), (130, 90, 255), (200, 255, 220)),
        "berry": ((170, 50, 190), (240, 60, 130), (100, 70, 220), (255, 160, 200)),
        "candy": ((255, 120, 180), (120, 220, 255), (255, 230, 120), (180, 140, 255)),
        "citrus": ((255, 220, 50), (170, 230, 60), (255, 150, 40), (240, 255, 170)),
        "ember": ((255, 80, 20), (255, 160, 40), (255, 220, 140), (190, 40, 20)),
        "forest": ((60, 170, 80), (140, 205, 80), (225, 230, 140), (40, 130, 110)),
        "galaxy": ((255, 220, 180), (170, 190, 255), (255, 150, 170), (120, 100, 230)),
        "gold": ((255, 190, 70), (255, 225, 150), (255, 245, 220), (210, 140, 40)),
        "ice": ((225, 240, 255), (160, 210, 255), (110, 160, 255), (255, 255, 255)),
        "mono": ((255, 255, 255), (190, 190, 190)),
        "neon": ((255, 40, 140), (0, 240, 255), (160, 60, 255), (190, 255, 60)),
        "ocean": ((20, 110, 210), (30, 180, 220), (120, 230, 230), (230, 250, 255)),
        "pastel": ((255, 190, 200), (190, 225, 255), (215, 255, 205), (255, 240, 190)),
        "rose": ((255, 90, 120), (255, 150, 160), (255, 210, 205), (200, 50, 90)),
        "sunset": ((255, 94, 77), (255, 154, 86), (255, 206, 120), (190, 80, 155), (105, 80, 175)),
        "vapor": ((255, 110, 210), (110, 230, 255), (180, 130, 255), (255, 210, 160)),
        # For viewers who take red and green for one: blue against yellow, and colours that differ in lightness, too.
        "blue-yellow": ((255, 215, 60), (60, 110, 230), (170, 195, 255), (255, 240, 180)),
        # M. Okabe and K. Ito, "Color Universal Design", 2008.
        "okabe-ito": (
            (230, 159, 0),
            (86, 180, 233),
            (0, 158, 115),
            (240, 228, 66),
            (0, 114, 178),
            (213, 94, 0),
            (204, 121, 167),
        ),
        # IBM Design Language, "Color blind safe".
        "signal": ((100, 143, 255), (120, 94, 240), (220, 38, 127), (254, 97, 0), (255, 176, 0)),
    }
)
COLOUR_BLIND_SAFE = ("blue-yellow", "okabe-ito", "signal")
