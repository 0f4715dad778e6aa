"""The time of a whole render, compared with the time that plain encoding takes.

The floor: one process encodes the same raw frames from memory, with the same libx264 settings and one encoder thread
per core. The render: from analysing the song to the finished file with audio, with one worker process per core, in a
fresh process each time. Both alternate within one run, and the ratio is that of their medians.

The limit: one process per core encodes its share of the frames from memory with one thread and does nothing else. No
renderer that works in segments can be faster. How far the limit lies below the floor depends on how well libx264's own
threads use the cores.

    python bench/encoder_floor.py                               # everything: 4 counts × 3 qualities
    python bench/encoder_floor.py --counts 200 --qualities standard --rounds 5
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from ecs_core.audio.features import analyze
from ecs_core.rendering.plan import RenderPlan, make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.scene.scene import Scene
from ecs_core.video.encoding import Picture, SegmentWriter
from services.cli.demo_song import write_wav

GOALS = {("standard", 200): 0.80, ("standard", 2000): 0.95, ("standard", 10000): 1.00, ("draft", 10000): 1.10}
_RENDER = """
import sys, json, time
t0 = time.perf_counter()
from ecs_core.rendering.run import render
from ecs_core.scene.scene import Scene
import ecs_core.audio.features
t1 = time.perf_counter()
scene, out, quality, hashes = json.loads(sys.argv[1])
r = render(Scene.from_json(scene), out, quality=quality, frame_hashes=hashes)
t2 = time.perf_counter()
print(json.dumps({"startup": t1 - t0, "render": t2 - t1, "seconds": r.seconds, "hashes": r.frame_hashes}))
"""


def raw_frames(plan: RenderPlan) -> list[list[np.ndarray]]:
    """Every frame of the plan, as three packed planes each."""
    renderer = SegmentRenderer(plan)
    frames = []
    with renderer.stage as stage:
        start = stage.snapshot()
        stage.restore(start)
        picture, rasteriser = renderer._picture, renderer._rasteriser
        rasteriser.reset()
        for _ in range(plan.frames):
            rasteriser.paint(stage.frame(), picture.planes)
            planes = (picture.planes.luma, picture.planes.cb, picture.planes.cr)
            frames.append([plane.copy() for plane in planes])
    return frames


def digest_of(frame: list[np.ndarray]) -> str:
    """The hash of a frame, as in ``--frame-hashes``."""
    return hashlib.sha256(b"".join(plane.tobytes() for plane in frame)).hexdigest()


def encode_from_memory(
    plan: RenderPlan, frames: list[list[np.ndarray]], path: Path, *, threads: int = os.cpu_count() or 1
) -> float:
    """Seconds to encode the frames into an MP4 with one encoder thread per core."""
    began = time.perf_counter()
    picture = Picture(plan.video)
    planes = (picture.planes.luma, picture.planes.cb, picture.planes.cr)
    with SegmentWriter(path, plan.video, threads=threads) as writer:
        for frame in frames:
            for target, source in zip(planes, frame, strict=True):
                target[:] = source
            writer.write(picture)
    return time.perf_counter() - began


def encode_in_shares(plan: RenderPlan, frames: list[list[np.ndarray]], folder: Path) -> float:
    """Seconds for one forked process per core to encode its share of the frames with one thread."""
    cores = os.cpu_count() or 1
    share = -(-len(frames) // cores)
    began = time.perf_counter()
    children = []
    for core in range(cores):
        child = os.fork()
        if not child:
            mine = frames[core * share : (core + 1) * share]
            encode_from_memory(plan, mine, folder / f"share{core}.mp4", threads=1)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return time.perf_counter() - began


def render_in_fresh_process(scene: Scene, path: Path, quality: str, *, hashes: bool = False) -> dict:
    """One render in a fresh process; ``command`` is its whole wall time."""
    began = time.perf_counter()
    argument = json.dumps([scene.to_json(), str(path), quality, hashes])
    done = subprocess.run([sys.executable, "-c", _RENDER, argument], capture_output=True, text=True, check=True)
    return json.loads(done.stdout) | {"command": time.perf_counter() - began}


def measure(scene: Scene, quality: str, rounds: int, folder: Path) -> None:
    particle_type, settings = scene.resolve()
    plan = make_plan(particle_type, settings, analyze(scene.audio), quality=quality)
    frames = raw_frames(plan)
    packed = [digest_of(frame) for frame in frames[::30]]  # rows have no padding at this width
    rendered = render_in_fresh_process(scene, folder / "render.mp4", quality, hashes=True)
    same = packed == rendered["hashes"][::30] and len(rendered["hashes"]) == len(frames)
    encode_from_memory(plan, frames[:60], folder / "floor.mp4")
    floors, limits, renders = [], [], []
    for _ in range(rounds):
        limits.append(encode_in_shares(plan, frames, folder))
        floors.append(encode_from_memory(plan, frames, folder / "floor.mp4"))
        renders.append(render_in_fresh_process(scene, folder / "render.mp4", quality))
    floor = statistics.median(floors)
    ratio = statistics.median(r["render"] for r in renders) / floor
    command = statistics.median(r["command"] for r in renders) / floor
    pairs = [r["render"] / f for r, f in zip(renders, floors, strict=True)]
    count = scene.config["particle_count"]
    goal = GOALS.get((quality, count))
    verdict = "" if goal is None else f"  goal {goal:.2f} {'reached' if ratio <= goal else 'MISSED'}"
    print(
        f"{scene.type:<9}{quality:<9}{count:>7} particles: ratio {ratio:.2f} (pairs {min(pairs):.2f}–{max(pairs):.2f}; "
        f"with interpreter start-up {command:.2f}){verdict}"
    )
    sizes = [(folder / name).stat().st_size for name in ("render.mp4", "floor.mp4")]
    print(
        f"    floor {floor:.2f} s = {len(frames) / floor:.0f} frames/s; limit {statistics.median(limits) / floor:.2f};"
        f" the same {len(frames)} frames: {same};"
        f" size {sizes[0] / sizes[1]:.2f} × the floor's (with audio)"
    )
    middle = sorted(renders, key=lambda r: r["render"])[rounds // 2]
    spent = middle["seconds"]
    parts = ("simulate", "rasterise", "encode", "other")
    per_frame = {part: 1e3 * spent[part] / len(frames) for part in parts}
    print("    ms per frame, in a worker: " + ", ".join(f"{k} {v:.2f}" for k, v in per_frame.items()))
    print(
        f"    once, seconds: start-up {middle['startup']:.2f}, analyse {spent['analyse']:.2f}, "
        f"plan {spent['plan']:.2f}, join {spent['join']:.2f}, total {spent['total']:.2f}",
        flush=True,
    )


def systems(scene: Scene) -> None:
    """Print the simulation time of each system."""
    particle_type, settings = scene.resolve()
    plan = make_plan(particle_type, settings, analyze(scene.audio))
    frames = plan.frames - 30
    renderer = SegmentRenderer(plan)
    with renderer.stage as stage:
        stage.skip_to(30)
        stage.world.measure()
        stage.skip_to(30 + frames)
        spent = {name: ns / 1e6 / frames for name, ns in stage.world.timings().items()}
    top = sorted(spent.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {ms:.3f}" for name, ms in top if ms > 0.001)
    print(f"    {scene.config['particle_count']} particles, by system: {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--type", default="enhanced")
    parser.add_argument("--counts", type=int, nargs="+", default=[200, 2000, 10000, 100000])
    parser.add_argument("--qualities", nargs="+", default=["standard", "draft", "high"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song = folder / "song.wav"
        write_wav(song, arguments.seconds)
        print(f"{arguments.seconds:g} s of 1920×1080 at {Fraction(30)} fps with audio, {os.cpu_count()} cores")
        for quality in arguments.qualities:
            for count in arguments.counts:
                config = {"particle_count": count, "duration": arguments.seconds}
                measure(Scene(arguments.type, audio=song, config=config), quality, arguments.rounds, folder)
        print("simulation, ms per frame:")
        for count in arguments.counts:
            config = {"particle_count": count, "duration": arguments.seconds}
            systems(Scene(arguments.type, audio=song, config=config))


if __name__ == "__main__":
    main()
