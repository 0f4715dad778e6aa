"""How particles come, and what happens at the edges: births in shells, and particles that wrap within sight."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ecs_core.arrays import F32
from ecs_core.ecs.resources import Canvas
from ecs_core.testing.report import Problem
from ecs_core.testing.simulate import Population
from ecs_core.testing.subject import Subject

_FEW = 3  # births: of fewer nobody can tell how they lie
_SHARE = 0.5  # of frames with births: at a rate, not at events
_SHELL = 0.15  # spread of the times since birth, over their mean: 0.58 if births are spread over the frame
_APART = 4.0  # units between shells: nearer ones are not seen
_ALIKE = 0.25  # spread of the speeds, over their mean: others blur shells
_ACROSS = 0.8  # of the canvas in a frame
_SPECK = 2.0  # units
_DARK = 1e-3


def births(subject: Subject) -> Iterator[Problem]:
    """Particles that are born at a rate do not fly in shells, one a frame."""
    dt = float(1 / subject.settings(duration=2.0).rate)
    shells: dict[str, list[bool]] = {}
    for before, now in pairwise(subject.pulsing):
        for old, population in zip(before.populations, now.populations, strict=True):
            new = population.rows.birth >= old.rows.next_birth
            if np.count_nonzero(new) >= _FEW:
                shells.setdefault(population.name, []).append(_is_shell(population, new, dt))
    for name, found in shells.items():
        if len(found) >= _SHARE * len(subject.pulsing) and sum(found) > len(found) / 2:
            yield Problem(
                "births",
                f"particles of the population {name!r} that are born in a frame are all as far from where they were "
                "born: they fly in shells, as many a second as there are frames.",
                "Let an Emission or Upkeep bear them, whose births are spread over the frame; or begin each of them "
                "at another time of it: before its place by its velocity times rng.uniform(0, dt).",
            )
            return


def _is_shell(population: Population, new: np.ndarray, dt: float) -> bool:
    """Whether new particles have flown from one place for the same time."""
    columns = [population.column(name) for name in ("Position.x", "Position.y", "Velocity.x", "Velocity.y")]
    if any(column is None for column in columns):
        return False
    x, y, vx, vy = (column[new].astype(np.float64) for column in columns if column is not None)
    speed = np.hypot(vx, vy)
    mean = float(speed.mean())
    if mean * dt < _APART or float(speed.std()) > _ALIKE * mean:
        return False
    place = np.concatenate([x - x.mean(), y - y.mean()])
    way = np.concatenate([vx - vx.mean(), vy - vy.mean()])
    strength = float((way * way).sum())
    if strength <= (_ALIKE * mean) ** 2 * len(x):  # all in one direction: a jet, in which places tell nothing
        return False
    time = float((way * place).sum()) / strength  # since birth, of all of them
    rest = np.sqrt(((place - time * way) ** 2).sum() / len(x))
    return 0 < time < 2 * dt and rest < _SHELL * time * mean


def wraps(subject: Subject) -> Iterator[Problem]:
    """Particles that leave at one edge and come in at the opposite one are seen at neither of them as they do."""
    settings = subject.settings(duration=2.0)
    canvas = Canvas.of_picture(settings.width, settings.height, api_version=subject.particle_type.api_version)
    dt = float(1 / settings.rate)
    for before, now in pairwise(subject.pulsing):
        for old, population in zip(before.populations, now.populations, strict=True):
            many = _wrapped_in_sight(old, population, canvas, dt)
            if many:
                yield Problem(
                    "wraps",
                    f"in frame {now.frame} {many} of {len(population)} particles vanish at one edge and are at the "
                    "opposite one at once, within sight.",
                    'Use Walls("wrap"), or move particles only when they are as far beyond the edge as their light '
                    "reaches: their radius times 6.5.",
                )
                return


def _wrapped_in_sight(old: Population, now: Population, canvas: Canvas, dt: float) -> int:
    """How many particles have crossed the whole canvas in this frame, with half of them in the picture."""
    _, then, still = np.intersect1d(old.rows.birth, now.rows.birth, assume_unique=True, return_indices=True)
    places = [(population.column("Position.x"), population.column("Position.y")) for population in (old, now)]
    radius, light = old.column("Look.radius"), old.column("Look.light")
    if radius is None or light is None or not len(still) or "Depth.z" in now.fields:
        return 0  # nothing is seen, or in perspective, where the canvas has no edges
    vx, vy = now.column("Velocity.x"), now.column("Velocity.y")
    way = np.full(len(still), _SPECK, np.float32)
    if vx is not None and vy is not None:
        way += np.float32(2 * dt) * np.hypot(vx[still], vy[still])
    wrapped = np.zeros(len(still), np.bool_)
    for axis, size in enumerate((canvas.width, canvas.height)):
        x, other_x = places[0][axis], places[1][axis]
        if x is None or other_x is None:
            return 0
        begin, end = x[then], other_x[still]
        across = np.abs(end - begin) > _ACROSS * size
        inside = np.minimum(_depth(begin, radius[then], size), _depth(end, radius[then], size))
        wrapped |= across & (inside > way)
    return int(np.count_nonzero(wrapped & (light[then] > _DARK)))


def _depth(place: F32, radius: F32, size: float) -> F32:
    """How far particles are in the picture with their farther side, units."""
    depth: F32 = np.minimum(place + radius, np.float32(size) - place + radius)
    return depth
