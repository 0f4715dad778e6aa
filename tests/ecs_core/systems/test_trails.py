"""Streaks and trails: as long as particles are fast, alike at any frame rate, the same from any snapshot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ecs_core import (
    Burst,
    Color,
    FeatureTimeline,
    Lifetime,
    Look,
    ParticleType,
    Position,
    Range,
    Scene,
    SceneError,
    Size,
    Sprite,
    Sprites,
    Trail,
    TrailPoints,
    Turbulence,
    Upkeep,
    Velocity,
    Walls,
    World,
)
from ecs_core.raster.rasteriser import Planes, Rasteriser
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation
from ecs_core.scene.settings import validate
from tests.ecs_core.raster.painting import light_of

MakeWorld = Callable[..., World]
COLUMNS = (Position, Velocity, Size, Color, Look)


def drawn(world: World) -> list[Sprites]:
    found: list[Sprites] = []
    world.step(drawn=found)
    return found


def flying(world: World, *components: object, columns: tuple[type, ...] = COLUMNS, speed: float = 300.0) -> int:
    burst = Burst(x=500.0, y=500.0, count=1, size=Range(3, 3), speed=Range(0, 0), drift_x=Range(speed, speed))
    return world.populate(columns, [burst, *components])


def seen(kind: str, seconds: float, fps: int, **config: Any) -> Sprites:
    """The last frame of so many seconds without a song."""
    small = {"width": 480, "height": 270, "duration": seconds, "fps": fps, **config}
    plan = make_plan(*Scene(kind, config=small).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(plan.frames - 1)
        return simulation.frame()


# --- streaks ---


def test_streak_is_as_long_as_the_particle_is_fast(make_world: MakeWorld) -> None:
    world = make_world()
    flying(world, Sprite(shutter=0.05))
    [sprites] = drawn(world)
    assert sprites.dx is not None
    assert sprites.dx[0] == pytest.approx(15.0)
    assert sprites.x[0] + sprites.dx[0] / 2 == pytest.approx(510.0)  # round where it is after a thirtieth of a second


def test_streak_has_the_light_of_the_particle(make_world: MakeWorld) -> None:
    world = make_world()
    flying(world, Sprite(shutter=0.05))
    [streak] = drawn(world)
    reach = 2.1 * 3.0
    # The window's integral along the way, spread over it: as much light passes across any place of it.
    assert streak.red[0] * 15.0 == pytest.approx(1.0 * 0.8107 * reach, rel=1e-3)


@pytest.mark.parametrize("sprite", [Sprite(), Sprite("disc", shutter=0.1), Sprite(shutter=0.001)])
def test_what_hardly_moves_and_discs_are_round(make_world: MakeWorld, sprite: Sprite) -> None:
    world = make_world()
    flying(world, sprite)
    [sprites] = drawn(world)
    assert sprites.dx is None or not sprites.dx.any()


def test_shutter_is_a_share_of_a_thirtieth_at_any_frame_rate() -> None:
    for fps in (24, 30, 60):
        still, moving = (seen("no_music", 1.0, fps, shutter=shutter, seed=3) for shutter in (0.0, 6.0))
        assert moving.dx is not None
        assert np.hypot(moving.dx, moving.dy).mean() > 2
        assert len(moving) >= len(still)
    lengths = [np.hypot(one.dx, one.dy).mean() for one in (seen("no_music", 1.0, fps, shutter=6.0) for fps in (24, 60))]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.1)


# --- trails ---


def test_trail_lies_where_the_particle_was(make_world: MakeWorld) -> None:
    world = make_world()
    flying(world, Sprite(), Trail(seconds=0.5), columns=(*COLUMNS, TrailPoints))
    for _ in range(30):
        lines, _ = drawn(world)
    assert lines.dx is not None
    assert (lines.y == 500.0).all()
    assert lines.x[0] == pytest.approx(500.0 + 300.0)
    ends = lines.x + lines.dx
    assert ends.min() == pytest.approx(800.0 - 300.0 * 0.5, abs=1.0)  # half a second behind
    assert len(lines) == 1  # it flew straight on
    assert lines.fade is not None
    assert lines.fade[-1] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["no_music", "enhanced", "bouncing"])
def test_trails_are_alike_at_any_frame_rate(kind: str) -> None:
    def length(fps: int) -> float:
        sprites = seen(kind, 1.5, fps, trail=0.5, particle_count=150)
        assert sprites.dx is not None
        return float(np.hypot(sprites.dx, sprites.dy).sum())

    lengths = [length(fps) for fps in (24, 30, 60)]
    assert max(lengths) < 1.15 * min(lengths)


def test_end_of_a_trail_glides(make_world: MakeWorld) -> None:
    world = make_world()
    flying(world, Sprite(), Trail(seconds=0.5), columns=(*COLUMNS, TrailPoints))
    ends = []
    for _ in range(60):
        lines, _ = drawn(world)
        ends.append(float((lines.x + lines.dx).min()) if len(lines) else 500.0)
    np.testing.assert_allclose(np.diff(ends[25:]), 10.0, atol=0.05)  # 300 units/s at 30 frames/s


def test_particle_that_is_put_elsewhere_leaves_its_trail(make_world: MakeWorld) -> None:
    world = make_world()
    entity = flying(world, Sprite(), Trail(seconds=0.5), columns=(*COLUMNS, TrailPoints))
    for _ in range(20):
        drawn(world)
    position = world.component(entity, Position)
    assert position is not None
    position.x -= 700
    lines, _ = drawn(world)
    assert np.abs(lines.dx).max(initial=0) < 20
    for _ in range(6):
        lines, _ = drawn(world)
    assert lines.x[0] + lines.dx[0] == pytest.approx(lines.x[0] - 60, abs=12)


def test_new_particle_has_no_trail_of_an_old_one(make_world: MakeWorld) -> None:
    world = make_world()
    burst = Burst(x=500.0, y=500.0, count=1, speed=Range(0, 0), drift_x=Range(90, 90), span=Range(0.3, 0.3))
    columns = (*COLUMNS, Lifetime, TrailPoints)
    upkeep = Upkeep(x=500.0, y=500.0, count=1, speed=Range(0, 0), drift_x=Range(90, 90), span=Range(0.3, 0.3))
    world.populate(columns, [burst, upkeep, Sprite(), Trail(seconds=2.0)])
    for _ in range(40):
        lines, heads = drawn(world)
        if len(lines):
            assert (lines.x + lines.dx).min() >= 500.0 - 90 / 30 - 0.1  # a frame before its birth
            assert lines.x[-1] == heads.x[0] or lines.x[-1] == pytest.approx(500.0 + 90 * 0.3, abs=0.1)  # of a dead one


def test_trail_of_a_user_is_on_every_population_that_moves() -> None:
    without, with_trail = (seen("snow", 1.0, 30, trail=trail) for trail in (0.0, 0.6))
    assert without.dx is None
    assert with_trail.dx is not None
    assert (with_trail.dx != 0).sum() > 50


def test_simulation_is_the_same_with_trails() -> None:
    without, with_trail = (seen("enhanced", 1.0, 30, trail=trail) for trail in (0.0, 0.6))
    assert with_trail.dx is not None
    round_ones = with_trail.where((with_trail.dx == 0) & (with_trail.dy == 0))
    np.testing.assert_array_equal(round_ones.x, without.x)
    np.testing.assert_array_equal(round_ones.red, without.red)


def test_too_many_trails_are_refused() -> None:
    with pytest.raises(SceneError, match=r"trail = 0\.5 with particle_count = 60000: at most 50000 particles have"):
        Scene("snow", config={"trail": 0.5, "particle_count": 60_000}).resolve()


@pytest.mark.parametrize("angle", [0.0, 0.6, np.pi / 2, 4.0])
@pytest.mark.parametrize("more", [{"trail": 1.5}, {"shutter": 24.0}])
def test_nothing_vanishes_as_a_particle_wraps(more: dict[str, float], angle: float) -> None:
    kind = ParticleType(
        "leaver",
        archetype=COLUMNS,
        components=(
            Burst(960.0, 540.0, count=1, direction=angle, speed=Range(450, 450), size=Range(4, 4)),
            Walls("wrap"),
            Sprite(),
        ),
    )
    config = {"width": 320, "height": 180, "duration": 6.0, "background": (0, 0, 0), **more}
    checked = validate(kind.settings, config, owner="leaver")
    rasteriser, planes, halves = Rasteriser(320, 180), Planes.empty(320, 180), []
    with Simulation(kind, checked, FeatureTimeline.silence(checked.rate, 180)) as simulation:
        for _ in range(180):
            rasteriser.paint(simulation.frame(), planes)
            light = light_of(planes)
            halves.append([half.sum() for half in (light[:, :160], light[:, 160:], light[:90], light[90:])])
    seen = np.array(halves[60:])
    assert seen.max() > 1
    assert np.abs(np.diff(seen, axis=0)).max() < 0.3 * seen.max()


def test_light_of_a_trail_does_not_jump(make_world: MakeWorld) -> None:
    world = make_world()
    still, drift = Range(0, 0), Range(500, 500)
    burst = Burst(x=100.0, y=270.0, count=1, size=Range(3, 3), speed=still, drift_x=drift)
    columns = (*COLUMNS, TrailPoints)
    world.populate(columns, [burst, Sprite(), Trail(seconds=0.6), Turbulence(strength=300.0, scale=150.0, speed=0.3)])
    rasteriser, planes = Rasteriser(960, 540), Planes.empty(960, 540)
    totals = []
    for _ in range(60):
        rasteriser.paint(Sprites.join(drawn(world)), planes)
        totals.append(light_of(planes).sum())
    later = np.array(totals[22:])
    assert (np.abs(np.diff(later, 2)) / later[1:-1]).max() < 0.04
