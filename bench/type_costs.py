"""The cost of each particle type: render time relative to plain encoding, and microseconds per particle.

The ratio is that of ``encoder_floor.py``: a whole render over encoding the same frames and song from memory, as medians
of several alternating rounds. The ratio of the fastest render and the fastest encoding is more reliable on a busy
machine. The goal is at most 1.2 at 10,000 particles for every type. Simulating and rasterising are given in
microseconds of one core per particle and frame. For continuous_spawning the count is ``max_particles``, which a high
``steady_spawn_rate`` reaches within a second.

    python bench/type_costs.py                                       # six types × 3 counts, 30 s of 1080p video each
    python bench/type_costs.py --types snow --counts 10000 --rounds 5
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from encoder_floor import Bench

from ecs_core.plugin_api import particle_types
from ecs_core.rendering.plan import RenderPlan
from ecs_core.rendering.simulation import Simulation
from ecs_core.scene.scene import Scene
from services.cli.demo_song import write_wav

GOAL, AT = 1.2, 10_000
SPAWNING = "continuous_spawning"


def config_of(kind: str, count: int | None) -> dict[str, Any]:
    """The settings that give a type ``count`` particles; None means its default."""
    if count is None:
        return {}
    if kind == SPAWNING:
        return {"max_particles": count, "steady_spawn_rate": 50.0}  # per 1000 and frame: full after 20 frames
    return {"particle_count": count}


def mean_count(plan: RenderPlan) -> float:
    """The mean number of particles per frame."""
    total = 0
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        for _ in range(plan.frames):
            simulation.world.step()
            total += sum(len(table) for table in simulation.world.tables)
    return total / plan.frames


def measure(kind: str, count: int | None, song: Path, seconds: float, rounds: int, folder: Path) -> bool:
    """Measure and print one type and count; returns False if the goal is missed."""
    bench = Bench.of(Scene(kind, audio=song, config={"duration": seconds, **config_of(kind, count)}))
    particles, frames = mean_count(bench.plan), len(bench.frames)
    same = bench.is_rendered(folder)
    turns = bench.in_turns(rounds, folder)
    ratio, pairs = turns.ratio, turns.pairs
    best = min(each["render"] for each in turns.renders) / min(turns.floors)
    spent = turns.middle["seconds"]
    each = {part: 1e6 * spent[part] / frames / max(1.0, particles) for part in ("simulate", "rasterise")}
    verdict = "" if count != AT else f"  goal {GOAL} {'reached' if ratio <= GOAL else 'MISSED'}"
    print(
        f"{kind:<20}{'default' if count is None else count:>8}: ratio {ratio:.2f} (pairs "
        f"{min(pairs):.2f}–{max(pairs):.2f}, of the fastest {best:.2f});"
        f" µs per particle and frame: simulate {each['simulate']:.2f}, rasterise {each['rasterise']:.2f}{verdict}"
    )
    print(
        f"    {particles:.0f} particles per frame; floor {turns.floor:.2f} s = {frames / turns.floor:.0f} "
        f"frames/s; the same {frames} frames: {same}; size {bench.size_ratio(folder):.2f} × the floor's",
        flush=True,
    )
    return count != AT or ratio <= GOAL


def count_of(text: str) -> int | None:
    """A number of particles; None for the type's default."""
    return None if text == "default" else int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", nargs="+", default=sorted(particle_types().types))
    parser.add_argument("--counts", type=count_of, nargs="+", default=[None, 2000, AT], help='numbers, or "default"')
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song = folder / "song.wav"
        write_wav(song, arguments.seconds)
        print(f"{arguments.seconds:g} s of 1920×1080 at 30 fps with audio, {os.cpu_count()} cores", flush=True)
        reached = [
            measure(kind, count, song, arguments.seconds, arguments.rounds, folder)
            for kind in arguments.types
            for count in arguments.counts
        ]
    missed = f"{reached.count(False)} goals MISSED" if False in reached else "every goal reached"
    print(missed if AT in arguments.counts else f"no goal was checked: only {AT} particles have one")


if __name__ == "__main__":
    main()
