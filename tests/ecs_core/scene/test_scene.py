"""Scene: frozen, hashable, JSON and back, and resolved strictly."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from ecs_core import Scene, SceneError


def test_json_and_back() -> None:
    scene = Scene("snow", "song.ogg", {"particle_count": 5, "particle_colors": [[1, 2, 3]], "fps": "30000/1001"})
    assert Scene.from_json(scene.to_json()) == scene


def test_equal_scenes_have_equal_json_and_hash() -> None:
    one = Scene("snow", "song.ogg", {"seed": 1, "fps": 25})
    other = Scene("snow", Path("song.ogg"), {"fps": 25, "seed": 1})
    assert one == other
    assert one.to_json() == other.to_json()
    assert len({one, other}) == 1


@pytest.mark.parametrize(
    "other", [Scene("enhanced"), Scene("snow", "song.ogg"), Scene("snow", config={"seed": 1})], ids=str
)
def test_other_scenes_differ(other: Scene) -> None:
    assert other != Scene("snow")
    assert other.to_json() != Scene("snow").to_json()


def test_is_frozen() -> None:
    scene = Scene("snow", config={"seed": 1})
    with pytest.raises(FrozenInstanceError):
        scene.type = "enhanced"
    with pytest.raises(TypeError):
        scene.config["seed"] = 2


def test_copies_the_callers_dictionary() -> None:
    config = {"enhanced_mode": {"factor": 1}}
    scene = Scene("snow", config=config)
    config["enhanced_mode"]["factor"] = 9
    assert scene.config["enhanced_mode"] == {"factor": 1}


def test_config_must_be_plain_json() -> None:
    with pytest.raises(SceneError, match="not plain JSON"):
        Scene("snow", config={"seed": object()})


def test_json_is_one_object() -> None:
    assert json.loads(Scene("snow").to_json()) == {"type": "snow", "audio": None, "config": {}}


def test_resolves_to_the_settings_of_the_type() -> None:
    kind, settings = Scene("snow", config={"particle_count": 5}).resolve()
    assert kind.name == "snow"
    assert isinstance(settings, kind.settings)
    assert settings.particle_count == 5


def test_unknown_type_error_lists_the_types() -> None:
    with pytest.raises(SceneError, match=r"Invalid particle type: rain\. Available types: \['bouncing', .*'zen'\]"):
        Scene("rain").resolve()


def test_length_of_the_song_needs_a_song() -> None:
    with pytest.raises(SceneError, match="needs a song"):
        Scene("snow", config={"duration": "audio"}).resolve()
    assert Scene("snow", "song.ogg", {"duration": "audio"}).resolve()[1].takes_length_of_song


def test_equal_scenes_have_equal_hashes() -> None:
    one, other = Scene("snow", config={"duration": 10}), Scene("snow", config={"duration": 10.0})
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other}) == 1
