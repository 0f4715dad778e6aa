"""Settings that a type ignores are accepted, and said to have no effect: in the schema, and to who sets them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ecs_core import ParticleType, Phase, PluginError, Scene, Settings, System, World, option, render
from ecs_core.plugin_api import particle_types
from ecs_core.testing import ConformanceError, check_particle_type
from tests.media import SMALL

TYPES = sorted(particle_types().types)


@pytest.mark.parametrize("kind", TYPES)
def test_schema_says_what_has_no_effect(kind: str) -> None:
    properties = particle_types().types[kind].settings.model_json_schema()["properties"]
    ignored = {name for name, shown in properties.items() if shown.get("ignored")}
    assert ignored == set(particle_types().types[kind].settings.ignored)
    for name in ignored:
        assert properties[name]["description"].startswith("no effect on this type (")
        assert properties[name]["group"]


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_ignored_is_accepted(kind: str) -> None:
    model = particle_types().types[kind].settings
    values = {name: model.model_fields[name].get_default() for name in model.ignored}
    _, settings = Scene(kind, config=values).resolve()
    assert settings.warnings == []


def test_only_what_was_set_and_has_no_effect_is_named() -> None:
    config = {"bounce": True, "speed_x": 1.0, "max_particles": 5, "inner_movement_strength": 1.0}
    _, settings = Scene("snow", config=config).resolve()
    assert settings.warnings == [
        "bounce = True: has no effect on this particle type",
        "max_particles = 5: has no effect on this particle type",
    ]


@pytest.mark.parametrize("kind", ["flow", "orbits"])
def test_ignored_number_of_particles_does_not_count_where_trails_are_limited(kind: str) -> None:
    _, settings = Scene(kind, config={"max_particles": 60_000}).resolve()
    assert settings.warnings == ["max_particles = 60000: has no effect on this particle type"]


def test_render_warns(tmp_path: Path) -> None:
    result = render(Scene("snow", config={**SMALL, "duration": 0.2, "bounce": True}), tmp_path / "out.mp4", workers=1)
    assert result.warnings == ("bounce = True: has no effect on this particle type",)


def test_kit_finds_settings_that_nothing_reads() -> None:
    class Own(Settings):
        ignored = (*Settings.SPAWNING, "bounce", "particle_count")

    def populate(world: World, settings: Own) -> None:
        assert settings.particle_count
        assert settings.palette
        assert settings.drift
        assert settings.growth

    with pytest.raises(ConformanceError) as caught:
        check_particle_type(ParticleType("own", settings=Own, populate=populate), checks=("ignored",))
    unread, wrong = caught.value.report.problems
    assert unread.saw == (
        "nothing reads these settings: x_position, y_position, outer_movement_strength, inner_movement_strength."
    )
    assert wrong.saw.endswith("are read, or not the type's to heed: particle_count.")


def test_kit_sees_settings_that_are_read_in_any_way() -> None:
    class Own(Settings):
        trails: bool = option(False, "tails", group="look")
        length: float = option(1.0, "of the tails", group="look", ge=0, le=9)
        shine: float = option(1.0, "light", group="look", ge=0, le=9)

    class Shine(System):
        phase = Phase.SHADE

        def process(self) -> None:
            assert self.world.get(Own).shine

    def populate(world: World, settings: Own) -> None:
        world.insert(settings)
        if settings.trails:
            assert settings.length

    kind = ParticleType("own", settings=Own, populate=populate, systems=(Shine,))
    assert check_particle_type(kind, checks=("ignored",)).problems == ()
    assert "__getattribute__" not in vars(Own)


def test_preset_that_is_not_valid_is_left_to_the_check_of_presets(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text("{}")
    (tmp_path / "wrong.json").write_text('{"particle_count": "many"}')
    (tmp_path / "broken.json").write_text("{")
    kind = replace(particle_types().types["snow"], name="own", presets=tmp_path)
    with pytest.raises(ConformanceError) as caught:
        check_particle_type(kind, checks=("presets", "ignored"))
    assert caught.value.report.failed == ("presets",)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"ignored": ("bouncy",)}, r"ignored must be a tuple of names of its settings, not 'bouncy'"),
        ({"ignored": "bounce"}, r"ignored must be a tuple of names of its settings, not 'bounce'"),
        ({"__annotations__": {"layers": int}, "layers": 3}, r"its setting 'layers' must have another name"),
        ({"__annotations__": {"camera": float}, "camera": 1.0}, r"its setting 'camera' must have another name"),
    ],
)
def test_settings_that_motes_cannot_take_are_refused_by_name(own: dict[str, object], words: str) -> None:
    with pytest.raises(PluginError, match=words):
        ParticleType("own", settings=type("Own", (Settings,), own), populate=lambda world, settings: None)


def test_settings_of_layers_that_have_no_effect_are_named_with_the_layer(tmp_path: Path) -> None:
    layers = [{"type": "bouncing", "config": {"bounce": True}}]
    scene = Scene("snow", config={**SMALL, "duration": 0.2, "layers": layers})
    assert render(scene, tmp_path / "out.mp4", workers=1).warnings == (
        "layer 'bouncing': bounce = True: has no effect on this particle type",
    )
