"""Invariance: a type looks the same at any frame rate and size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ecs_core.scene.settings import Settings
from ecs_core.testing import songs
from ecs_core.testing.look import COVERED, DRAWN, SPEED, Look, look
from ecs_core.testing.repeatable import require_determinism
from ecs_core.testing.report import Problem
from ecs_core.testing.simulate import simulate
from ecs_core.testing.subject import Subject

_APART = Fraction(1, 2)  # seconds between the moments that are compared


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two frame rates, the song, the seconds between moments, and which quantities count: those that begin so, by what
    factor they have to differ at least, and whether those of what systems draw do.
    """

    usual: int
    other: int
    song: songs.Song = songs.pulsing
    apart: Fraction = _APART
    names: tuple[str, ...] = ("",)
    factor: float = 1.0
    drawn: bool = True


_RATES = (
    _Pair(30, 24),
    _Pair(30, 60),
    _Pair(10, 120, drawn=False),  # so far apart, frames show other times, and what is drawn by them is elsewhere
    # At 1 frame a second births and deaths are late, and nothing is seen of what is heard within it; but nothing is
    # flung out.
    _Pair(60, 1, songs.silence, Fraction(1), (SPEED, COVERED), factor=2.0, drawn=False),
)
_SIZES = _Pair(30, 30)
_SEEDS = (1, 2)  # a difference that is not there with other seeds too is chance
_LYING, _UPRIGHT = (1920, 1080), (1080, 1920)
_MOST = 3  # quantities that are named


def frame_rates(subject: Subject) -> Iterator[Problem]:
    """24, 30 and 60 frames per second look alike, and so do 10 and 120, which make small mistakes large, and 1."""
    require_determinism(subject)
    for pair in _RATES:
        label = f"at {pair.other} frame{'s' if pair.other > 1 else ''} a second"
        differences = _differences(subject, label, {"fps": pair.usual}, {"fps": pair.other}, pair)
        if differences:
            yield Problem(
                "frame_rates",
                f"compared with {pair.usual} frames a second, {differences}.",
                "Nothing may be a constant per frame: multiply speeds and rates by self.world.dt, spawn "
                "rng.poisson(rate * dt), let decay be exp(-rate * dt), and scale steps of a random walk by sqrt(dt). "
                "Where one draw decides for all, take it from self.world.rng(self, entity, nth=…). What pushes or "
                "pulls belongs in FORCE, which runs often enough at low rates.",
            )
            return


def sizes(subject: Subject) -> Iterator[Problem]:
    """Small and large pictures look alike."""
    require_determinism(subject)
    for width, height in ((640, 360), (3840, 2160)):
        size = {"width": width, "height": height}
        differences = _differences(subject, f"at {width} × {height}", {"width": 1920, "height": 1080}, size)
        if differences:
            yield Problem(
                "sizes",
                f"compared with 1920 × 1080, {differences}.",
                "Lengths are units, not pixels: the shorter side of the canvas is 1080 units long at any size. "
                "Take its width and height from world.get(Canvas), never from settings.width and settings.height.",
            )
            return
    lying, upright = (
        _seen(subject, subject.settings(width=width, height=height)) for width, height in (_LYING, _UPRIGHT)
    )
    if upright < lying / 2:
        yield Problem(
            "sizes",
            f"{upright:.0%} of the particles are seen in an upright picture, and {lying:.0%} in a wide one.",
            "The shorter side of the canvas is 1080 units long, here its width: take places as shares of the width and "
            "height of world.get(Canvas), and lengths that must fit into any picture from the smaller of the two.",
        )


def _seen(subject: Subject, settings: Settings) -> float:
    """The share of particles that are seen."""
    states = simulate(subject.particle_type, settings, songs.pulsing, keep=range(0, 1_000_000, 5))
    return sum(state.seen for state in states) / max(1, sum(state.count for state in states))


def _differences(
    subject: Subject, label: str, usual: dict[str, int], changed: dict[str, int], how: _Pair = _SIZES
) -> str:
    """The differences between the ``changed`` output and the ``usual`` one, in words; empty if there are none."""

    def look_at(output: dict[str, int]) -> Look:
        return _look(subject, output, how)

    pair = look_at(usual), look_at(changed)
    names = [
        key
        for key in pair[0].keys() & pair[1].keys()
        if key[1].startswith(how.names)
        and (how.drawn or key[0] != DRAWN)
        and pair[0][key].differs(pair[1][key])
        and _factor(*(each[key].value for each in pair)) >= how.factor
    ]
    for seed in _SEEDS if names else ():
        one, other = look_at({**usual, "seed": seed}), look_at({**changed, "seed": seed})
        more = {key: pair[1][key].value > pair[0][key].value for key in names}
        names = [
            key
            for key in names
            if key in one
            and key in other
            and one[key].differs(other[key])
            and (other[key].value > one[key].value) == more[key]
        ]
    names.sort(key=lambda key: (-_factor(*(each[key].value for each in pair)), key))
    told = [
        f"{name} is {pair[1][number, name].value:.4g} {label} instead of {pair[0][number, name].value:.4g}"
        for number, name in names[:_MOST]
    ]
    return ", ".join(told) + (f" (and {len(names) - _MOST} more differences)" if len(names) > _MOST else "")


def _look(subject: Subject, output: dict[str, Any], how: _Pair) -> Look:
    settings = subject.settings(many=True, **output)
    step = int(how.apart * settings.rate)
    states = simulate(subject.particle_type, settings, how.song, keep=range(step - 1, 1_000_000, step))
    return look(states, seconds=float(how.apart))


def _factor(one: float, other: float) -> float:
    """The ratio of two values, at least 1: 2 for twice or half as much."""
    small, large = sorted((abs(one) + 1e-6, abs(other) + 1e-6))
    return large / small
