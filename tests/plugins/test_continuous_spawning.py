"""continuous_spawning: nothing at first, then as many as the bass asks for, up to a cap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecs_core.audio.features import analyze
from tests.plugins.simulate import FRAME, Moment, Song, kicks, last, loud, play, silence, steady, until

KIND = "continuous_spawning"


def births(tune: Song, seconds: float, *, fps: int = 30, **config: float) -> np.ndarray:
    """How many are born in each frame."""
    newest = [int(moment.birth.max(initial=-1)) for moment in play(KIND, tune, seconds, fps=fps, **config)]
    return np.diff(np.maximum.accumulate([-1, *newest]))


@pytest.mark.parametrize("tune", [silence, loud], ids=["silence", "loud"])
def test_starts_empty(tune: Song) -> None:
    assert next(play(KIND, tune)).count <= 13  # what one frame of the loudest music bears


def test_stays_empty_with_a_cap_of_zero() -> None:
    assert last(play(KIND, loud, 5, fps=10, max_particles=0)).count == 0


def test_only_music_spawns_with_a_steady_rate_of_zero() -> None:
    assert births(silence, 5, steady_spawn_rate=0).sum() == 0
    assert births(loud, 5, steady_spawn_rate=0).sum() > 100


@pytest.mark.parametrize("rate", [0.5, 5.0])
@pytest.mark.parametrize("fps", [10, 60])
def test_steady_rate_is_per_frame_and_1000_of_the_cap(rate: float, fps: int) -> None:
    born = births(silence, 4, fps=fps, steady_spawn_rate=rate, max_particles=3000).sum()
    assert born == pytest.approx(rate * 3 * FRAME * 4, abs=3 * (4 * fps * 0.25) ** 0.5)  # three standard deviations


@pytest.mark.parametrize(("bass", "per_level"), [(0.2, 3), (0.35, 12), (1.0, 12)])
def test_music_adds_12_or_3_times_the_level(bass: float, per_level: float) -> None:
    level = bass if bass < 0.3 else min(1.0, 2 * bass)
    born = births(steady(bass), 2, steady_spawn_rate=0, max_particles=4000).sum()
    assert born == pytest.approx(level * per_level * 4 * FRAME * 2, abs=12)  # three standard deviations


@pytest.mark.parametrize("cap", [1, 50, 1000])
def test_cap_is_kept_and_reached(cap: int) -> None:
    counts = [moment.count for moment in play(KIND, loud, 60, fps=10, max_particles=cap)]
    assert max(counts) == cap


def test_no_burst_after_a_pause() -> None:
    born = births(until(10, silence, loud), 20, steady_spawn_rate=0)
    assert born[:300].sum() == 0
    assert born[300:].max() <= 13  # level 1 for a frame: 12 and a fraction
    assert born[300:330].mean() == pytest.approx(12, rel=0.05)


def test_no_burst_when_the_cap_frees_up() -> None:
    assert births(loud, 60, max_particles=300).max() <= 5  # 12.5 × 0.3 and a fraction


def test_rate_follows_the_bass_of_a_real_song(real_song: Path) -> None:
    moments = list(play(KIND, analyze(real_song).timeline, 60, speed_x=60))  # they are gone within a second
    levels = [moment.level for moment in moments]
    newest = [int(moment.birth.max(initial=-1)) for moment in moments]
    assert max(moment.count for moment in moments) < 1000  # or the cap, not the bass, would set the rate
    assert np.corrcoef(np.diff([-1, *newest]), levels)[0, 1] > 0.9


def new(moments: list[Moment]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y, vx and vy of each particle in the frame of its birth."""
    rows, newest = [], -1
    for moment in moments:
        fresh = moment.birth > newest
        rows.append(np.stack([moment.x, moment.y, moment.vx, moment.vy])[:, fresh])
        newest = max(newest, int(moment.birth.max(initial=-1)))
    x, y, vx, vy = np.concatenate(rows, axis=1)
    return x, y, vx, vy


def test_leaves_the_set_point_in_all_directions() -> None:
    x, y, vx, vy = new(list(play(KIND, loud, 3, spawn_center_x=0.25, spawn_center_y=0.75)))
    assert np.hypot(x - 480, y - 810).max() < 16  # a frame at the highest speed
    turns = np.histogram(np.arctan2(vy, vx), 8, (-np.pi, np.pi))[0] / len(x)
    assert turns == pytest.approx(np.full(8, 1 / 8), abs=5 * (7 / 64 / len(x)) ** 0.5)


def test_leaves_an_area_radially() -> None:
    x, y, vx, vy = new(list(play(KIND, loud, 3, spawn_area_width=0.5, spawn_area_height=0.5)))
    assert np.abs(x - 960).max() < 480 + 16
    assert np.abs(y - 540).max() < 270 + 16
    assert np.abs(x - 960).mean() == pytest.approx(240, rel=0.1)
    assert ((x - 960) * vx + (y - 540) * vy > 0).mean() > 0.98


def test_starts_faster_and_brighter_with_the_level() -> None:
    quiet, noisy = (list(play(KIND, steady(level), 3, steady_spawn_rate=10)) for level in (0.0, 1.0))
    speeds = [np.hypot(*new(moments)[2:]).mean() for moments in (quiet, noisy)]
    assert speeds[1] == pytest.approx(1.9 * speeds[0], rel=0.1)
    assert noisy[-1].size.mean() > 1.3 * quiet[-1].size.mean()
    assert noisy[-1].color.max(axis=1).mean() > 1.5 * quiet[-1].color.max(axis=1).mean()


def test_starting_speed_is_one_and_a_half_to_five_units_a_frame() -> None:
    *_, vx, vy = new(list(play(KIND, silence, 10, steady_spawn_rate=10)))
    speed = np.hypot(vx, vy) / FRAME
    assert speed.min() > 1.45
    assert speed.max() < 5.05


def test_dies_50_units_outside_the_frame() -> None:
    for moment in play(KIND, loud, 30, fps=10):
        slack = 1.9 * 5 * FRAME * 1.6 / 10 + 5  # they are looked at a step after those outside were removed
        assert moment.x.min(initial=0) > -50 - slack
        assert moment.x.max(initial=0) < 1970 + slack
        assert moment.y.min(initial=0) > -50 - slack
        assert moment.y.max(initial=0) < 1130 + slack


def test_dies_after_1000_frames() -> None:
    born: dict[int, float] = {}
    oldest = 0.0
    for moment in play(KIND, until(2, loud, silence), 60, fps=10, steady_spawn_rate=0):
        for birth in moment.birth:
            oldest = max(oldest, moment.t - born.setdefault(birth, moment.t))
    assert oldest == pytest.approx(1000 / FRAME, abs=0.11)
    assert moment.count == 0


def test_fades_with_distance() -> None:
    moment = last(play(KIND, steady(0.29), 30, fps=10, max_particles=5000))
    bins = [moment.light[np.abs(moment.distance - at) < 100].mean() for at in (100, 300, 500, 700, 900)]
    assert (np.diff(bins) < -0.05).all()


def test_kicks_spawn_more_than_the_time_between_them() -> None:
    born = births(kicks, 10, max_particles=20_000).reshape(-1, 15).sum(axis=0)
    assert born[:3].min() > 5 * born[8:].max()
