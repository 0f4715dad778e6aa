"""snow: flakes out of the distance, never more than twice as many as asked for, never none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecs_core.audio.features import analyze
from tests.plugins.simulate import FRAME, Moment, Song, kicks, last, loud, play, silence, song, steady, until

BLURRED, SMALL = 0, 1  # populations
CORNER = float(np.hypot(960, 540))
bangs = song(np.ones_like, every=0.25)


@pytest.mark.parametrize("tune", [kicks, loud, bangs], ids=["kicks", "loud", "bangs"])
@pytest.mark.parametrize("count", [0, 1, 10, 200])
def test_count_stays_between_one_and_two_times_the_setting(tune: Song, count: int) -> None:
    counts = {moment.count for moment in play("snow", tune, 60, fps=10, particle_count=count)}
    assert min(counts) >= count
    assert max(counts) <= 2 * count


def test_loud_music_doubles_the_count() -> None:
    assert last(play("snow", loud, 60, fps=10)).count == 400


def test_count_returns_to_the_setting_in_silence() -> None:
    counts = {moment.t: moment.count for moment in play("snow", until(30, loud, silence), 120, fps=10, every=300)}
    assert counts[30] == 400
    assert counts[60] < 0.7 * 400
    assert counts[120] == pytest.approx(200, abs=10)  # the slowest take a minute to leave


def test_silence_does_not_empty_it() -> None:
    moments = list(play("snow", silence, 300, fps=10, every=50))
    assert {moment.count for moment in moments} == {200}
    seen = [(moment.distance < CORNER).mean() for moment in moments]
    assert min(seen) > 0.9


def test_starts_all_over_the_frame() -> None:
    moment = next(play("snow", particle_count=1000))
    inside = (moment.x > 0) & (moment.x < 1920) & (moment.y > 0) & (moment.y < 1080)
    assert inside.mean() > 0.95
    assert 0.3 < (moment.distance > 480).mean() < 0.7


def test_loud_music_leaves_the_edges_populated(real_song: Path) -> None:
    heard = analyze(real_song)
    outside = [(moment.distance > 600).mean() for moment in play("snow", heard.timeline, 60, fps=30, every=150)]
    assert np.mean(outside) > 0.12
    assert min(outside) > 0.05


def test_flakes_are_white() -> None:
    color = next(play("snow")).color
    np.testing.assert_array_equal(color[:, 0], color[:, 1])
    np.testing.assert_array_equal(color[:, 0], color[:, 2])


def test_flakes_in_focus_are_1_to_4_large_and_one_in_16_is_larger() -> None:
    moment = next(play("snow", particle_count=1600))
    small, blurred = (moment.size[moment.population == kind] for kind in (SMALL, BLURRED))
    assert len(blurred) == 100
    assert small.min() >= 1
    assert small.max() <= 4
    assert blurred.min() >= 10
    assert blurred.max() <= 34


def test_flakes_in_focus_leave_at_half_a_unit_to_two_a_frame() -> None:
    moment = next(play("snow", particle_count=1600))
    speed = moment.speed[moment.population == SMALL] / FRAME
    assert speed.min() > 0.5 * 0.995  # a frame of drag and a little turbulence
    assert speed.max() < 2 * 1.005


def test_flakes_move_away_from_the_centre() -> None:
    moment = next(play("snow", particle_count=1000, x_position=0.4, y_position=0.3))
    outward = (moment.x - 768) * moment.vx + (moment.y - 324) * moment.vy
    np.testing.assert_allclose(
        outward, np.hypot(moment.x - 768, moment.y - 324) * moment.speed, rtol=0.02, atol=0.02 * 30 * 960
    )


def twinkle(moment: Moment) -> np.ndarray:
    """The light of each flake less what distance takes."""
    return moment.light / np.maximum(0.1, 1 - 0.9 * moment.distance / (1.15 * CORNER))


def test_light_twinkles_by_40_percent_and_fades_to_a_tenth() -> None:
    for moment in play("snow", silence, 20, fps=10, every=10):
        assert twinkle(moment).min() == pytest.approx(0.6, abs=0.01)
        assert twinkle(moment).max() == pytest.approx(1.0, abs=0.01)
        assert moment.light.min() >= 0.06


def test_fades_with_distance() -> None:
    moment = next(play("snow", particle_count=2000))
    bins = [moment.light[np.abs(moment.distance - at) < 100].mean() for at in (100, 300, 500, 700, 900)]
    assert (np.diff(bins) < -0.08).all()


def covered(moments: list[Moment]) -> float:
    """How far flakes come outward in a thirtieth of a second, as a share of their velocities."""
    one, other = moments
    _, first, second = np.intersect1d(
        one.birth[one.population == SMALL], other.birth[other.population == SMALL], return_indices=True
    )
    x0, y0 = (values[one.population == SMALL][first] for values in (one.x, one.y))
    x1, y1 = (values[other.population == SMALL][second] for values in (other.x, other.y))
    path = np.hypot(x1 - x0, y1 - y0)
    return float(np.median(path / one.speed[one.population == SMALL][first]) * FRAME)


@pytest.mark.parametrize(("level", "factor"), [(0.0, 1.0), (0.29, 1.0), (1.0, 1.5)])
def test_high_bass_makes_them_faster_by_half_the_level(level: float, factor: float) -> None:
    assert covered(list(play("snow", steady(level), 2 / 30))) == pytest.approx(factor, rel=0.01)


def test_speed_does_not_add_up_over_loud_frames() -> None:
    speeds = [moment.speed.mean() for moment in play("snow", loud, 120, fps=10, every=100)]
    assert max(speeds) < 1.2 * speeds[0]


def births(level: float) -> int:
    """In the first second, of so many that nearly none leaves in it."""
    *_, moment = play("snow", steady(level), 1.0, particle_count=1000)
    return sum(int(moment.birth[moment.population == kind].max()) + 1 for kind in (BLURRED, SMALL)) - 1000


def test_low_bass_sends_no_extra_flakes() -> None:
    moments = list(play("snow", steady(0.29), 10, fps=10))
    assert {moment.count for moment in moments} == {200}


@pytest.mark.parametrize("bass", [0.3, 0.4, 1.0])
def test_extra_flakes_match_the_documented_rate(bass: float) -> None:
    level = min(1.0, 2 * bass)
    mean_speed = next(play("snow", particle_count=1000)).speed.mean() / FRAME  # px a frame
    wanted = FRAME * (0.5 + 3 * level) * (1 + min(2.0, mean_speed / 2))
    assert births(bass) == pytest.approx(wanted, rel=0.15)


def share_thrown_back(bass: float) -> float:
    """By one onset, in the second frame."""
    onset = song(lambda t: np.full_like(t, bass), every=1 / 30)
    one, other = play("snow", onset, 2 / 30, particle_count=4000)
    places = dict(zip(one.birth + 10**6 * one.population, one.distance, strict=True))
    nearer = [
        places[key] - distance > 30
        for key, distance in zip(other.birth + 10**6 * other.population, other.distance, strict=True)
        if places.get(key, 0) > 300
    ]
    return float(np.mean(nearer))


def test_onsets_with_high_bass_return_some_to_the_centre() -> None:
    assert share_thrown_back(0.2) == 0
    assert 0.005 < share_thrown_back(0.35) < 0.05
    assert share_thrown_back(0.35) < share_thrown_back(1.0) < 0.1


def test_twinkles_faster_the_louder() -> None:
    def pace(level: float) -> float:
        """Of those out of focus: none of them leaves so soon."""
        first, second = play("snow", steady(level), 2 / 30, particle_count=2000)
        change = np.abs(twinkle(second)[:125] - twinkle(first)[:125]).mean()
        return float(change / (1 + 1.06 * level))  # the louder the brighter, too

    assert pace(0.29) == pytest.approx((1 + 3 * 0.29) * pace(0), rel=0.1)
