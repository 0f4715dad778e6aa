"""Palettes: colours by name wherever colours are a setting."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ecs_core import Scene, SceneError
from ecs_core.plugin_api import particle_types
from ecs_core.raster.colour import linear_from_srgb
from ecs_core.scene.palettes import COLOUR_BLIND_SAFE, PALETTES

DOCUMENT = Path(__file__).parents[3] / "docs/particle-types.md"
# Red-green blindness in linear light: Viénot, Brettel and Mollon, "Digital video colourmaps for checking the legibility
# of displays by dichromats", 1999; what protanopes and deuteranopes see.
SEEN_BY = {
    "protanopes": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deuteranopes": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


@pytest.mark.parametrize("kind", sorted(particle_types().types))
def test_every_type_takes_a_palette_by_name(kind: str) -> None:
    _, settings = Scene(kind, config={"particle_colors": "sunset"}).resolve()
    assert settings.particle_colors == PALETTES["sunset"]
    listed = Scene(kind, config={"particle_colors": [list(colour) for colour in PALETTES["sunset"]]}).resolve()[1]
    assert settings == listed


def test_unknown_palette_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SceneError, match=r"particle_colors = 'sunst': must be .* a palette: aurora, berry, .*signal$"):
        Scene("zen", config={"particle_colors": "sunst"}).resolve()


def test_schema_offers_lists_and_names() -> None:
    _, settings = Scene("zen").resolve()
    listed, named = type(settings).model_json_schema()["properties"]["particle_colors"]["anyOf"]
    assert (listed["type"], listed["maxItems"]) == ("array", 64)
    assert named == {"type": "string", "enum": list(PALETTES)}


@pytest.mark.parametrize("name", PALETTES)
def test_colours_are_valid_and_differ(name: str) -> None:
    colours = PALETTES[name]
    assert 2 <= len(colours) == len(set(colours))
    assert all(0 <= value <= 255 for colour in colours for value in colour)


@pytest.mark.parametrize("name", COLOUR_BLIND_SAFE)
@pytest.mark.parametrize("viewers", SEEN_BY)
def test_safe_colours_can_be_told_apart(name: str, viewers: str) -> None:
    seen = linear_from_srgb(np.array(PALETTES[name]) / 255) @ np.array(SEEN_BY[viewers]).T
    shown = np.cbrt(np.clip(seen, 0, None))  # about even steps of lightness
    for at, one in enumerate(shown):
        for other in shown[at + 1 :]:
            assert np.abs(one - other).max() > 0.06


def test_document_names_all_palettes_in_the_order_of_the_picture() -> None:
    section = DOCUMENT.read_text().split("## Palettes")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| |")]
    assert [name for row in rows for name in re.findall(r"[a-z-]+", row)] == list(PALETTES)
