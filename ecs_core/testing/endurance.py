"""Long runs with all songs: no exceptions, no dark pictures, no NaN, and no unbounded growth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ecs_core.errors import SceneError
from ecs_core.testing import songs
from ecs_core.testing.compare import negative_light, not_finite
from ecs_core.testing.report import Problem
from ecs_core.testing.simulate import State, TypeFailedError, simulate
from ecs_core.testing.subject import Subject
from ecs_core.units import UNITS

_LONG = 180.0  # seconds
_SLOW = 10  # frames a second: large steps, in which what is unstable is most so
_HOPELESS = 100_000  # particles: no use in going on
_HEIGHTS = 10.0  # canvas heights a second: past the picture within three frames
_RADIUS = 2.0  # canvas heights
_FAST = 200.0  # units/s: what is slower may become faster
_FASTER = 1.3  # from quarter to quarter; a walk at random without any drag is below that


def finite(subject: Subject) -> Iterator[Problem]:
    """All values are finite, and no light is negative, with any song."""
    for name, states in (
        ("silence", subject.silent),
        ("a pulsing song", subject.pulsing),
        ("a loud song", subject.loud),
    ):
        wrong = not_finite(states)
        if wrong is not None:
            yield Problem(
                "finite",
                f"with {name}, {wrong}.",
                "Look for a division by a length, a speed or a count that can be 0, and for roots and logarithms of "
                "negative numbers; add a small number, or leave those particles out.",
            )
            return
        wrong = negative_light(states)
        if wrong is not None:
            yield Problem(
                "finite",
                f"with {name}, {wrong}.",
                "Dark is 0, and nothing is darker: np.maximum(light, 0).",
            )
            return


def empty(subject: Subject) -> Iterator[Problem]:
    """Nothing raises without particles."""
    try:
        settings = subject.settings(duration=1.0, particle_count=0, max_particles=0)
    except SceneError:
        return  # the type does not allow it
    _ = subject.pulsing  # what raises with particles, too, has nothing to do with their number
    try:
        simulate(subject.particle_type, settings, songs.pulsing)
    except TypeFailedError as failure:
        yield Problem(
            "empty",
            f"with particle_count = 0 it {failure.what} ({failure.when}).",
            "There may be no particles at any moment: leave out what has no meaning then, such as the highest or the "
            "mean of nothing.",
        )


def silence(subject: Subject) -> Iterator[Problem]:
    """Something is visible without a song."""
    yield from _dark("silence", subject.silent)


def loud(subject: Subject) -> Iterator[Problem]:
    """Something is visible with all features at their maximum."""
    yield from _dark("loud", subject.loud)


def bounds(subject: Subject) -> Iterator[Problem]:
    """Numbers, speeds and sizes of particles stay bounded in three loud minutes at 10 frames per second."""
    settings = subject.settings(duration=_LONG, fps=_SLOW)
    states = simulate(
        subject.particle_type,
        settings,
        songs.loud,
        keep=range(_SLOW - 1, 1_000_000, _SLOW),
        watch=lambda state: state.count < _HOPELESS,
        drawings=False,
    )
    too_much = list(_too_much(states))
    wrong = None if too_much or not_finite(subject.loud) else not_finite(states)
    if wrong is not None:
        yield Problem(
            "bounds",
            f"in {_LONG:g} s of loud music at {_SLOW} frames a second, {wrong}.",
            "Look for roots and logarithms of what becomes negative with time, and for speeds that grow without end.",
        )
        return
    last = states[-1]
    seconds = (last.frame + 1) // _SLOW
    halfway = states[len(states) // 2].count
    allowed = max(2 * settings.particle_count, settings.max_particles)
    if last.count >= _HOPELESS or (last.count > allowed and last.count > 1.2 * halfway):
        yield Problem(
            "bounds",
            f"after {seconds} s of loud music there are {last.count} particles, after half of that there were "
            f"{halfway}: they grow without end.",
            "Let particles die: give them a Lifetime with a finite span, or Bounds; or stop spawning at a limit.",
        )
    elif last.count and not last.seen:
        yield Problem(
            "bounds",
            f"after {seconds} s of loud music none of {last.count} particles is seen any more.",
            "Give the population Bounds and an Upkeep, or Walls, so that who leaves dies and is born again.",
        )
    yield from too_much or _ever_faster(states)


def _ever_faster(states: list[State]) -> Iterator[Problem]:
    """Speeds that are within limits but grow in each quarter of the run."""
    speeds = [speed for state in states if (speed := _mean_speed(state)) is not None]
    quarters = [float(np.mean(quarter)) for quarter in np.array_split(speeds, 4)] if len(speeds) >= 8 else [0.0]
    if quarters[-1] > _FAST and all(now > _FASTER * before for before, now in pairwise(quarters)):
        yield Problem(
            "bounds",
            f"through {_LONG:g} s of loud music the mean speed grows from {quarters[0]:.3g} units/s in the first "
            f"quarter to {quarters[-1]:.3g} in the last.",
            "Give the population a Drag, or limit what is added to velocities.",
        )


def _mean_speed(state: State) -> float | None:
    """The mean speed of all particles that have a velocity, units/s."""
    speeds = [
        np.hypot(x, y)
        for population in state.populations
        if (x := population.column("Velocity.x")) is not None and (y := population.column("Velocity.y")) is not None
    ]
    return float(np.concatenate(speeds).mean()) if sum(map(len, speeds)) else None


def _dark(check: str, states: list[State]) -> Iterator[Problem]:
    if not any(state.seen for state in states):
        most = max(state.count for state in states)
        why = f"of up to {most} particles none is in the picture and bright" if most else "there are no particles"
        yield Problem(
            check,
            f"nothing is seen in any of {states[-1].frame + 1} frames: {why}.",
            "Let some particles be there whatever is heard: a Burst or Upkeep, or an Emission with a rate over 0, with "
            "colours, light and sizes over 0.",
        )


def _too_much(states: list[State]) -> Iterator[Problem]:
    """Speeds and radii beyond what a picture can show."""
    for state in states:
        for population in state.populations:
            x, y, radius = (population.column(name) for name in ("Velocity.x", "Velocity.y", "Look.radius"))
            fastest = float(np.hypot(x, y).max(initial=0)) if x is not None and y is not None else 0.0
            largest = float(radius.max(initial=0)) if radius is not None else 0.0
            if fastest > _HEIGHTS * UNITS:
                yield Problem(
                    "bounds",
                    f"after {(state.frame + 1) / _SLOW:g} s of loud music a particle moves at {fastest:.3g} units/s, "
                    f"more than {_HEIGHTS:g} heights of the canvas a second.",
                    "Give the population a Drag, or limit what is added to velocities; a force near its centre needs "
                    "a softness.",
                )
                return
            if largest > _RADIUS * UNITS:
                yield Problem(
                    "bounds",
                    f"after {(state.frame + 1) / _SLOW:g} s of loud music a particle has a radius of {largest:.3g} "
                    f"units, more than {_RADIUS:g} heights of the canvas.",
                    "Limit its growth: Growth swings between low and high.",
                )
                return
