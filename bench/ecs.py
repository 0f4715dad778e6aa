"""World.step compared with copying the same memory in numpy, and with one esper entity per particle.

python bench/ecs.py            # half a minute
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import esper
import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.components import Drag, Emission, Lifetime, Position, Velocity, Walls
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.rng import generator
from ecs_core.ecs.table import Table
from ecs_core.ecs.values import Range
from ecs_core.ecs.world import World
from ecs_core.systems import BUILT_IN
from ecs_core.systems.motion import MotionSystem

T = TypeVar("T")

COLUMNS = (Position, Velocity, Lifetime)
DRAG, WALLS, WIDTH, HEIGHT, FPS = Drag(0.2), Walls("reflect", 0.9), 1920.0, 1080.0, Fraction(30)


def turns(trials: int, *contenders: Callable[[], object], runs: int = 1) -> list[float]:
    """Median milliseconds of each contender, run alternately so that other load on the machine affects all of them.

    Only the last of each turn's ``runs`` is measured: with 2, the caches are as in the middle of a simulation.
    """
    spent: list[list[float]] = [[] for _ in contenders]
    for trial in range(trials + 2):
        for contender, times in zip(contenders, spent, strict=True):
            for _ in range(runs):
                began = time.perf_counter()
                contender()
            if trial >= 2:  # the first two warm up
                times.append(1e3 * (time.perf_counter() - began))
    return [statistics.median(times) for times in spent]


def verdict(ratio: float, goal: float) -> str:
    return f"{ratio:.2f} (goal: at most {goal:.1f}{'' if ratio <= goal else ', MISSED'})"


def new_world() -> World:
    timeline = FeatureTimeline.silence(FPS, 100_000)
    return World(seed=1, fps=FPS, canvas=Canvas(WIDTH, HEIGHT), timeline=timeline)


def component(world: World, entity: int, kind: type[T]) -> T:
    """A component that an entity has."""
    found = world.component(entity, kind)
    assert found is not None
    return found


def fill(world: World, n: int) -> int:
    """A population of ``n`` particles that drift across the canvas."""
    entity = world.populate(COLUMNS, [DRAG, WALLS])
    component(world, entity, Table).spawn(n)
    rng = generator(1, 1, 0)
    position, velocity = component(world, entity, Position), component(world, entity, Velocity)
    life = component(world, entity, Lifetime)
    position.x[:], position.y[:] = rng.uniform(0, WIDTH, n), rng.uniform(0, HEIGHT, n)
    velocity.x[:], velocity.y[:] = rng.normal(0, 200, (2, n))
    life.span[:] = np.inf
    return entity


def against_copying(n: int, trials: int) -> None:
    with new_world() as world:
        entity = fill(world, n)
        world.add(MotionSystem())
        sources = [np.full(n, i, np.float32) for i in range(5)]
        targets = [np.zeros(n, np.float32) for _ in range(5)]

        def copy() -> None:
            for target, source in zip(targets, sources, strict=True):
                np.copyto(target, source)

        velocity = component(world, entity, Velocity)
        before = velocity.x.copy()
        world.step()
        turned = int((np.sign(before) != np.sign(velocity.x)).sum())
        step, copied = turns(trials, world.step, copy)
    print(
        f"(a) Motion, drag, walls and age of {n:,} particles: one World.step compared with numpy copying the same bytes"
    )
    print("    both read and write five float32 columns (x, y, vx, vy, age) once;")
    print("    the copy computes nothing but touches twice the memory, because it does not work in place;")
    print(f"    in the first step {turned:,} particles hit a side wall")
    print(f"    step {step:.3f} ms, copy {copied:.3f} ms; ratio {verdict(step / copied, 1.0)}\n")


@dataclass(slots=True)
class Place:
    """Position, as a plain component."""

    x: float
    y: float


@dataclass(slots=True)
class Motion:
    """Velocity."""

    x: float
    y: float


@dataclass(slots=True)
class Age:
    """Lifetime."""

    age: float
    span: float


class MoveEach(esper.Processor):
    """The same as MotionSystem, one particle at a time."""

    def __init__(self) -> None:
        self.dt, self.keep = float(1 / FPS), float(np.exp(-DRAG.rate / FPS))
        self.way = (1 - self.keep) / DRAG.rate  # seconds of undamped flight that equal one frame with drag

    def process(self) -> None:
        """Advance every particle by one frame."""
        dt, way, keep, bounce = self.dt, self.way, self.keep, WALLS.restitution
        for _, (place, motion, life) in esper.get_components(Place, Motion, Age):
            place.x += motion.x * way
            place.y += motion.y * way
            motion.x *= keep
            motion.y *= keep
            if place.x < 0.0:
                place.x, motion.x = -place.x, bounce * abs(motion.x)
            elif place.x > WIDTH:
                place.x, motion.x = 2 * WIDTH - place.x, -bounce * abs(motion.x)
            if place.y < 0.0:
                place.y, motion.y = -place.y, bounce * abs(motion.y)
            elif place.y > HEIGHT:
                place.y, motion.y = 2 * HEIGHT - place.y, -bounce * abs(motion.y)
            life.age += dt


def against_entities(n: int, trials: int) -> None:
    with new_world() as still, new_world() as born:
        entity, growing = fill(still, n), fill(born, n)
        still.add(MotionSystem())
        born.add(MotionSystem())
        position, velocity = component(still, entity, Position), component(still, entity, Velocity)

        esper.switch_world("entities")
        for x, y, vx, vy in np.stack([position.x, position.y, velocity.x, velocity.y], axis=1).tolist():
            esper.create_entity(Place(x, y), Motion(vx, vy), Age(0.0, float("inf")))
        esper.add_processor(MoveEach())

        def entities() -> None:
            esper.switch_world("entities")
            esper.process()

        def entities_with_birth() -> None:
            esper.switch_world("entities")
            esper.create_entity(Place(9.0, 9.0), Motion(9.0, 9.0), Age(0.0, float("inf")))
            esper.process()

        def born_step() -> None:
            table = component(born, growing, Table)
            table.frozen = False
            table.spawn(1)
            born.step()

        still.step()
        entities()
        esper.switch_world("entities")
        # esper iterates over sets, so the order of birth is lost: sort both.
        each = np.sort([place.x for _, place in esper.get_component(Place)])
        apart = float(np.abs(each - np.sort(position.x.astype(np.float64))).max())
        ours, theirs = turns(trials, still.step, entities, runs=2)
        ours_born, theirs_born = turns(trials, born_step, entities_with_birth, runs=2)
        esper.switch_world("default")
        esper.delete_world("entities")
    print(f"(b) The same step for {n:,} particles compared with one esper entity with three components per particle")
    print(f"    check: after one step from the same start, x differs by at most {apart:.4f} units (float32)")
    for label, a, b in (
        ("without births (esper answers its query from its cache)", ours, theirs),
        ("with one birth per frame (esper rebuilds its query)", ours_born, theirs_born),
    ):
        missed = "" if b / a >= 100 else ", MISSED"
        print(f"    {label}: {a:.3f} ms, esper {b:.0f} ms: {b / a:,.0f} times faster (goal: at least 100{missed})")
    print()


def births_and_deaths(n: int, share: float, trials: int) -> None:
    due = round(n * share)
    with new_world() as world:
        seconds = n / due / float(FPS)
        # Ages are spread evenly over the span, so that as many particles die in every frame as are born.
        emission = Emission(
            WIDTH / 2, HEIGHT / 2, rate=due * float(FPS), limit=2 * n, shape="area", width=WIDTH, height=HEIGHT,
            span=Range(seconds, seconds),
        )  # fmt: skip
        entity = world.populate(COLUMNS, [emission, DRAG, WALLS])
        for system in BUILT_IN:
            world.add(system())
        for _ in range(2 * round(n / due)):
            world.step()
        table = component(world, entity, Table)
        life = component(world, entity, Lifetime)
        first, rows = table.next_birth, len(table)
        world.step()
        born = table.next_birth - first
        died = born - (len(table) - rows)
        in_order = bool((np.diff(life.age) <= 1e-6).all())
        held: list[NDArray[Any]] = [np.zeros((6, n), np.float32), np.zeros(n, np.int64)]
        source: list[NDArray[Any]] = [np.ones((6, n), np.float32), np.ones(n, np.int64)]

        def copy() -> None:
            for target, values in zip(held, source, strict=True):
                np.copyto(target, values)

        dying = np.zeros(n, bool)
        bare = Table([kind() for kind in COLUMNS])
        bare.spawn(n)

        def oldest_die() -> None:
            dying[:] = False
            dying[:due] = True
            bare.remove(dying)
            bare.spawn(due)

        scattered = np.zeros(n, bool)
        scattered[generator(1, 1, 0).permutation(n)[:due]] = True

        def any_die() -> None:
            bare.remove(scattered)
            bare.spawn(due)

        step, oldest, anyone, copied = turns(trials, world.step, oldest_die, any_die, copy)
        world.measure()
        for _ in range(trials):
            world.step()
        spent = {name: ns / 1e6 / trials for name, ns in world.timings().items()}
    print(f"(c) Spawning and removing {share:.0%} of {n:,} rows per frame (6 float32 columns and 64-bit birth ids)")
    print(f"    one frame: {born} born, {died} died, {rows:,} alive, in order of birth: {in_order}")
    print(
        f"    table alone: removing the oldest {oldest:.3f} ms, any {anyone:.3f} ms; copying its bytes {copied:.3f} ms:"
    )
    print(f"    ratio to copying {oldest / copied:.2f} and {anyone / copied:.2f}")
    print(f"    World.step with all built-in systems: {step:.3f} ms = {step / copied:.1f} × copying; of which ")
    print("    " + ", ".join(f"{name} {ms:.3f}" for name, ms in spent.items() if ms >= 0.005) + " ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    trials = parser.parse_args().trials
    against_copying(1_000_000, trials)
    against_entities(100_000, max(5, trials // 8))
    births_and_deaths(100_000, 0.02, trials)


if __name__ == "__main__":
    main()
