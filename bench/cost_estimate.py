"""Estimated cost ÷ measured processor time of a dozen scenes, normalised to this machine.

    python bench/cost_estimate.py              # 12 scenes, 2 s of video each
    python bench/cost_estimate.py --seconds 4

Each scene is simulated and rendered in this process. What is measured is processor time, of the encoder too, but
not that of loading and compiling. The machine's factor is the median of the quotients, by which all are divided. The
goal is at most a factor of two either way. Constants to fit anew are in ``services/jobs/cost.py``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from ecs_core.rendering.flash_limit import with_limited_flashes
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.rendering.simulation import Simulation
from ecs_core.rendering.song_analysis import analyse_scene
from ecs_core.scene.scene import Scene
from services.cli.demo_song import write_wav
from services.jobs.cost import Cost, cost_of
from services.jobs.render_spec import build_spec

GOAL = 2.0
SCENES: dict[str, tuple[str, dict[str, Any], str]] = {
    "snow, 1080p": ("snow", {}, "standard"),
    "snow, 360p draft": ("snow", {"width": 640, "height": 360}, "draft"),
    "snow, 4K high": ("snow", {"width": 3840, "height": 2160}, "high"),
    "snow, 50,000 particles": ("snow", {"particle_count": 50_000}, "standard"),
    "snow, 720p WebM": ("snow", {"width": 1280, "height": 720, "format": "webm"}, "standard"),
    "enhanced, ProRes": ("enhanced", {"format": "mov"}, "standard"),
    "zen, 60 frames/s, bloom": ("zen", {"fps": 60, "finish": {"bloom": 0.6}}, "standard"),
    "flow, tails": ("flow", {"particle_count": 3000}, "standard"),
    "orbits, upright": ("orbits", {"width": 1080, "height": 1920}, "standard"),
    "petals, 2000": ("petals", {"particle_count": 2000}, "standard"),
    "constellation, title": (
        "constellation",
        {"layers": [{"kind": "text", "text": "Night Drive", "size": 0.2}, {"kind": "spectrum"}]},
        "standard",
    ),
    "portrait, limited flashes": ("portrait", {"flash_guard": "limit"}, "standard"),
}


def measure(scene: Scene, quality: str, folder: Path) -> tuple[float, int]:
    """Seconds of processor time for what is simulated ahead and for all segments, and the bytes of these."""
    kind, settings = scene.resolve()
    plan = make_plan(kind, settings, analyse_scene(scene, settings), quality=quality)
    loading = SegmentRenderer(plan)
    loading.load()
    loading.close()
    began = time.process_time()
    plan = with_limited_flashes(plan)
    snapshots = []
    with Simulation(kind, settings, plan.timeline) as simulation:
        for segment in plan.segments:
            simulation.skip_to(segment.start)
            snapshots.append(simulation.snapshot())
    renderer, size = SegmentRenderer(plan), 0
    for segment, snapshot in zip(plan.segments, snapshots, strict=True):
        path = folder / f"segment{plan.video.segment_suffix}"
        renderer.render(segment, snapshot, path)
        size += path.stat().st_size
    took = time.process_time() - began
    renderer.close()
    return took, size


def estimated(kind: str, config: dict[str, Any], quality: str, seconds: float) -> Cost:
    """The same as estimated."""
    return cost_of(build_spec(kind, config, "0" * 64, quality), "video", seconds=seconds, heard=seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    seconds = parser.parse_args().seconds
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song = folder / "song.wav"
        write_wav(song, seconds)
        for title, (kind, look, quality) in SCENES.items():
            config = {"duration": seconds, **look}
            took, size = measure(Scene(kind, audio=song, config=config), quality, folder)
            cost = estimated(kind, config, quality, seconds)
            found[title] = cost.ahead + cost.segments, took, cost.bytes, size
    factor = statistics.median(guess / took for guess, took, _, _ in found.values())
    print(f"estimated ÷ measured on this machine: {factor:.2f} at the median, by which the others are divided")
    missed = 0
    for title, (guess, took, bytes_guessed, size) in found.items():
        quotient = guess / took / factor
        wrong = not 1 / GOAL <= quotient <= GOAL
        missed += wrong
        print(
            f"{title:<28} {quotient:5.2f}{' MISSED' if wrong else '':<7}  {took:6.2f} s measured, "
            f"{guess:6.2f} estimated; bytes {bytes_guessed / size:5.2f}"
        )
    print(f"goal: within a factor of {GOAL:g}: {'reached' if not missed else f'{missed} MISSED'}")
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
