"""flow: ribbons that follow a flow without sources, all over the picture; snares turn it, the bass widens them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ecs_core import F32, Canvas
from ecs_core.audio.timeline import FeatureTimeline
from plugins.flow.field import MARGIN, Flow, Moment, Snares, moment, periods, waves_of
from tests.plugins.simulate import Moment as Seen
from tests.plugins.simulate import Song, last, loud, play, silence, steady

WIDE, UPRIGHT, SQUARE = Canvas(1920, 1080), Canvas(1080, 1920), Canvas(1080, 1080)


def with_snares(tune: Song, *times: float) -> Song:
    """A song with snares at these times."""

    def at(fps: Fraction, frames: int) -> FeatureTimeline:
        whole = tune(fps, frames)
        return replace(whole, events={**whole.events, "snares": np.array(times)})

    return at


def length(seen: Seen) -> float:
    """Of all trails together, units."""
    assert seen.seen.dx is not None
    assert seen.seen.dy is not None
    return float(np.hypot(seen.seen.dx, seen.seen.dy).sum())


def a_flow(canvas: Canvas = WIDE, *, eddies: float = 560.0, seconds: float = 3.0, turned: float = 0.0) -> Moment:
    flow = Flow(speed=150, current=0.5, heading=0, turn=90, change=0.2, waves=waves_of(canvas, eddies=eddies))
    drawn = np.random.default_rng(7).uniform(0, 1, (3, len(flow.waves)))
    return moment(flow, drawn, seconds, turned)


def places(canvas: Canvas, n: int = 500) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 1, (2, n)).astype(np.float32)
    return x * np.float32(canvas.width), y * np.float32(canvas.height)


@pytest.mark.parametrize("canvas", [WIDE, UPRIGHT, SQUARE], ids=["wide", "upright", "square"])
@pytest.mark.parametrize("eddies", [120.0, 560.0, 4000.0])
class TestTheFlow:
    def test_has_no_divergence(self, canvas: Canvas, eddies: float) -> None:
        flow, (x, y), h = a_flow(canvas, eddies=eddies), places(canvas), np.float32(2)
        along = (flow.velocity(x + h, y)[0] - flow.velocity(x - h, y)[0]) / (2 * h)
        across = (flow.velocity(x, y + h)[1] - flow.velocity(x, y - h)[1]) / (2 * h)
        assert np.abs(along + across).max() < 0.02 * np.abs(along).max() + 1e-3

    def test_goes_along_the_lines_of_its_stream(self, canvas: Canvas, eddies: float) -> None:
        flow, (x, y) = replace(a_flow(canvas, eddies=eddies), across=0.0, down=0.0), places(canvas)
        vx, vy = flow.velocity(x, y)
        step: F32 = (1 / np.maximum(np.hypot(vx, vy), 1)).astype(np.float32)
        dx, dy = step * vx, step * vy
        change = np.abs(np.subtract(flow.stream(x + dx, y + dy), flow.stream(x - dx, y - dy)))
        across = np.abs(np.subtract(flow.stream(x - dy, y + dx), flow.stream(x + dy, y - dx)))
        assert change.mean() < 0.03 * across.mean()

    def test_repeats_itself_beyond_the_margins(self, canvas: Canvas, eddies: float) -> None:
        flow, (x, y), (wide, high) = a_flow(canvas, eddies=eddies), places(canvas), periods(canvas)
        for dx, dy in ((wide, 0), (0, high)):
            for here, there in zip(flow.velocity(x, y), flow.velocity(x + dx, y + dy), strict=True):
                np.testing.assert_allclose(here, there, atol=0.1)

    def test_is_as_fast_as_it_should_be(self, canvas: Canvas, eddies: float) -> None:
        wide, high = periods(canvas)
        grid = [
            np.ravel(each).astype(np.float32) for each in np.meshgrid(*(np.arange(100) * p / 100 for p in (wide, high)))
        ]
        vx, vy = replace(a_flow(canvas, eddies=eddies), across=0.0, down=0.0).velocity(*grid)
        assert np.sqrt((vx**2 + vy**2).mean()) == pytest.approx(150, rel=0.02)


def test_current_turns_by_90_degrees_at_a_snare_that_asks_for_it() -> None:
    one, other = a_flow(turned=0), a_flow(turned=1)
    assert (one.across, one.down) == pytest.approx((75, 0))
    assert (other.across, other.down) == pytest.approx((0, 75))


def test_snares_turn_the_flow_smoothly_and_once() -> None:
    snares = Snares.of(with_snares(silence, 1.0, 1.5, 4.0)(Fraction(30), 300))
    times = np.linspace(0, 6, 601)
    turns = np.array([snares.turned(at) for at in times])
    assert turns[times <= 1].max() == 0
    assert turns[-1] == 3
    assert snares.turned(3.0) == 2
    steps = np.diff(turns)
    assert steps.min() >= 0
    assert steps.max() < 0.05  # of a turn in a hundredth of a second
    assert np.abs(np.diff(steps)).max() < 0.002


def test_song_without_snares_turns_nothing() -> None:
    assert Snares.of(steady(1.0)(Fraction(30), 300)).turned(5.0) == 0


def test_roll_turns_no_more_than_its_time_allows() -> None:
    roll = Snares.of(with_snares(silence, *(1 + np.arange(9) / 10))(Fraction(30), 300))
    assert roll.turned(5.0) == pytest.approx(1 + 0.8 / 0.4)


def current(seen: Seen) -> NDArray[np.float64]:
    """The mean velocity, to which eddies add little."""
    return np.array([seen.vx.mean(), seen.vy.mean()])


@pytest.mark.parametrize("fps", [24, 60])
def test_snares_turn_ribbons_at_any_frame_rate(fps: int) -> None:
    tune = with_snares(silence, 1.0)
    config: dict[str, Any] = {"turn": 90, "heading": 0, "current": 3.0, "particle_count": 3000}
    before, after = (current(last(play("flow", tune, at, fps=fps, **config))) for at in (0.9, 2.0))
    assert before == pytest.approx([450, 0], abs=40)
    assert after == pytest.approx([0, 450], abs=40)


@pytest.mark.parametrize("size", [{}, {"width": 1080, "height": 1920}], ids=["wide", "upright"])
@pytest.mark.parametrize("current", [0.0, 0.55, 3.0])
def test_ribbons_fill_the_picture_evenly(size: dict[str, int], current: float) -> None:
    seen = last(play("flow", loud, 20, fps=15, particle_count=6000, current=current, **size))
    width, height = size.get("width", 1920), size.get("height", 1080)
    counts, _, _ = np.histogram2d(seen.x, seen.y, bins=(6, 6), range=((0, width), (0, height)))
    usual = 6000 * width * height / ((width + 2 * MARGIN) * (height + 2 * MARGIN)) / 36
    assert counts == pytest.approx(np.full((6, 6), usual), abs=5 * usual**0.5)


def test_there_are_as_many_as_asked_for_at_any_moment() -> None:
    assert {seen.count for seen in play("flow", loud, 12, fps=10, particle_count=300)} == {300}


def test_first_frame_is_full_of_ribbons() -> None:
    first, later = (last(play("flow", silence, seconds)) for seconds in (1 / 30, 6.0))
    assert length(first) == pytest.approx(length(later), rel=0.15)
    assert first.light.mean() == pytest.approx(later.light.mean(), rel=0.15)


def test_first_trails_lie_on_the_way_of_their_ribbons() -> None:
    moments = list(play("flow", silence, 1.2, particle_count=400))
    starts = {birth: (x, y) for birth, x, y in zip(moments[0].birth, moments[0].x, moments[0].y, strict=True)}
    ends = {birth: (x, y) for birth, x, y in zip(moments[-1].birth, moments[-1].x, moments[-1].y, strict=True)}
    straight = [np.hypot(*np.subtract(ends[key], starts[key])) for key in starts.keys() & ends.keys()]
    assert 60 < np.median(straight) < 400  # they move
    heads, seen = moments[0], moments[0].seen
    ends_of_lines = np.stack([seen.x, seen.y], 1)
    gaps = [np.hypot(*(ends_of_lines - (x, y)).T).min() for x, y in zip(heads.x[:40], heads.y[:40], strict=True)]
    assert max(gaps) < 12


@pytest.mark.parametrize("fps", [24, 60])
def test_ribbons_stay_in_their_eddies(fps: int) -> None:
    """Each keeps the height of the stream, however large the steps are."""
    flow, (x, y) = replace(a_flow(), across=0.0, down=0.0), places(WIDE)
    before, dt = flow.stream(x, y), np.float32(1 / fps)
    for _ in range(4 * fps):
        vx, vy = flow.velocity(x, y)
        vx, vy = flow.velocity(x + dt / 2 * vx, y + dt / 2 * vy)
        x, y = x + dt * vx, y + dt * vy
    assert np.abs(flow.stream(x, y) - before).max() < 0.02


@pytest.mark.parametrize(
    ("what", "factor"),
    [
        (lambda seen: seen.radius.mean(), 1.8),
        (lambda seen: seen.light.mean(), 1.3),
        (lambda seen: seen.speed.mean(), 1.2),
    ],
    ids=["width", "light", "speed"],
)
def test_loud_music_makes_ribbons_wider_brighter_and_faster(what: Callable[[Seen], float], factor: float) -> None:
    quiet, noisy = (what(last(play("flow", song, 4))) for song in (silence, steady(1.0)))
    assert noisy > factor * 0.99 * quiet


def neighbours(seen: Seen) -> tuple[float, float]:
    """How much the colours of neighbours differ, and those of any two."""
    color = seen.color / seen.color.sum(axis=1, keepdims=True)
    apart = np.hypot(seen.x[:, None] - seen.x, seen.y[:, None] - seen.y)
    np.fill_diagonal(apart, np.inf)
    near = np.abs(color - color[apart.argmin(axis=1)]).mean()
    return float(near), float(np.abs(color - color[::-1]).mean())


@pytest.mark.parametrize("seconds", [1 / 30, 10])
def test_ribbons_that_flow_together_have_like_colours(seconds: float) -> None:
    near, any_two = neighbours(last(play("flow", silence, seconds, particle_count=2000)))
    assert near < 0.5 * any_two


def test_all_colours_are_used() -> None:
    red, green, blue = [255, 0, 0], [0, 255, 0], [0, 0, 255]
    color = last(play("flow", silence, 1, particle_colors=[red, green, blue], particle_count=3000)).color
    shares = color.sum(axis=0) / color.sum()
    assert shares.min() > 0.15


def test_pushes_wear_off() -> None:
    wind = [{"source": "kick", "target": "gravity.x", "gain": 4000.0, "release": 0.05}]

    def at(fps: Fraction, frames: int) -> FeatureTimeline:
        whole = silence(fps, frames)
        return replace(whole, events={**whole.events, "kicks": np.array([1.0])})

    config: dict[str, Any] = {"bindings": wind, "current": 0.0, "particle_count": 2000}
    means = [abs(seen.vx.mean()) for seen in play("flow", at, 4, **config)]
    assert max(means[30:36]) > 100
    assert max(means[-10:]) < 20


def test_without_a_trail_there_are_points_alone() -> None:
    seen = last(play("flow", silence, 1, trail=0, particle_count=100)).seen
    assert len(seen) == 100
    assert seen.dx is None
