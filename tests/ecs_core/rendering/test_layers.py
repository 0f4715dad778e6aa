"""Layers: several types in one picture that know nothing of one another, the same frames however they are rendered."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import esper
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import (
    RGB,
    Brightness,
    Burst,
    Canvas,
    Color,
    FeatureTimeline,
    Look,
    ParticleType,
    PluginError,
    Position,
    Range,
    Scene,
    SceneError,
    Settings,
    Size,
    Sprite,
    World,
    option,
    render,
    render_frame,
)
from ecs_core.audio.features import analyze
from ecs_core.plugin_api import particle_types
from ecs_core.plugin_api import registry as registry_module
from ecs_core.raster.rasteriser import Planes, Rasteriser
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.plan import RenderPlan, make_plan
from ecs_core.rendering.simulation import Simulation
from ecs_core.systems.extraction import SpriteSystem
from ecs_core.systems.shading import LookSystem
from ecs_core.systems.spawning import EmissionSystem
from tests.media import SMALL

TYPES = sorted(particle_types().types)
ZEN = {"type": "zen", "config": {"particle_count": 12}}


def plan_of(kind: str, layers: list[dict[str, Any]], song: Path | None = None, **config: Any) -> RenderPlan:
    whole = {**SMALL, "duration": 0.4, "layers": layers, **config}
    return make_plan(*Scene(kind, song, whole).resolve(), None if song is None else analyze(song))


def simulation_of(plan: RenderPlan) -> Simulation:
    return Simulation(plan.particle_type, plan.settings, plan.timeline)


def states(plan: RenderPlan, layer: str) -> list[bytes]:
    """The columns of a layer after each frame."""
    with simulation_of(plan) as simulation:
        found = []
        for _ in range(plan.frames):
            simulation.frame()
            rows = simulation.snapshot().layers[layer].populations.values()
            found.append(b"".join(each.values.tobytes() + each.birth.tobytes() for each in rows))
        return found


def content(drawn: Sprites) -> bytes:
    columns = (getattr(drawn, each.name) for each in fields(Sprites))
    return b"".join(b"" if column is None else column.tobytes() for column in columns)


@pytest.mark.parametrize("kind", TYPES)
def test_another_layer_changes_nothing_of_a_scene(kind: str, demo_song: Path) -> None:
    alone = states(plan_of(kind, [], demo_song), "")
    assert states(plan_of(kind, [ZEN, {"type": "snow", "behind": True}], demo_song), "") == alone


def test_layer_does_not_change_with_the_others(demo_song: Path) -> None:
    alone = states(plan_of("snow", [ZEN], demo_song), "zen")
    other = {"type": "enhanced", "name": "sparks"}
    assert states(plan_of("bouncing", [other, {**ZEN, "behind": True}], demo_song, particle_count=3), "zen") == alone


def test_layers_of_one_type_differ_by_name() -> None:
    twice = plan_of("snow", [ZEN, {**ZEN, "name": "other"}])
    assert states(twice, "zen") != states(twice, "other")
    renamed = plan_of("snow", [{**ZEN, "name": "other"}])
    assert states(renamed, "other") == states(twice, "other")


def test_layers_are_drawn_in_order_those_behind_first() -> None:
    def drawn(layers: list[dict[str, Any]]) -> Sprites:
        with simulation_of(plan_of("bouncing", layers, particle_count=5)) as simulation:
            return simulation.frame()

    over, under = {**ZEN, "name": "over"}, {**ZEN, "name": "under", "behind": True}
    main = drawn([])
    many = drawn([over, under])
    assert len(many) == len(main) + 24
    np.testing.assert_array_equal(many.x[12 : 12 + len(main)], main.x)
    np.testing.assert_array_equal(many.x[:12], drawn([under]).x[:12])
    np.testing.assert_array_equal(many.x[-12:], drawn([over]).x[-12:])


def test_opacity_is_the_share_of_light_that_is_seen() -> None:
    def light(opacity: float) -> np.ndarray:
        with simulation_of(plan_of("snow", [{**ZEN, "opacity": opacity}], particle_count=0)) as simulation:
            return simulation.frame().red

    np.testing.assert_allclose(light(0.25), 0.25 * light(1.0), rtol=1e-6)


def test_opacity_of_what_covers_is_how_much_it_covers() -> None:
    def drawn(opacity: float) -> Sprites:
        layer = {**ZEN, "config": {**ZEN["config"], "blend": "over"}, "opacity": opacity}
        with simulation_of(plan_of("snow", [layer], particle_count=0)) as simulation:
            return simulation.frame()

    whole, faint = drawn(1.0), drawn(0.25)
    assert whole.cover is not None
    assert faint.cover is not None
    assert whole.cover.max() == 1
    np.testing.assert_allclose(faint.cover, 0.25 * whole.cover, rtol=1e-6)
    np.testing.assert_array_equal(faint.red, whole.red)
    np.testing.assert_allclose(faint.skirt, 0.25 * whole.skirt, rtol=1e-6)
    unseen = drawn(0.0)
    assert unseen.cover is not None
    assert not unseen.cover.any()
    assert not np.stack([unseen.red, unseen.green, unseen.blue]).any()


@pytest.mark.parametrize("light", [0.03, 0.2, 1.0])
def test_before_black_what_covers_is_about_as_bright_as_light(light: float) -> None:
    shown = []
    for blend in ("add", "over"):
        world = World(seed=0, fps=Fraction(30), canvas=Canvas(64.0, 64.0), timeline=FeatureTimeline.silence(30, 1))
        with world:
            world.add(EmissionSystem())
            world.add(LookSystem())
            world.add(SpriteSystem())
            disc = Burst(x=32.0, y=32.0, count=1, size=Range(20, 20), light=Range(light, light))
            columns = (Position, Size, Color, Look, Brightness)
            world.populate(columns, [disc, Sprite("disc", blend=blend)])
            drawn: list[Sprites] = []
            world.step(drawn=drawn)
        planes = Planes.empty(64, 64)
        Rasteriser(64, 64).paint(Sprites.join(drawn), planes)
        shown.append(int(planes.luma[32, 32]) - 16)
    assert shown[0] == pytest.approx(shown[1], rel=0.2, abs=4)


def test_blend_is_of_each_layer_by_itself() -> None:
    over = {**ZEN, "config": {**ZEN["config"], "blend": "over"}, "behind": True}
    with simulation_of(plan_of("bouncing", [over], particle_count=5)) as simulation:
        cover = simulation.frame().cover
    assert cover is not None
    assert (cover[:12] > 0).all()
    assert not cover[12:].any()


def test_what_lies_behind_shows_where_nothing_covers_it(tmp_path: Path) -> None:
    def picture(blend: str, behind: bool) -> bytes:
        layer = {"type": "enhanced", "config": {"particle_count": 60}, "behind": behind}
        config = {**SMALL, "blend": blend, "particle_count": 60, "layers": [layer]}
        path = tmp_path / f"{blend}-{behind}.png"
        render_frame(Scene("zen", config=config), 0.3, path)
        return path.read_bytes()

    assert picture("over", True) != picture("over", False)
    assert picture("over", True) != picture("add", True)


def test_layer_has_bindings_and_a_threshold_of_its_own(demo_song: Path) -> None:
    larger = {"source": "rms", "target": "size", "op": "add", "gain": 20.0}
    bound = {**ZEN, "config": {**ZEN["config"], "bindings": [larger]}}
    with (
        simulation_of(plan_of("snow", [ZEN], demo_song)) as usual,
        simulation_of(plan_of("snow", [bound], demo_song)) as simulation,
    ):
        for _ in range(8):
            one, other = usual.frame(), simulation.frame()
    assert (other.radius[-10:] > one.radius[-10:]).all()
    np.testing.assert_array_equal(other.radius[:-12], one.radius[:-12])


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{"type": "rain"}], r"^layers\.0: Invalid particle type: rain. Available types: \['bouncing', "),
        ([ZEN, ZEN], r"^layers\.1\.name = 'zen': another layer has this name"),
        ([{"type": "zen", "config": {"width": 64}}], r"^layers\.0: config: width = 64: belongs to the whole video"),
        ([{"type": "zen", "config": {"layers": []}}], r"^layers\.0: config: layers = \[\]: belongs to the whole video"),
        (
            [{"type": "zen", "config": {"particle_count": -1}}],
            r"^layers\.0: particle_count = -1: must be between 0 and",
        ),
        ([{"type": "zen", "config": {"shape": 1}}], r"^layers\.0: unknown setting 'shape' for particle type 'zen'"),
        ([{"type": "zen", "opacity": 2}], r"^layers\.0\.opacity = 2: must be between 0 and 1"),
        ([{"kind": "rug", "type": "zen"}], r"^layers\.0: kind = 'rug': no such kind of layer; there are: "),
        ([{}], r"^layers\.0: type is missing"),
        ([{"type": ""}], r"^layers\.0: type = '': must have at least 1 character"),
        (
            [{"type": "zen", "config": {"bindings": [{"source": "rms", "target": "weight"}]}}],
            r"^layer 'zen': bindings\.0\.target = 'weight': no such parameter",
        ),
        ([ZEN] * 17, r"^layers = .*: must be a list of up to 16"),
    ],
)
def test_invalid_layers_are_named(layers: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(SceneError, match=words):
        Scene("snow", config={"layers": layers}).resolve()


LOOK = st.fixed_dictionaries(
    {},
    optional={
        "blend": st.sampled_from(["add", "over"]),
        "trail": st.sampled_from([0.05, 0.3]),
        "shutter": st.sampled_from([0.5, 4.0]),
        "color_by": st.sampled_from(["birth", "speed", "height", "band"]),
        "dust": st.sampled_from([8.0]),
        "texture": st.sampled_from(["flake", "petal"]),
    },
)
MORE = st.builds(
    lambda kind, count, behind, opacity, look: {
        "type": kind,
        "config": {"particle_count": count, "bass_threshold": 0.2, **look},
        "behind": behind,
        "opacity": opacity,
    },
    st.sampled_from(TYPES),
    st.integers(0, 40),
    st.booleans(),
    st.sampled_from([1.0, 0.3]),
    LOOK,
)


@given(
    kind=st.sampled_from(TYPES),
    look=LOOK,
    layers=st.lists(MORE, max_size=3, unique_by=lambda layer: layer["type"]),
    cuts=st.lists(st.integers(0, 16), max_size=3).map(sorted),
    fps=st.sampled_from([8, 24, 60]),
    seed=st.integers(0, 2**40),
)
@settings(max_examples=25, deadline=None)
@pytest.mark.compiled
def test_scene_that_is_cut_anywhere_goes_on_as_if_it_were_not(
    kind: str, look: dict[str, Any], layers: list[dict[str, Any]], cuts: list[int], fps: int, seed: int
) -> None:
    plan = plan_of(kind, layers, duration=float(Fraction(16, fps)), fps=fps, seed=seed, particle_count=20, **look)
    with simulation_of(plan) as simulation:
        whole = [content(simulation.frame()) for _ in range(16)]
    pieces: list[bytes] = []
    simulation = simulation_of(plan)
    for cut in [*cuts, 16]:
        while simulation.world.frame < cut:
            pieces.append(content(simulation.frame()))
        kept = pickle.dumps(simulation.snapshot())
        simulation.close()
        simulation = simulation_of(plan)
        simulation.restore(pickle.loads(kept))
    simulation.close()
    assert pieces == whole


def test_frames_are_the_same_for_any_workers_and_segments(demo_song: Path, tmp_path: Path) -> None:
    layers = [
        {"type": "zen", "behind": True, "config": {"blend": "over"}},
        {"type": "continuous_spawning", "opacity": 0.5, "config": {"shutter": 2.0}},
    ]
    look = {"trail": 0.4, "finish": {"bloom": 2.0, "aberration": 9.0, "grain": 0.2}}
    scene = Scene("enhanced", demo_song, {**SMALL, "duration": 1.5, **look, "layers": layers})
    ways = [(1, 2.0), (3, 0.5), (2, 0.3)]
    hashes = [
        render(scene, tmp_path / "out.mp4", workers=workers, segment_seconds=length, frame_hashes=True).frame_hashes
        for workers, length in ways
    ]
    assert len(set(hashes[0])) == 45
    assert hashes[0] == hashes[1] == hashes[2]
    assert render_frame(scene, 31 / 30, tmp_path / "frame.png") == hashes[0][31]


class Choosy(Settings):
    """Settings of a type that allows less than Motes."""

    width: int = option(640, "width", group="output", ge=96, le=4000)
    particle_count: int = option(150, "particles", group="particles", ge=100, le=10_000)
    background: RGB = option((1, 2, 3), "colour", group="look")  # type: ignore[assignment]  # not None, unlike ours


def _bursts(world: World, settings: Settings) -> None:
    drawn = (Position, Size, Color, Look)
    world.populate(drawn, [Burst(x=500.0, y=500.0, count=settings.particle_count), Sprite()])
    assert settings.seed == world.seed


def _fails(world: World, settings: Settings) -> None:
    raise ValueError("no rain today")


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = particle_types()
    more = {
        "choosy": ParticleType("choosy", settings=Choosy, populate=_bursts),
        "broken": ParticleType("broken", populate=_fails),
    }
    with_more = replace(registry, types={**registry.types, **more})
    monkeypatch.setattr(registry_module, "particle_types", lambda: with_more)


@pytest.mark.usefixtures("types")
def test_layer_of_a_type_with_limits_of_its_own_takes_what_the_video_has() -> None:
    with simulation_of(plan_of("snow", [{"type": "choosy"}], width=64, height=64, particle_count=10)) as simulation:
        assert len(simulation.frame()) == 10 + 150
    with pytest.raises(SceneError, match=r"layers\.0: particle_count = 20: must be between 100 and 10000"):
        plan_of("snow", [{"type": "choosy", "config": {"particle_count": 20}}])


@pytest.mark.usefixtures("types")
def test_worlds_of_a_scene_that_cannot_be_set_up_are_closed() -> None:
    plan = plan_of("snow", [ZEN, {"type": "broken"}])
    before = esper.list_worlds()
    with pytest.raises(PluginError, match="no rain today"):
        simulation_of(plan)
    assert esper.list_worlds() == before
