"""petals: a sun, petals in three distances, gusts at kicks and a whirl at the drop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecs_core import Scene, Table, Turn, render, render_frame, texture_number
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.plan import make_plan, with_levels
from ecs_core.rendering.simulation import Simulation
from tests.plugins.simulate import events, kicks, last, play, silence

SMALL = {"width": 640, "height": 360, "duration": 0.2}


def frame(**config: object) -> Sprites:
    plan = make_plan(*Scene("petals", config={**SMALL, **config}).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        return simulation.frame()


def test_as_many_petals_as_asked_for_and_a_sun() -> None:
    assert len(frame(particle_count=321)) == 322
    assert len(frame(particle_count=321, sun=0.0)) == 321
    assert len(frame(particle_count=0, sun=0.0)) == 0


def test_sun_lies_behind_everything_where_it_is_put() -> None:
    seen = frame(x_position=0.25, y_position=0.75, sun=0.5)
    assert seen.texture is not None
    assert seen.texture[0] == texture_number("sun")
    assert (seen.x[0], seen.y[0]) == pytest.approx((160, 270))
    assert seen.radius[0] == pytest.approx(90)


def test_near_petals_are_large_and_out_of_focus_and_far_ones_pale() -> None:
    seen = frame(particle_count=400)
    assert seen.texture is not None
    assert seen.cover is not None
    petals = [texture_number("petal", blur=blur) for blur in (0.1, 0.0, 0.4)]
    far, middle, near = (seen.texture == number for number in petals)
    assert seen.radius[far].max() < seen.radius[near].min()
    assert seen.cover[far].mean() < 0.8 < seen.cover[middle].min()


def test_petals_stay_in_the_picture_and_live_for_all_of_it() -> None:
    for moment in play("petals", kicks, 40, fps=10, every=20, particle_count=300):
        assert len(moment.x) == 301  # with the sun
        assert moment.x.min() > -420
        assert moment.x.max() < 1920 + 420
        assert moment.y.min() > -420
        assert moment.y.max() < 1080 + 420


def test_petals_fall_and_drift_with_the_wind() -> None:
    moment = last(play("petals", silence, 3, particle_count=600, sun=0.0))
    assert 20 < moment.vx.mean() < 80
    assert 30 < moment.vy.mean() < 110


@pytest.mark.parametrize(("speed_x", "speed_y"), [(-4.0, 3.0), (2.0, -3.0)])
def test_wind_and_fall_can_be_set(speed_x: float, speed_y: float) -> None:
    moment = last(play("petals", silence, 3, particle_count=600, sun=0.0, speed_x=speed_x, speed_y=speed_y))
    assert np.sign(moment.vx.mean()) == np.sign(speed_x)
    assert np.sign(moment.vy.mean()) == np.sign(speed_y)


def test_kick_is_a_gust() -> None:
    calm, blown, still = (
        last(play("petals", song, 1.2, particle_count=600, sun=0.0, gusts=gusts)).vx.mean()
        for song, gusts in ((silence, 1.0), (events(kicks=0.9), 1.0), (events(kicks=0.9), 0.0))
    )
    assert blown > 1.6 * calm
    assert still == pytest.approx(calm)


def test_drop_whirls_petals_round_the_sun() -> None:
    def spin(song) -> float:
        moment = last(play("petals", song, 2.0, particle_count=600, sun=0.0))
        dx, dy = moment.x - 960, moment.y - 540
        near = np.hypot(dx, dy) < 500
        return float(((dx * moment.vy - dy * moment.vx) / np.hypot(dx, dy))[near].mean())

    assert spin(events(drops=1.0)) > 250
    assert abs(spin(silence)) < 60


@pytest.mark.compiled
def test_frames_are_the_same_for_any_workers_and_segments(demo_song: Path, tmp_path: Path) -> None:
    """Pictures are numbered anew in each process."""
    layers = [{"type": "snow", "config": {"texture": "spark"}}, {"type": "zen", "behind": True, "config": {}}]
    scene = Scene("petals", demo_song, {**SMALL, "duration": 1.2, "particle_count": 60, "layers": layers})
    hashes = [
        render(scene, tmp_path / "out.mp4", workers=workers, segment_seconds=length, frame_hashes=True).frame_hashes
        for workers, length in ((1, 2.0), (2, 0.3))
    ]
    assert len(set(hashes[0])) == 36
    assert hashes[0] == hashes[1]
    texture_number("leaf", blur=0.3)  # so that all others have different numbers here
    assert render_frame(scene, 1.0, tmp_path / "frame.png") == hashes[0][30]


def test_notes_stay_upright() -> None:
    seen = frame(texture="note", particle_count=200, sun=0.0)
    assert seen.angle is not None
    assert seen.squeeze is not None
    assert (np.abs((seen.angle + 0.5) % 1 - 0.5) <= 0.06).all()
    assert (seen.squeeze == 1).all()


def test_spin_is_for_life_however_many_gusts_and_drops() -> None:
    config = {"width": 320, "height": 180, "duration": 6.0, "sun": 0.0}
    plan = make_plan(*Scene("petals", config=config).resolve(), None)
    timeline = with_levels(events()(plan.video.fps, plan.frames), plan.settings)
    marks = {**timeline.events, "kicks": np.arange(0.0, 6.0, 0.25), "drops": np.array([1.0, 3.0])}
    with Simulation(plan.particle_type, plan.settings, replace(timeline, events=marks)) as simulation:
        simulation.skip_to(2)
        seen: dict[tuple[int, int], tuple[float, float]] = {}
        while simulation.world.frame + 5 <= plan.frames:
            simulation.skip_to(simulation.world.frame + 5)
            for entity, (table, turn) in simulation.world.query(Table, Turn):
                for birth, spin, rate in zip(table.birth.tolist(), turn.spin, turn.flip_rate, strict=True):
                    assert seen.setdefault((entity, birth), (float(spin), float(rate))) == (float(spin), float(rate))
