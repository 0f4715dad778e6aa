"""orbits: families of bodies round a sun; each heeds its own drum, and loud parts open their orbits."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ecs_core.audio.timeline import FeatureTimeline
from plugins.orbits.geometry import Family, Strokes, places
from tests.plugins.simulate import Moment, Song, last, loud, play, silence, steady

KICK, SNARE, HAT, DUST = range(4)  # populations
DRUMS = {"kicks": KICK, "snares": SNARE, "hats": HAT}
SIZES = {"wide": (1920, 1080), "upright": (1080, 1920), "square": (1080, 1080)}


def struck(drum: str, *times: float, tune: Song = silence, strengths: tuple[float, ...] = ()) -> Song:
    """A song in which a drum is struck at these times."""

    def at(fps: Fraction, frames: int) -> FeatureTimeline:
        whole = tune(fps, frames)
        strong = {drum: np.array(strengths, np.float32)} if strengths else {}
        return replace(whole, events={**whole.events, drum: np.array(times)}, strengths=strong)

    return at


def family(moment: Moment, number: int) -> Moment:
    """The bodies of one family."""
    own = moment.population == number
    names = ("birth", "population", "x", "y", "vx", "vy", "size", "rate", "radius", "light", "color")
    return replace(moment, **{name: getattr(moment, name)[own] for name in names})


@pytest.mark.parametrize("drum", DRUMS)
class TestDrums:
    def test_light_up_their_own_family_alone(self, drum: str) -> None:
        plain, hit = (last(play("orbits", tune, 1.0)) for tune in (silence, struck(drum, 29 / 30)))
        for number in range(4):
            one, other = family(plain, number), family(hit, number)
            if number == DRUMS[drum]:
                assert other.light.mean() > 1.8 * one.light.mean()
                assert other.radius.mean() > 1.5 * one.radius.mean()
            else:
                np.testing.assert_array_equal(one.light, other.light)
                np.testing.assert_array_equal(one.radius, other.radius)
                np.testing.assert_array_equal(one.x, other.x)

    def test_swell_orbits_which_come_back(self, drum: str) -> None:
        config = {"tilt": 0, "pace": 0, "outer_movement_strength": 4}
        distances = [
            family(moment, DRUMS[drum]).distance.mean() for moment in play("orbits", struck(drum, 0.5), 5.0, **config)
        ]
        assert max(distances[15:24]) > 1.04 * distances[0]
        assert distances[-1] == pytest.approx(distances[0], rel=0.001)

    def test_push_bodies_along(self, drum: str) -> None:
        ahead = []
        for seconds in (0.5, 1.0, 4.0):
            plain, hit = (
                family(last(play("orbits", tune, seconds, tilt=0, planes=0)), DRUMS[drum])
                for tune in (silence, struck(drum, 0.5))
            )
            angles = [np.arctan2(each.y - 540, each.x - 960) for each in (plain, hit)]
            ahead.append(np.abs(np.angle(np.exp(1j * (angles[1] - angles[0])))).mean())
        assert ahead[0] < 0.02
        assert ahead[1] > 0.1
        assert ahead[2] == pytest.approx(ahead[1] / (1 - np.exp(-0.5 / 0.45)), rel=0.15)  # then at their usual pace


def test_push_is_the_integral_of_what_strokes_leave() -> None:
    times, strengths = (0.4, 0.5, 1.7, 3.0), (1.0, 0.5, 0.8, 0.2)
    strokes = Strokes.of(struck("kicks", *times, strengths=strengths)(Fraction(30), 300), "kicks")
    at = np.linspace(0, 5, 50_001)
    left = sum(
        strength * np.where(at >= time, np.exp(-(at - time) / 0.45), 0)
        for time, strength in zip(times, strengths, strict=True)
    )
    expected = np.cumsum(left) * (at[1] - at[0])
    np.testing.assert_allclose(strokes.pushed(at), expected, atol=3e-4)
    assert strokes.pushed(-3.0) == 0


def test_song_without_drums_pushes_nothing() -> None:
    strokes = Strokes.of(silence(Fraction(30), 10), "snares")
    np.testing.assert_array_equal(strokes.pushed([0.0, 5.0]), 0)


@pytest.mark.parametrize("fps", [24, 60])
def test_paths_do_not_depend_on_the_frame_rate(fps: int) -> None:
    tune = struck("hats", *np.arange(0.1, 4, 0.25), tune=steady(0.5))
    usual, other = (last(play("orbits", tune, 4.0, fps=rate, particle_count=600)) for rate in (30, fps))
    # The last frames are up to 1/24 - 1/60 s apart, in which the fastest go some ten units.
    assert np.quantile(np.hypot(usual.x - other.x, usual.y - other.y), 0.95) < 30


def test_loud_parts_open_the_orbits() -> None:
    quiet, noisy = (last(play("orbits", tune, 8)) for tune in (silence, steady(1.0)))
    for number in (KICK, SNARE, HAT):
        one, other = family(quiet, number), family(noisy, number)
        assert other.distance.mean() > 1.08 * one.distance.mean()


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("tilt", [0, 68, 88])
@pytest.mark.parametrize("planes", [0, 26, 90])
def test_orbits_stay_in_the_picture(shape: str, tilt: float, planes: float) -> None:
    width, height = SIZES[shape]
    seen = last(play("orbits", loud, 8, width=width, height=height, tilt=tilt, planes=planes))
    bodies = seen.population != DUST
    x, y = seen.x[bodies], seen.y[bodies]
    assert np.mean((x > 0) & (x < width) & (y > 0) & (y < height)) > 0.95
    assert x.std() + y.std() > 300


def test_families_are_bands_one_outside_the_other() -> None:
    seen = last(play("orbits", silence, 1, tilt=0, scatter=1.0, particle_count=1000))
    kick, snare, hat = (family(seen, number).distance for number in (KICK, SNARE, HAT))
    assert kick.max() < snare.min() < snare.max() < hat.min()
    assert len(kick) < len(snare) < len(hat)


def test_families_have_colours_of_their_own_and_move_against_each_other() -> None:
    first, then = (last(play("orbits", silence, at, tilt=0)) for at in (1.0, 1.2))
    ways = []
    for number in (KICK, SNARE, HAT):
        one, other = family(first, number), family(then, number)
        turned = np.angle(
            np.exp(1j * (np.arctan2(other.y - 540, other.x - 960) - np.arctan2(one.y - 540, one.x - 960)))
        )
        assert np.sign(turned).min() == np.sign(turned).max()
        ways.append(np.sign(turned[0]))
    assert ways == [1, -1, 1]
    kick, snare, hat = (family(first, number).color.mean(axis=0) for number in (KICK, SNARE, HAT))
    assert kick.argmax() == snare.argmax() == 0  # orange, pink
    assert kick[1] > kick[2]
    assert snare[2] > snare[1]
    assert hat.argmax() == 2


def test_tails_lie_behind_bodies_on_their_orbits() -> None:
    seen = last(play("orbits", silence, 2, tilt=0, guides=0, scatter=0, rings=1)).seen
    assert seen.dx is not None
    assert seen.dy is not None
    lines = np.hypot(seen.dx, seen.dy) > 0
    away = [np.hypot(seen.x - 960 + share * seen.dx, seen.y - 540 + share * seen.dy)[lines] for share in (0, 1)]
    np.testing.assert_allclose(away[0], away[1], rtol=0.01)
    assert len(np.unique(np.round(away[0], -1))) <= 6  # three orbits
    assert lines.sum() > 240 * 4


def test_tail_is_as_long_as_its_time() -> None:
    lengths = []
    for trail in (0.5, 1.0):
        seen = last(play("orbits", silence, 2, tilt=0, guides=0, trail=trail)).seen
        assert seen.dx is not None
        assert seen.dy is not None
        lengths.append(np.hypot(seen.dx, seen.dy).sum())
    assert lengths[1] == pytest.approx(2 * lengths[0], rel=0.02)


def test_without_tails_guides_and_sun_there_are_bodies_and_dust_alone() -> None:
    seen = last(play("orbits", silence, 1, trail=0, guides=0, particle_count=100))
    assert seen.count == 150
    assert len(seen.seen) == 150 + 6  # the sun's glows


def test_no_bodies_no_sun() -> None:
    assert len(last(play("orbits", loud, 0.5, particle_count=0)).seen) == 0


def test_what_is_near_is_larger_and_brighter() -> None:
    seen = family(last(play("orbits", silence, 1, particle_count=1000, tilt=70, planes=0)), HAT)
    near, far = seen.y > 540 + 100, seen.y < 540 - 100
    assert (seen.radius / seen.size)[near].mean() > 1.1 * (seen.radius / seen.size)[far].mean()
    assert seen.light[near].mean() > 1.3 * seen.light[far].mean()


def test_circle_seen_from_the_side_is_a_line() -> None:
    edge = Family(0, 0, tilt=90, turn=0, drift=0)
    angle = np.linspace(0, 6, 50, dtype=np.float32)
    radius, nothing = np.full(50, 300, np.float32), np.zeros(50, np.float32)
    x, y, _ = places(edge, 0.0, radius, angle, nothing, nothing)
    assert np.abs(y).max() < 0.01
    assert x.max() > 290


def test_speed_of_0_stops_bodies() -> None:
    binding = [{"source": "rms", "target": "speed", "gain": -1.0}]
    one, other = (last(play("orbits", steady(1.0), at, bindings=binding, planes=0)) for at in (3.0, 3.5))
    # They stand still; only the planes drift by some tenths of a degree.
    assert np.hypot(one.x - other.x, one.y - other.y).max() < 12


def test_bodies_have_colours_by_their_speed() -> None:
    red_to_blue = {"particle_colors": [[255, 0, 0], [0, 0, 255]], "color_by": "speed"}
    plain, hit = (last(play("orbits", tune, 1.0, **red_to_blue)) for tune in (silence, struck("snares", 28 / 30)))
    for number in (KICK, SNARE, HAT):
        calm, pushed = (family(moment, number).color for moment in (plain, hit))
        blue = [each[:, 2].sum() / each.sum() for each in (calm, pushed)]
        assert 0.1 < blue[0] < 0.75
        assert blue[1] > 1.2 * blue[0] if number == SNARE else blue[1] == blue[0]


@pytest.mark.parametrize("by", ["birth", "height", "band"])
def test_bodies_of_all_families_have_colours_by_other_things(by: str) -> None:
    moment = last(play("orbits", silence, 0.2, particle_colors=[[255, 0, 0], [0, 0, 255]], color_by=by))
    for number in (KICK, SNARE, HAT):
        color = family(moment, number).color
        blue = color[:, 2] / color.sum(axis=1)
        assert np.ptp(blue) > 0.15
