"""``color_by``: which populations of a type have their colours by it, and what users are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecs_core import (
    Brightness,
    Burst,
    Color,
    ColorBy,
    ColorOverLife,
    EmitFrom,
    Gradient,
    Lifetime,
    Look,
    ParticleType,
    Position,
    Scene,
    SceneError,
    Settings,
    Size,
    Sprite,
    World,
)
from ecs_core.plugin_api import particle_types
from ecs_core.scene.bindings import silent_world
from ecs_core.scene.dust import Dust
from ecs_core.testing import check_particle_type

TYPES = sorted(particle_types().types)
WAYS = ("birth", "speed", "height", "band")
COLOURED = [kind for kind in TYPES if "color_by" not in particle_types().types[kind].settings.ignored]


def coloured(kind: ParticleType | str, **config: Any) -> dict[str, ColorBy | None]:
    """What colours each population, by its name."""
    kind = particle_types().types[kind] if isinstance(kind, str) else kind
    with silent_world(kind, kind.settings(particle_colors="sunset", **config)) as world:
        return {world.name(entity): world.component(entity, ColorBy) for entity, _ in world.query(Sprite)}


@pytest.mark.parametrize("kind", TYPES)
def test_nothing_is_there_where_it_is_not_set(kind: str) -> None:
    assert set(coloured(kind).values()) == {None}


@pytest.mark.parametrize("kind", COLOURED)
@pytest.mark.parametrize("by", WAYS)
def test_every_type_has_it(kind: str, by: str) -> None:
    found = coloured(kind, color_by=by)
    assert found.pop("sun", None) is None  # of petals: it has a colour of its own
    if (kind, by) == ("orbits", "speed"):
        assert found.pop("dust") is None  # distant stars, which rest
    ways = {None if each is None else (each.by, len(each.palette.colours)) for each in found.values()}
    assert ways == {(by, 5)}


class Plain(Settings):
    """Those of a type whose colours mean something else."""

    ignored = ("color_by",)


def test_type_that_ignores_it_keeps_its_colours() -> None:
    palette = Gradient(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    burst = Burst(0.0, 0.0, count=1, palette=palette)
    kind = ParticleType("own", settings=Plain, archetype=(Position, Size, Color, Look), components=(burst, Sprite()))
    assert set(coloured(kind, color_by="height").values()) == {None}
    assert kind.settings(color_by="height").warnings == ["color_by = height: has no effect on this particle type"]


def test_picture_keeps_its_colours_unless_they_are_those_of_the_palette(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(tmp_path / "grey.png")
    shown = {"picture": str(tmp_path / "grey.png"), "color_by": "speed"}
    own = coloured("portrait", **shown)
    assert (own["shape"], own["haze"]) == (None, None)
    assert coloured("portrait", **shown, colors="palette")["shape"] is not None


def test_dust_has_the_colours_of_what_leaves_it() -> None:
    kind = particle_types().types["no_music"]
    settings = kind.settings(particle_colors=[[255, 0, 0], [0, 0, 255]], color_by="height", dust=30.0)
    with silent_world(kind, settings) as world:
        [(dust, _)] = world.query(Dust)
        assert world.component(dust, ColorBy) is None


class TestPlugins:
    """What a type of somebody else has."""

    palette = Gradient(((1.0, 0.5, 0.0), (0.0, 0.5, 1.0)))

    def of(self, *components: object) -> ColorBy | None:
        def populate(world: World, settings: Settings) -> None:
            burst = Burst(0.0, 0.0, count=1, palette=self.palette)
            columns = (Position, Size, Color, Look, Lifetime)
            world.populate(columns, (burst, Sprite()), name="heads")
            world.populate(columns, (burst, Sprite(), *components), name="own")

        return coloured(ParticleType("own", populate=populate), color_by="height")["own"]

    def test_colours_are_those_of_the_births(self) -> None:
        assert self.of() == ColorBy("height", self.palette)

    def test_colour_over_life_is_left_alone(self) -> None:
        assert self.of(ColorOverLife(self.palette)) is None

    def test_colour_of_others_is_left_alone(self) -> None:
        assert self.of(EmitFrom("heads", tinted=True)) is None
        assert self.of(EmitFrom("heads")) is not None

    def test_own_colours_by_something_are_left_alone(self) -> None:
        own = ColorBy("birth", self.palette, seconds=3.0)
        assert self.of(own) is own

    def test_speed_of_what_has_none_says_nothing(self) -> None:
        kind = ParticleType("own", archetype=(Position, Color), components=(Burst(0.0, 0.0, count=1),))
        assert set(coloured(kind, color_by="speed").values()) == {None}


def test_covering_particles_cover_as_before() -> None:
    kind = particle_types().types["bouncing"]
    for by in (None, "height"):
        settings = kind.settings(particle_colors="sunset", blend="over", color_by=by)
        with silent_world(kind, settings) as world:
            assert all(world.component(entity, Brightness) is not None for entity, _ in world.query(Sprite))


def test_single_colour_is_said_to_be_too_few() -> None:
    told = ["color_by = band: has no effect with a single one of particle_colors"]
    assert Scene("snow", config={"color_by": "band"}).resolve()[1].warnings == told
    assert Scene("snow", config={"color_by": "band", "particle_colors": "ice"}).resolve()[1].warnings == []
    with silent_world(particle_types().types["snow"], Scene("snow", config={"color_by": "band"}).resolve()[1]) as world:
        assert world.query(ColorBy) == []


@pytest.mark.parametrize("kind", COLOURED)
def test_single_colour_changes_nothing(kind: str) -> None:
    settings = particle_types().types[kind].settings(particle_colors=[[255, 80, 40]], color_by="band")
    with silent_world(particle_types().types[kind], settings) as world:
        assert world.query(ColorBy) == []


def test_other_words_are_refused_in_a_line() -> None:
    with pytest.raises(SceneError, match=r"^color_by = 'size': must be 'birth', 'speed', 'height' or 'band'"):
        Scene("zen", config={"color_by": "size"}).resolve()


def test_each_layer_has_its_own() -> None:
    layers = [{"type": "zen", "config": {"color_by": "band"}}]
    _, settings = Scene("bouncing", config={"color_by": "height", "layers": layers}).resolve()
    assert settings.color_by == "height"
    assert settings.layers[0].config == {"color_by": "band"}


@pytest.mark.parametrize("by", WAYS)
def test_look_depends_on_neither_frame_rate_nor_size(by: str) -> None:
    config = {"color_by": by, "particle_colors": [[255, 60, 30], [40, 255, 90], [60, 60, 255]]}
    checks = ("determinism", "frame_rates", "sizes", "resume")
    assert check_particle_type("enhanced", config=config, checks=checks)
