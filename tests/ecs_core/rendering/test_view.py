"""What the camera sees of space: perspective, fog, focus, order; how it moves; and streaks of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import Camera, Canvas, Scene, SceneError, render, render_frame
from ecs_core.raster.background import Background
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.eye import Eye
from ecs_core.rendering.plan import make_plan, with_levels
from ecs_core.rendering.projection import through
from ecs_core.rendering.simulation import Simulation
from ecs_core.rendering.view import View
from tests.ecs_core.conftest import timeline_of
from tests.ecs_core.raster.painting import light_of, painted

CANVAS = Canvas(1920.0)
MIDDLE_X, MIDDLE_Y = 960.0, 540.0


def at(
    places: Sequence[tuple[float, float, float]], *, radius: float = 4.0, light: float = 1.0, **columns: Any
) -> Sprites:
    """Sprites at places from the middle of the canvas."""
    x, y, z = np.array(places, np.float32).reshape(-1, 3).T
    same = np.ones(len(x), np.float32)
    given = {name: np.asarray(values, np.float32) for name, values in columns.items()}
    return Sprites(
        x + np.float32(MIDDLE_X),
        y + np.float32(MIDDLE_Y),
        same * np.float32(radius),
        same * np.float32(light),
        same * np.float32(light),
        same * np.float32(light),
        0 * same,
        np.zeros(len(x), np.uint8),
        z=z,
        **given,
    )


def seen(sprites: Sprites, camera: Camera = Camera(), t: float = 0.0, earlier: Camera | None = None) -> Sprites:  # noqa: B008
    view = View.of(camera, CANVAS, t)
    return through(sprites, view, lambda seconds: View.of(earlier or camera, CANVAS, t - seconds))


# --- perspective ---


def test_what_is_twice_as_far_is_half_as_large_and_as_bright_a_surface() -> None:
    near, far = seen(at([(100, 40, 0), (100, 40, 1000)]), Camera(perspective=1000.0)).radius.tolist()
    sprites = seen(at([(100, 40, 0), (100, 40, 1000)]), Camera(perspective=1000.0))
    assert (near, far) == (4.0, 2.0)
    assert (sprites.x - MIDDLE_X).tolist() == [100.0, 50.0]
    assert (sprites.y - MIDDLE_Y).tolist() == [40.0, 20.0]
    assert sprites.red.tolist() == [1.0, 1.0]


def test_what_is_at_the_viewer_or_behind_is_not_seen_and_fades_before() -> None:
    sprites = seen(at([(1, 1, -999), (1, 1, -1000), (1, 1, -1500), (1, 1, -960), (1, 1, -800)]))
    assert len(sprites) == 2
    assert sprites.red[0] < 0.01 < sprites.red[1] < 1
    assert np.isfinite(sprites.x).all()


def test_what_is_not_a_number_is_not_seen() -> None:
    assert len(seen(at([(1, 1, np.nan), (1, 1, 1)]))) == 1


def test_canvas_and_its_plane_in_space_move_alike() -> None:
    camera = Camera(x=0.4, y=0.6, zoom=1.7, roll=25.0, drift=30.0, shake=12.0)
    flat = at([(100, 40, 0), (-300, 200, 0)])
    on_canvas = Sprites(
        *(getattr(flat, name) for name in ("x", "y", "radius", "red", "green", "blue", "skirt", "disc"))
    )
    for t in (0.0, 3.3):
        one, other = seen(flat, camera, t), seen(on_canvas, camera, t)
        np.testing.assert_allclose(one.x, other.x, atol=1e-2)
        np.testing.assert_allclose(one.y, other.y, atol=1e-2)
        np.testing.assert_allclose(one.radius, other.radius, rtol=1e-5)


def test_fog_dims_by_depth() -> None:
    light = seen(at([(0, 0, 0), (0, 0, 500), (0, 0, 1500)]), Camera(fog=2.0)).red
    np.testing.assert_allclose(light, [1, np.exp(-1), np.exp(-3)], rtol=1e-4)


def test_far_ones_are_drawn_first_where_they_cover_and_only_there() -> None:
    places = [(1, 0, -100), (2, 0, 300), (3, 0, 0), (4, 0, 300)]
    covering = seen(at(places, cover=[1, 1, 1, 1]))
    assert np.argsort(covering.x).tolist() != [0, 1, 2, 3]
    scale = 1000 / np.array([1300, 1300, 1000, 900])
    np.testing.assert_allclose(covering.x - MIDDLE_X, np.array([2, 4, 3, 1]) * scale, rtol=1e-4)
    adding = seen(at(places))
    np.testing.assert_allclose((adding.x - MIDDLE_X)[[0, 2]], [1 / 0.9, 3], rtol=1e-4)


def test_covering_ones_dim_by_covering_less() -> None:
    sprites = seen(at([(0, 0, 500)], cover=[0.8]), Camera(fog=2.0))
    assert sprites.red.tolist() == [1.0]
    assert sprites.cover is not None
    assert sprites.cover[0] == pytest.approx(0.8 * np.exp(-1))


# --- lines ---


def test_line_is_projected_at_both_ends() -> None:
    line = at([(100, 0, 0)], radius=2.0, dx=[100], dy=[0], dz=[1000])
    [x], [dx], [radius], [taper] = (seen(line).x, seen(line).dx, seen(line).radius, seen(line).taper)  # type: ignore[misc]
    assert x == MIDDLE_X + 100
    assert abs(dx) < 1e-3  # 200 units at twice the distance
    assert (radius, taper) == (2.0, pytest.approx(0.5))


def test_line_begins_at_its_brighter_end() -> None:
    line = at([(100, 0, 500)], radius=2.0, dx=[200], dy=[50], dz=[-500])
    sprites = seen(line, Camera(fog=2.0))
    assert sprites.x[0] == MIDDLE_X + 300
    assert sprites.dx is not None
    assert sprites.x[0] + sprites.dx[0] == pytest.approx(MIDDLE_X + 100 / 1.5)
    assert sprites.red[0] == 1.0
    assert sprites.fade is not None
    assert sprites.fade[0] == pytest.approx(np.exp(-1), rel=1e-4)


def test_line_through_the_viewer_is_not_seen() -> None:
    assert len(seen(at([(10, 0, 100)], dx=[0], dy=[0], dz=[-2000]))) == 0


# --- focus ---

PICTURE = (400, 400)


def total_light(sprites: Sprites) -> float:
    """Of a picture of the middle of the canvas."""
    from dataclasses import replace

    moved = replace(sprites, x=sprites.x - np.float32(MIDDLE_X - 200), y=sprites.y - np.float32(MIDDLE_Y - 200))
    dark = Background(base=(0.0, 0.0, 0.0), glow=(0.0, 0.0, 0.0))
    return float(light_of(painted(moved, dark, PICTURE)).sum())


@pytest.mark.parametrize("skirt", [0.0, 0.05])
@pytest.mark.parametrize("blur", [2.0, 5.0, 8.0, 11.0, 14.0, 20.0])
def test_out_of_focus_all_light_is_there_in_a_larger_disc(blur: float, skirt: float) -> None:
    glow = at([(0.3, 0.2, 0)], radius=6.0, light=0.5)
    glow.skirt[:] = skirt
    sharp = seen(glow)
    # A lens of so many units spreads what is at half the distance of the focus to discs as large.
    soft = seen(glow, Camera(focus=1000.0, aperture=blur))
    assert total_light(soft) == pytest.approx(total_light(sharp), rel=0.06)
    assert soft.radius.max() > sharp.radius.max()
    assert soft.red.max() < sharp.red.max()


def test_in_focus_a_glow_stays_a_glow() -> None:
    sprites = seen(at([(0, 0, 250)]), Camera(focus=250.0, aperture=60.0))
    assert sprites.disc.tolist() == [0]
    assert sprites.radius[0] == pytest.approx(4 / 1.25)


def test_glow_becomes_a_disc_little_by_little() -> None:
    kinds = [seen(at([(0, 0, 0)]), Camera(focus=1000.0, aperture=blur)).disc.tolist() for blur in (1.0, 6.0, 30.0)]
    assert kinds == [[0], [0, 1], [1]]
    lights = [
        seen(at([(0, 0, 0)]), Camera(focus=1000.0, aperture=float(blur))).red.max()
        for blur in np.linspace(0.1, 30, 300)
    ]
    assert np.abs(np.diff(lights)).max() < 0.05


def test_line_out_of_focus_is_wider_and_dimmer() -> None:
    line = at([(0, 0, 0)], radius=2.0, dx=[100], dy=[0], dz=[0])
    [sharp], [soft] = (seen(line, Camera(focus=1000.0, aperture=a)).radius for a in (0.0, 20.0))
    assert soft > 5 * sharp
    assert seen(line, Camera(focus=1000.0, aperture=20.0)).red[0] * soft == pytest.approx(sharp, rel=1e-3)


# --- the moving camera ---


def test_orbit_turns_about_the_pivot() -> None:
    quarter = seen(at([(200, 50, 100), (0, 0, 100)]), Camera(pivot=100.0, orbit=45.0), t=2.0)
    assert quarter.x.tolist() == pytest.approx([MIDDLE_X, MIDDLE_X], abs=1e-3)
    assert quarter.radius[0] == pytest.approx(4 * 1000 / (1100 - 200), rel=1e-4)
    assert seen(at([(200, 50, 100)]), Camera(pivot=100.0, angle=90.0)).radius[0] == quarter.radius[0]


def test_tilt_is_seen_from_above() -> None:
    far, near = seen(at([(0, 0, 300), (0, 0, -300)]), Camera(tilt=30.0)).y
    assert far < MIDDLE_Y < near  # what is far lies higher


@settings(max_examples=50, deadline=None)
@given(t=st.floats(0, 36_000), drift=st.floats(1, 100), shake=st.floats(1, 100))
def test_drift_is_slow_and_shake_is_fast_and_both_are_small(t: float, drift: float, shake: float) -> None:
    slow = [View.of(Camera(drift=drift), CANVAS, t + k / 30) for k in range(60)]
    fast = [View.of(Camera(shake=shake), CANVAS, t + k / 30) for k in range(60)]
    for views, extent in ((slow, drift), (fast, shake)):
        assert max(abs(view.x - MIDDLE_X) for view in views) <= extent
        assert max(abs(view.y - MIDDLE_Y) for view in views) <= extent
    steps = [np.hypot(np.diff([v.x for v in views]), np.diff([v.y for v in views])) for views in (slow, fast)]
    assert steps[0].max() < 0.02 * drift
    assert steps[1].max() > 0.3 * shake


def test_drift_never_repeats_within_an_hour() -> None:
    places = np.array([(v.x, v.y) for v in (View.of(Camera(drift=100.0), CANVAS, float(t)) for t in range(3600))])
    away = np.hypot(*(places[0] - places[30:]).T)
    assert away.min() > 0.05


# --- streaks ---


def test_streak_is_the_way_on_the_screen() -> None:
    moved = at([(100, 0, 0)], dx=[0], dy=[0], dz=[-1000], open=[0.1])
    sprites = seen(moved)
    assert sprites.dx is not None
    assert abs(sprites.dx[0]) == pytest.approx(50.0)  # from 50 units to 100


@pytest.mark.parametrize("way", [5.0, 15.0, 30.0, 60.0, 120.0])
def test_streak_has_all_light_and_ends_where_the_sprite_is(way: float) -> None:
    still, moved = (
        at([(40, 0, 0)], radius=6.0, light=0.3),
        at([(40, 0, 0)], radius=6.0, light=0.3, dx=[way], dy=[0], open=[0.1]),
    )
    streak = seen(moved)
    assert total_light(streak) == pytest.approx(total_light(seen(still)), rel=0.1)  # tapered lines lose some
    assert streak.x[0] == pytest.approx(MIDDLE_X + 40, abs=0.5 * way if way < 10 else 1e-3)


def test_camera_streaks_what_stands_still() -> None:
    still = at([(100, 0, 0), (100, 0, 3000)], dx=[0, 0], dy=[0, 0], dz=[0, 0], open=[0.1, 0.1])
    sprites = seen(still, Camera(x=0.55), earlier=Camera(x=0.5))
    assert sprites.dx is not None
    np.testing.assert_allclose(np.abs(sprites.dx[sprites.dx != 0]), [96.0, 24.0], rtol=1e-3)
    turned = seen(still, Camera(orbit=90.0), t=5.0)
    assert turned.dx is not None
    assert np.abs(turned.dx).max() > 10.0


def test_camera_streaks_flat_particles_as_their_own_way_does() -> None:
    still, moving = (at([(100, 0, 0)], dx=[dx], dy=[0], open=[0.1]) for dx in (0, -96))
    flat = [_flat(sprites) for sprites in (still, moving)]
    by_camera = seen(flat[0], Camera(x=0.55), earlier=Camera(x=0.5))
    by_itself = seen(flat[1], Camera(x=0.55), earlier=Camera(x=0.55))
    for name in ("x", "dx", "radius", "red"):
        np.testing.assert_allclose(getattr(by_camera, name), getattr(by_itself, name), rtol=1e-4, atol=1e-3)


def _flat(sprites: Sprites) -> Sprites:
    from dataclasses import replace

    return replace(sprites, z=None, dz=None)


def test_only_what_was_open_is_streaked() -> None:
    mixed = at([(100, 0, 0), (100, 0, 0)], dx=[40, 40], dy=[0, 0], dz=[0, 0], open=[0.0, 0.1])
    line, streak, head = seen(mixed).dx.tolist()  # type: ignore[union-attr]
    assert line == 40
    assert streak == -40  # begins in front
    assert head == 0


# --- scenes ---


SIZE = {"width": 320, "height": 180, "duration": 0.5}


def sprites_of(kind: str, song: Path | None = None, **config: Any) -> Sprites:
    size = {**SIZE, "particle_count": 60, **config}
    plan = make_plan(*Scene(kind, config=size).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(5)
        return simulation.frame()


def test_scene_changes_single_numbers_of_a_types_camera() -> None:
    usual, near = sprites_of("constellation"), sprites_of("constellation", camera={"zoom": 2.0})
    sharp = sprites_of("constellation", camera={"aperture": 0})
    assert usual.disc.any()
    assert near.disc.any()
    assert not sharp.disc.any()
    assert np.median(near.radius) > 1.5 * np.median(usual.radius)


def test_layer_with_depth_keeps_what_the_scenes_camera_leaves_open() -> None:
    layer = [{"type": "constellation", "config": {"particle_count": 60}}]
    alone, zoomed, sharp = (
        sprites_of("no_music", particle_count=0, layers=layer, camera=camera)
        for camera in (None, {"zoom": 2.0, "drift": 14}, {"aperture": 0.001, "drift": 14})
    )
    assert alone.disc.any()
    np.testing.assert_allclose(np.sort(zoomed.radius)[-9:], 2 * np.sort(alone.radius)[-9:], rtol=0.05)
    assert not sharp.disc.any()


def test_layer_whose_own_camera_moves_is_streaked_by_it() -> None:
    layer = [{"type": "constellation", "config": {"particle_count": 60, "spin": 0, "wander": 0, "shutter": 30.0}}]
    assert sprites_of("no_music", particle_count=0, layers=layer).dx is not None


@pytest.mark.parametrize("scene_is_layer", [False, True])
def test_bound_numbers_of_the_camera_streak_by_their_change(scene_is_layer: bool) -> None:
    """The angle rises by 0, 0, 3, 6, 9 … degrees: with the shutter open for half a frame, by 1.5 of it."""
    config = {"camera": {}, "bindings": [{"source": "rms", "target": "camera.angle", "op": "add", "gain": 90.0}]}
    kind, wanted = Scene("no_music", config={"particle_count": 0, **SIZE, **config}).resolve()
    rms = np.maximum(np.arange(30) - 1, 0) / 30
    timeline = with_levels(timeline_of(Fraction(30), 30, {"rms": rms.tolist()}, {}), wanted)
    with Simulation(kind, wanted, timeline) as simulation:
        simulation.skip_to(6)
        other = Simulation(*Scene("constellation", config=SIZE).resolve(), timeline)  # with a camera of its own
        with other:
            other.skip_to(6)
            eye = Eye(other.world, simulation.world) if scene_is_layer else Eye(simulation.world)
            sprites = eye.seen(at([(0, 0, 300)], dx=[0], dy=[0], dz=[0], open=[1 / 60]), CANVAS)
            now, before = (
                eye.seen(at([(0, 0, 300)]), CANVAS).x[0],
                seen(at([(0, 0, 300)]), replace(eye.camera or Camera(), angle=10.5)).x[0],
            )
    assert eye.may_move
    assert sprites.dx is not None
    assert abs(sprites.dx[0]) == pytest.approx(abs(now - before), rel=1e-3)


def test_bound_numbers_of_a_layers_own_camera_count_beside_a_camera_of_the_scene() -> None:
    bindings = [{"source": "rms", "target": "camera.angle", "op": "add", "gain": 90.0}]
    rms = np.maximum(np.arange(30) - 1, 0) / 30
    kind, main = Scene("no_music", config={"particle_count": 0, **SIZE, "camera": {"zoom": 1.5}}).resolve()
    of_layer, wanted = Scene("constellation", config={**SIZE, "bindings": bindings}).resolve()
    timeline = with_levels(timeline_of(Fraction(30), 30, {"rms": rms.tolist()}, {}), main)
    with Simulation(kind, main, timeline) as scene, Simulation(of_layer, wanted, timeline) as layer:
        scene.skip_to(6)
        layer.skip_to(6)
        eye = Eye(layer.world, scene.world)
        assert eye.may_move
        assert eye.camera is not None
        assert eye.camera.angle == pytest.approx(12.0)
        assert eye.camera.zoom == 1.5
        sprites = eye.seen(at([(0, 0, 300)], dx=[0], dy=[0], dz=[0], open=[1 / 60]), CANVAS)
    assert sprites.dx is not None
    assert abs(sprites.dx[0]) > 0.5


def test_still_camera_streaks_as_none_does() -> None:
    usual, held = (sprites_of("enhanced", shutter=6.0, camera=camera) for camera in (None, {}))
    for name in ("x", "dx", "radius", "red"):
        np.testing.assert_array_equal(getattr(usual, name), getattr(held, name))


@pytest.mark.parametrize("kind", ["constellation", "tunnel", "enhanced"])
def test_frames_in_space_are_the_same_for_any_cut(kind: str, demo_song: Path, tmp_path: Path) -> None:
    config = {
        "width": 160,
        "height": 90,
        "duration": 1.2,
        "start": 3.6,
        "particle_count": 60,
        "trail": 0.3,
        "shutter": 4.0,
        "camera": {"drift": 40, "shake": 5, "orbit": 20, "tilt": 15, "aperture": 20, "fog": 0.5},
        "bindings": [
            {"source": "rms", "target": "camera.zoom", "gain": 0.5, "attack": 0.1, "release": 0.4},
            {"source": "beat", "target": "camera.angle", "op": "add", "gain": 20.0},
            {"source": "kick", "target": "camera.shake", "op": "add", "gain": 30.0},
        ],
    }
    scene = Scene(kind, demo_song, config)
    hashes = [
        render(scene, tmp_path / "out.mp4", workers=workers, segment_seconds=length, frame_hashes=True).frame_hashes
        for workers, length in ((1, 2.0), (2, 0.3))
    ]
    assert hashes[0] == hashes[1]
    assert render_frame(scene, 20 / 30, tmp_path / "frame.png") == hashes[0][20]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"camera": {"fog": -1}}, r"camera\.fog = -1: must be between 0 and 20"),
        ({"camera": {"perspective": 0}}, r"camera\.perspective = 0: must be between 50 and 100000"),
        (
            {"camera": {}, "bindings": [{"source": "rms", "target": "camera.orbit"}]},
            r"target = 'camera\.orbit': no such parameter",
        ),
    ],
)
def test_invalid_number_of_the_camera_is_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(SceneError, match=words):
        Scene("snow", config=config).resolve()
