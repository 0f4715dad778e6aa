"""CPU time of a simulation step, here and at another revision, for every particle type.

    python bench/step.py                    # against 18a0d4e: six types at 200 and 10 000 particles, 3 rounds
    python bench/step.py --types snow --counts 200 --rounds 7
    python bench/step.py HEAD~1

Both simulate the same song in processes of their own, in turns; each gives the tenth percentile of its steps, without
drawing. The goal is a ratio of at most 0.20 with 200 particles and 0.60 with 10 000. For continuous_spawning the count
is ``max_particles``, which a high ``steady_spawn_rate`` reaches within a second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from revision import export

ROOT = Path(__file__).parents[1]
BEFORE = "18a0d4e"
GOALS = {200: 0.20, 10_000: 0.60}
TYPES = ("snow", "zen", "enhanced", "bouncing", "continuous_spawning", "no_music")
# Runs at either revision; the names of modules have changed since.
MEASURE = """
import json, sys, time

kind, count, song = sys.argv[1], int(sys.argv[2]), sys.argv[3]
try:
    from ecs_core.rendering.simulation import Simulation
    from ecs_core.rendering.song_analysis import analyse_scene
    from ecs_core.scene.scene import Scene
except ImportError:
    from ecs_core.rendering.listening import listen as analyse_scene
    from ecs_core.rendering.stage import Stage as Simulation
    from ecs_core.scene import Scene
from ecs_core.rendering.plan import make_plan

config = {"particle_count": count}
if kind == "continuous_spawning":
    config = {"max_particles": count, "steady_spawn_rate": 50.0}
scene = Scene(kind, audio=song, config={"duration": 20.0, **config})
particle_type, settings = scene.resolve()
plan = make_plan(particle_type, settings, analyse_scene(scene, settings))
steps = []
with Simulation(particle_type, settings, plan.timeline) as simulation:
    simulation.skip_to(60)
    while simulation.world.frame < plan.frames:
        began = time.thread_time_ns()
        simulation.skip_to(simulation.world.frame + 1)
        steps.append(time.thread_time_ns() - began)
steps.sort()
print(json.dumps([steps[len(steps) // 10] / 1e6, sum(steps) / len(steps) / 1e6]))
"""


def measure(checkout: Path, kind: str, count: int, song: Path) -> tuple[float, float]:
    """CPU milliseconds of a step: the tenth percentile, and the mean."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, kind, str(count), str(song)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    quick, mean = json.loads(done.stdout)
    return quick, mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", nargs="?", default=BEFORE, help="a revision of this repository")
    parser.add_argument("--types", nargs="+", default=list(TYPES))
    parser.add_argument("--counts", nargs="+", type=int, default=list(GOALS))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    from services.cli.demo_song import write_wav

    missed = False
    with tempfile.TemporaryDirectory() as name:
        other, song = Path(name, "other"), Path(name, "song.wav")
        export(arguments.other, other)
        write_wav(song, 20.0)
        print(f"CPU ms of a step (tenth percentile; mean), {arguments.other} → this")
        for count in arguments.counts:
            for kind in arguments.types:
                before, after = [], []
                for _ in range(arguments.rounds):
                    before.append(measure(other, kind, count, song))
                    after.append(measure(ROOT, kind, count, song))
                old, new = (statistics.median(quick for quick, _ in each) for each in (before, after))
                old_mean, new_mean = (statistics.median(mean for _, mean in each) for each in (before, after))
                goal = GOALS.get(count)
                wanted = "" if goal is None else f" (goal: at most {goal:.2f}{'' if new / old <= goal else ', MISSED'})"
                missed = missed or (goal is not None and new / old > goal)
                print(
                    f"{kind:20} {count:6}: {old:.3f} → {new:.3f}, {new / old:.2f}{wanted}; "
                    f"mean {old_mean:.3f} → {new_mean:.3f}, {new_mean / old_mean:.2f}",
                    flush=True,
                )
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
