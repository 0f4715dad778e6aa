"""constellation: a globe of stars in space that turns, breathes with the bass, and that kicks send light through."""

from __future__ import annotations

import numpy as np
import pytest

from tests.plugins.simulate import Song, events, kicks, last, play, silence, steady
from tests.plugins.test_same_look import coarse, picture


def test_stars_are_a_globe_round_the_set_centre() -> None:
    moment = last(play("constellation", particle_count=900, x_position=0.25, y_position=0.6, radius=300.0))
    distance = np.hypot(moment.x - 480, moment.y - 648)
    assert distance.max() < 1.5 * 300
    assert np.abs([moment.x.mean() - 480, moment.y.mean() - 648]).max() < 25


def test_number_of_stars_is_the_set_one_and_never_changes() -> None:
    counts = {int((moment.population == 1).sum()) for moment in play("constellation", kicks, 5, fps=10)}
    assert counts == {300}


def test_globe_turns_at_its_own_pace_and_stands_where_spin_is_0() -> None:
    def way(**config: float) -> float:
        moments = list(play("constellation", seconds=1, wander=0, **config))
        return float(np.hypot(moments[-1].x - moments[0].x, moments[-1].y - moments[0].y).mean())

    assert way(spin=0) < 1e-3
    assert 10 < way(spin=7) < 60
    assert way(spin=28) == pytest.approx(4 * way(spin=7), rel=0.2)


def test_bass_swells_the_globe_and_brightens_the_lines() -> None:
    quiet, noisy = (last(play("constellation", song, 2)) for song in (silence, steady(1.0)))
    assert noisy.distance.mean() == pytest.approx(1.1 * quiet.distance.mean(), rel=0.02)
    lines = [float(moment.seen.blue[moment.seen.dx != 0].sum()) for moment in (quiet, noisy)]
    assert lines[1] > 2 * lines[0] > 0


def test_kick_sends_light_through_the_globe() -> None:
    dark, lit = (list(play("constellation", song, 1.6)) for song in (silence, events(kicks=0.2)))
    gains = np.array([other.light / one.light for one, other in zip(dark, lit, strict=True)])
    assert gains[:6] == pytest.approx(np.ones_like(gains[:6]))
    assert gains.max() > 2
    first = gains[8:40].argmax(axis=0)  # when it reaches each star
    assert np.ptp(first) > 10
    assert gains[-1].max() < 1.3


def test_highs_make_stars_twinkle() -> None:
    def turns(song: Song) -> float:
        light = np.stack([moment.light for moment in play("constellation", song, 1)])
        return float((np.abs(np.diff(light, axis=0)) / light[1:]).mean())

    assert turns(steady(1.0)) > 1.5 * turns(silence)


def test_colours_run_from_the_top_to_the_bottom() -> None:
    moment = last(
        play("constellation", particle_colors=[[255, 0, 0], [0, 0, 255]], particle_count=500, wander=0, spin=0)
    )
    red = moment.color[:, 0] > moment.color[:, 2]
    assert moment.y[red].mean() < 540 - 100
    assert moment.y[~red].mean() > 540 + 100


@pytest.mark.parametrize("links", [0, 2])
def test_stars_have_as_many_lines_as_allowed(links: int) -> None:
    seen = last(play("constellation", links=links)).seen
    lines = 0 if seen.dx is None else int((seen.dx != 0).sum())
    assert lines <= 300 * links / 2
    assert (lines > 50) == bool(links)


def test_picture_is_the_same_at_any_size() -> None:
    usual, small = picture("constellation", 1080), picture("constellation", 360)
    assert np.abs(coarse(usual) - coarse(small)).max() < 0.03
    assert small.mean() == pytest.approx(usual.mean(), rel=0.05)
