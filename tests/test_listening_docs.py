"""docs/listening.md says of every feature and event what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ecs_core.audio import document
from ecs_core.audio.catalogue import EVENTS, FEATURES
from ecs_core.scene.scene import Scene

TEXT = (Path(__file__).parent.parent / "docs/listening.md").read_text(encoding="utf-8")


def test_table_of_features_matches_the_catalogue() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.+) \| (hit|slow|phase) \|$", TEXT, re.MULTILINE)
    said = [(name, what, unit, kind) for name, what, unit, _, kind in rows]
    assert said == [(each.name, each.description, each.unit or "–", each.kind) for each in FEATURES]


def test_numbers_in_the_table_match_the_catalogue() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .+ \| .+ \| (.+) \| \w+ \|$", TEXT, re.MULTILINE))
    for feature in FEATURES:
        numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", rows[feature.name])]
        fields = [getattr(feature.scale, name) for name in feature.scale.__slots__]
        expected = [float(value) for value in fields if not isinstance(value, bool)]
        assert feature.kind == "phase" or numbers == expected, feature.name


def test_table_of_events_matches_the_catalogue() -> None:
    assert dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", TEXT, re.MULTILINE)) == EVENTS


@pytest.mark.parametrize("text", re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
def test_examples_are_accepted(text: str) -> None:
    plain = json.loads(text)
    if "schema" in plain:
        document.check(plain, where="docs/listening.md")
    else:
        Scene("enhanced", audio="song.mp3", config=plain).resolve()
