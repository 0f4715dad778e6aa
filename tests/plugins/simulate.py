"""Songs made of numbers, and particle types simulated to them, moment by moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.timeline import FEATURES, FeatureTimeline
from ecs_core.ecs.components import Color, Look, Position, Pulse, Size, TrailPoints, Velocity, alive
from ecs_core.ecs.table import Table
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.plan import with_levels
from ecs_core.rendering.simulation import Simulation
from ecs_core.scene.scene import Scene

TYPES = (
    "bouncing",
    "continuous_spawning",
    "enhanced",
    "flow",
    "no_music",
    "orbits",
    "petals",
    "portrait",
    "snow",
    "zen",
)
# Those of space have tests of their own.
BUILT_IN = (*TYPES, "constellation", "tunnel")
# What leaves a type with nothing but its particles.
PARTICLES_ALONE: dict[str, dict[str, Any]] = {"petals": {"sun": 0.0}}
FRAME = 30.0  # the contract speaks of frames at 30 a second

Values = NDArray[np.float64]
Song = Callable[[Fraction, int], FeatureTimeline]  # at so many frames a second, so many frames long


def song(bass: Callable[[Values], Values], *, every: float = 0.0, late: float = 0.0) -> Song:
    """A song whose features are all as ``bass`` says, by the time in seconds, with an onset and a beat every so many
    seconds; what is heard in a frame is what there is at its start, or ``late`` frames after that.
    """

    def at(fps: Fraction, frames: int) -> FeatureTimeline:
        seconds = float(frames / fps)
        times = (np.arange(frames) + late) / float(fps)
        values = np.clip(bass(times), 0, 1).astype(np.float32)
        features = dict.fromkeys(FEATURES, values)
        marks = np.arange(0, seconds, every) if every else np.zeros(0)
        return FeatureTimeline(
            fps, frames, seconds, 60 / every if every else 0.0, features, {"onsets": marks, "beats": marks}
        )

    return at


def steady(level: float) -> Song:
    """As loud all the time, without an onset."""
    return song(lambda t: np.full_like(t, level))


silence = steady(0.0)
kicks = song(lambda t: np.exp(-(t % 0.5) / 0.09), every=0.5)  # 120 a minute, nothing between them
loud = song(lambda t: 1 - 0.6 * (t % 0.25), every=0.25)  # never under 0.85
# Smooth, and after a frame what there is at its end: alike at any frame rate.
swells = song(lambda t: 0.5 - 0.5 * np.cos(np.pi * t / 2), every=0.5, late=1.0)


def events(**times: float) -> Song:
    """Silence, but for an event of each of these kinds at a time, seconds."""

    def at(fps: Fraction, frames: int) -> FeatureTimeline:
        quiet = dict.fromkeys(FEATURES, np.zeros(frames, np.float32))
        marks = {name: np.array([time]) for name, time in times.items()}
        none = np.zeros(0)
        return FeatureTimeline(fps, frames, float(frames / fps), 0.0, quiet, {"onsets": none, "beats": none, **marks})

    return at


def until(seconds: float, first: Song, then: Song) -> Song:
    """One song up to a time, another from there on."""

    def at(fps: Fraction, frames: int) -> FeatureTimeline:
        one, other = first(fps, frames), then(fps, frames)
        cut = int(seconds * fps)
        features = {name: np.r_[one.features[name][:cut], other.features[name][cut:]] for name in one.features}
        events = {
            name: np.r_[times[times < seconds], other.events[name][other.events[name] >= seconds]]
            for name, times in one.events.items()
        }
        return FeatureTimeline(fps, frames, one.duration, one.tempo, features, events)

    return at


@dataclass(frozen=True, eq=False)
class Moment:
    """All living particles after a frame, populations one after the other; a field that one lacks is NaN there.

    ``t`` is the time that has been simulated, seconds; lengths are units, the canvas is 1920 × 1080 of them.
    """

    frame: int
    t: float
    level: float
    birth: NDArray[np.int64]
    population: NDArray[np.int64]
    x: Values
    y: Values
    vx: Values
    vy: Values
    size: Values
    rate: Values
    radius: Values
    light: Values
    color: Values  # (n, 3)
    seen: Sprites

    @property
    def count(self) -> int:
        return len(self.x)

    @property
    def distance(self) -> Values:
        """From the middle of the canvas."""
        return np.hypot(self.x - 960, self.y - 540)

    @property
    def speed(self) -> Values:
        return np.hypot(self.vx, self.vy)

    @property
    def brightness(self) -> Values:
        """What is seen: light by colour."""
        return self.light * self.color.mean(axis=1)


def play(
    kind: str, song: Song = silence, seconds: float = 2.0, *, fps: Fraction | int = 30, every: int = 1, **config: Any
) -> Iterator[Moment]:
    """The moments after every ``every``-th frame, from the first on."""
    config = {"width": 1920, "height": 1080, "duration": seconds, "fps": str(Fraction(fps)), **config}
    particle_type, settings = Scene(kind, config=config).resolve()
    frames = settings.frames(Fraction(0))
    timeline = with_levels(song(settings.rate, frames), settings)
    with Simulation(particle_type, settings, timeline) as simulation:
        for frame in range(frames):
            if (frame + 1) % every:
                simulation.world.step()
            else:
                yield _moment(simulation, simulation.frame(), frame, timeline)


def _moment(simulation: Simulation, seen: Sprites, frame: int, timeline: FeatureTimeline) -> Moment:
    parts: dict[str, list[Any]] = {name: [] for name in Moment.__annotations__}
    for number, (entity, (table,)) in enumerate(simulation.world.query(Table)):
        n = len(table)

        living = alive(simulation.world.component(entity, TrailPoints))
        here = np.ones(n, np.bool_) if living is None else living  # others are only trails

        def column(kind: type[Any], name: str, entity: int = entity, here: NDArray[np.bool_] = here) -> Values:
            found = simulation.world.component(entity, kind)
            return np.full(here.sum(), np.nan) if found is None else getattr(found, name)[here].astype(np.float64)

        parts["birth"].append(table.birth[here])
        parts["population"].append(np.full(here.sum(), number))
        parts["x"].append(column(Position, "x"))
        parts["y"].append(column(Position, "y"))
        parts["vx"].append(column(Velocity, "x"))
        parts["vy"].append(column(Velocity, "y"))
        parts["size"].append(column(Size, "value"))
        parts["rate"].append(column(Pulse, "rate"))
        parts["radius"].append(column(Look, "radius"))
        parts["light"].append(column(Look, "light"))
        parts["color"].append(np.stack([column(Color, channel) for channel in "rgb"], axis=1))
    joined = {name: np.concatenate(values) for name, values in parts.items() if values}
    t = float((frame + 1) / timeline.fps)
    return Moment(frame=frame, t=t, level=float(timeline.features["level"][frame]), seen=seen, **joined)


def last(moments: Iterator[Moment]) -> Moment:
    """The last of them."""
    *_, moment = moments
    return moment
