"""The time of a whole render, compared with the time that plain encoding takes.

The floor: one process encodes the same raw frames from memory, with the same libx264 settings and one encoder thread
per core, and beside them, in one thread, the song from memory with the settings of the render's sound. The render: from
analysing the song to the finished file with audio, with one worker process per core, in a fresh process each time. Both
alternate within one run, and the ratio is that of their medians.

The limit: one process per core encodes its share of the frames with one thread and its share of the song, both from
memory, and does nothing else. No renderer that works in segments can be faster. How far the limit lies below the floor
depends on how well libx264's own threads use the cores.

Scenes and libx264 settings are those of 18a0d4e, on both sides, so that ratios of different revisions can be compared.
If the product's libx264 settings have changed since, renders use the frozen ones all the same; what other settings gain
is a ratio of whole renders (``x264.py``).

    python bench/encoder_floor.py                               # everything: 4 counts × 3 qualities
    python bench/encoder_floor.py --counts 200 --qualities standard --rounds 5
    python bench/encoder_floor.py --counts 200 --qualities draft --rounds 1 --seconds 2   # does it run?
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
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.features import analyze
from ecs_core.raster.rasteriser import Planes
from ecs_core.rendering.plan import RenderPlan, make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.rendering.simulation import Simulation
from ecs_core.rendering.song_sound import mix_of
from ecs_core.scene.scene import Scene
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.video import encoding
from ecs_core.video.aac import encoded
from ecs_core.video.encoding import Picture, SegmentWriter
from ecs_core.video.format import QUALITIES, Quality
from services.cli.demo_song import write_wav

F32 = NDArray[np.float32]
Frame = list[NDArray[np.uint8]]  # packed planes: Y, Cb, Cr

CORES = os.cpu_count() or 1
ABOVE_LIMIT = 0.06
AT_LIMIT: tuple[tuple[Quality, int], ...] = (("standard", 200), ("standard", 2000), ("standard", 10000))
GOALS: Mapping[tuple[Quality, int], float] = {("draft", 10000): 1.10}
# As of 18a0d4e: do not follow the product here.
X264: Mapping[Quality, Mapping[str, str]] = MappingProxyType(
    {
        "draft": {"preset": "ultrafast", "crf": "23"},
        "standard": {"preset": "veryfast", "crf": "20"},
        "high": {"preset": "medium", "crf": "17"},
    }
)
PRODUCT = {name: dict(settings) for name, settings in encoding.X264_SETTINGS.items()}
SEGMENT_SECONDS = 2.0  # the longest GOP
SCENE: Mapping[str, Any] = MappingProxyType(
    {
        "width": 1920,
        "height": 1080,
        "fps": 30,
        "seed": 0,
        "bass_threshold": 0.3,
        "bounce": False,
        "enhanced_mode": {"active": True, "factor": 2.0, "threshold": 0.3},
        "inner_movement_strength": 1.0,
        "outer_movement_strength": 2.0,
        "particle_colors": [[255, 86, 52], [78, 156, 255], [255, 204, 92], [204, 84, 255]],
        "speed_x": 0.0,
        "speed_y": 0.0,
        "speed_z": 0.0,
        "trail": 0.0,
        "x_position": 0.5,
        "y_position": 0.5,
    }
)
_RENDER = """
import sys, json, time
scene, out, quality, hashes, x264, longest = json.loads(sys.argv[1])
if x264 is not None:  # also in the processes that the pool starts
    from ecs_core.rendering import pool
    first = "from ecs_core.rendering.child import main"
    assert first in pool._START, pool._START
    frozen = f"import ecs_core.video.encoding as encoding; encoding.X264_SETTINGS = {x264!r}; "
    pool._START = pool._START.replace(first, frozen + first)
t0 = time.perf_counter()
from ecs_core.rendering.run import render
from ecs_core.scene.scene import Scene
import ecs_core.audio.features
t1 = time.perf_counter()
r = render(Scene.from_json(scene), out, quality=quality, frame_hashes=hashes, segment_seconds=longest)
t2 = time.perf_counter()
print(json.dumps({"startup": t1 - t0, "render": t2 - t1, "seconds": r.seconds, "hashes": r.frame_hashes}))
"""


class Rendered(TypedDict):
    """A render: seconds of imports, of render(), of the whole command and by stage; the frames' hashes if wanted."""

    startup: float
    render: float
    command: float
    seconds: dict[str, float]
    hashes: list[str]


@dataclass(frozen=True, eq=False)
class Song:
    """The part of a plan's song that its video plays, mixed: (channels, samples)."""

    samples: F32
    rate: int
    quality: Quality

    @staticmethod
    def of(plan: RenderPlan, path: Path) -> Song:
        """The song of a plan, decoded."""
        with AudioFile(path) as file:
            blocks = [*plan.part.heard(mix_of(plan, file).blocks(file.blocks()), file.rate)]
            samples = np.concatenate(blocks, axis=1)[:, : round(plan.part.duration * file.rate)]
            return Song(samples, file.rate, plan.video.quality)

    def share(self, number: int, of: int) -> Song:
        """One of equal parts."""
        return Song(np.array_split(self.samples, of, axis=1)[number], self.rate, self.quality)

    def encode(self) -> int:
        """Encode it as a render does; the bytes of its packets."""
        channels, n = self.samples.shape
        blocks = (self.samples[:, at : at + self.rate] for at in range(0, n, self.rate))
        packets = encoded(
            blocks, rate=self.rate, channels=channels, duration=Fraction(n, self.rate), quality=self.quality
        )
        return sum(packet.size for packet in packets)


def raw_frames(plan: RenderPlan, start: int = 0) -> list[Frame]:
    """The frames of the plan from ``start`` on."""
    renderer = SegmentRenderer(plan)
    width = plan.video.width
    frames = []
    with renderer.simulation as simulation:
        simulation.skip_to(start)
        while simulation.world.frame < plan.frames:
            planes = renderer.picture(simulation.snapshot()).planes
            assert isinstance(planes, Planes)
            sides = ((planes.luma, width), (planes.cb, width // 2), (planes.cr, width // 2))
            frames.append([rows[:, :side].copy() for rows, side in sides])
    return frames


def digest_of(frame: Frame) -> str:
    """The hash of a frame, as in ``--frame-hashes``."""
    return hashlib.sha256(b"".join(plane.tobytes() for plane in frame)).hexdigest()


def encode_from_memory(plan: RenderPlan, frames: Sequence[Frame], path: Path, *, threads: int) -> None:
    """Encode the frames into an MP4, with the frozen libx264 settings."""
    picture = Picture(plan.video)
    planes = (picture.planes.luma, picture.planes.cb, picture.planes.cr)
    with SegmentWriter(path, plan.video, threads=threads, x264=X264[plan.video.quality]) as writer:
        for frame in frames:
            for target, source in zip(planes, frame, strict=True):
                target[:, : source.shape[1]] = source
            writer.write(picture)


@dataclass(eq=False)
class Turns:
    """Seconds of limits and floors, and renders, one of each a round."""

    limits: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    renders: list[Rendered] = field(default_factory=list)

    @property
    def floor(self) -> float:
        """The median floor, in seconds."""
        return statistics.median(self.floors)

    @property
    def limit(self) -> float:
        """The median limit, of the floor."""
        return statistics.median(self.limits) / self.floor

    @property
    def ratio(self) -> float:
        """The median render, of the floor."""
        return statistics.median(each["render"] for each in self.renders) / self.floor

    @property
    def pairs(self) -> list[float]:
        """Each round's render, of its floor."""
        return [each["render"] / floor for each, floor in zip(self.renders, self.floors, strict=True)]

    @property
    def middle(self) -> Rendered:
        """The render of median length."""
        return sorted(self.renders, key=lambda each: each["render"])[len(self.renders) // 2]


@dataclass(frozen=True, eq=False)
class Bench:
    """A scene with its plan, its frames and its song, in memory."""

    scene: Scene
    plan: RenderPlan
    frames: Sequence[Frame]
    song: Song

    @staticmethod
    def of(scene: Scene, quality: Quality = "standard") -> Bench:
        """Analyse the song of a scene and draw its frames."""
        plan = plan_of(scene, quality)
        assert scene.audio is not None
        return Bench(scene, plan, raw_frames(plan), Song.of(plan, scene.audio))

    def is_rendered(self, folder: Path) -> bool:
        """Whether a render has the same frames."""
        hashes = self.render(folder, hashes=True)["hashes"]
        return [digest_of(frame) for frame in self.frames[::30]] == hashes[::30] and len(hashes) == len(self.frames)

    def in_turns(self, rounds: int, folder: Path) -> Turns:
        """Limit, floor and render by turns."""
        encode_from_memory(self.plan, self.frames[:60], folder / "floor.mp4", threads=CORES)
        turns = Turns()
        for _ in range(rounds):
            turns.limits.append(self.encode_in_shares(folder))
            turns.floors.append(self.encode_plainly(folder))
            turns.renders.append(self.render(folder))
        return turns

    def encode_plainly(self, folder: Path) -> float:
        """The floor: seconds to encode the frames with an encoder thread per core, and the song beside them."""
        began = time.perf_counter()
        sound = threading.Thread(target=self.song.encode)
        sound.start()
        encode_from_memory(self.plan, self.frames, folder / "floor.mp4", threads=CORES)
        sound.join()
        return time.perf_counter() - began

    def encode_in_shares(self, folder: Path, processes: int = CORES) -> float:
        """The limit: seconds for one forked process per core to encode its share of frames and song."""
        began = time.perf_counter()
        children = [self._forked(number, processes, folder) for number in range(processes)]
        ends = [os.waitpid(child, 0)[1] for child in children]
        if any(ends):
            raise SystemExit("a process of the limit failed")
        return time.perf_counter() - began

    def _forked(self, number: int, of: int, folder: Path) -> int:
        """The pid of a process that encodes its share."""
        if child := os.fork():
            return child
        status = 1
        try:
            share = -(-len(self.frames) // of)
            mine = self.frames[number * share : (number + 1) * share]
            encode_from_memory(self.plan, mine, folder / f"share{number}.mp4", threads=1)
            self.song.share(number, of).encode()
            status = 0
        finally:
            os._exit(status)

    def render(self, folder: Path, *, hashes: bool = False) -> Rendered:
        """One render in a fresh process, with the frozen libx264 settings."""
        quality = self.plan.video.quality
        return render_in_fresh_process(self.scene, folder / "render.mp4", quality, x264=X264[quality], hashes=hashes)

    def size_ratio(self, folder: Path) -> float:
        """The size of the render, of that of the floor and its song."""
        sizes = [(folder / name).stat().st_size for name in ("render.mp4", "floor.mp4")]
        return sizes[0] / (sizes[1] + self.song.encode())


def render_in_fresh_process(
    scene: Scene, path: Path, quality: Quality, *, x264: Mapping[str, str], hashes: bool = False
) -> Rendered:
    """One render in a fresh process, with these settings of libx264."""
    began = time.perf_counter()
    settings = None if x264 == PRODUCT[quality] else {quality: dict(x264)}
    argument = json.dumps([scene.to_json(), str(path), quality, hashes, settings, SEGMENT_SECONDS])
    done = subprocess.run([sys.executable, "-c", _RENDER, argument], stdout=subprocess.PIPE, text=True, check=True)
    found: Rendered = json.loads(done.stdout)
    found["command"] = time.perf_counter() - began
    return found


def plan_of(scene: Scene, quality: Quality = "standard") -> RenderPlan:
    """The plan of a scene with a song, in segments of the frozen length."""
    assert scene.audio is not None
    particle_type, settings = scene.resolve()
    return make_plan(particle_type, settings, analyze(scene.audio), quality=quality, segment_seconds=SEGMENT_SECONDS)


def measure(scene: Scene, quality: Quality, rounds: int, folder: Path) -> list[str]:
    """Measure and print one scene and quality; returns verdicts on its goals."""
    bench = Bench.of(scene, quality)
    same = bench.is_rendered(folder)
    turns = bench.in_turns(rounds, folder)
    count, frames, pairs = scene.config["particle_count"], len(bench.frames), turns.pairs
    command = statistics.median(each["command"] for each in turns.renders) / turns.floor
    print(
        f"{scene.type:<9}{quality:<9}{count:>7} particles: ratio {turns.ratio:.2f} (pairs {min(pairs):.2f}–"
        f"{max(pairs):.2f}; with interpreter start-up {command:.2f}), limit {turns.limit:.2f}"
    )
    print(
        f"    floor {turns.floor:.2f} s = {frames / turns.floor:.0f} frames/s; the same {frames} frames: {same};"
        f" size {bench.size_ratio(folder):.2f} × the floor's"
    )
    middle = turns.middle
    spent = middle["seconds"]
    per_frame = {part: 1e3 * spent[part] / frames for part in ("simulate", "rasterise", "encode", "other")}
    print("    ms per frame, in a worker: " + ", ".join(f"{part} {ms:.2f}" for part, ms in per_frame.items()))
    print(
        f"    once, seconds: start-up {middle['startup']:.2f}, analyse {spent['analyse']:.2f}, "
        f"plan {spent['plan']:.2f}, join {spent['join']:.2f}, total {spent['total']:.2f}"
    )
    found = verdicts(quality, count, ratio=turns.ratio, limit=turns.limit)
    print("".join(f"    {line}\n" for line in found), end="", flush=True)
    return found


def verdicts(quality: Quality, count: int, *, ratio: float, limit: float) -> list[str]:
    """A line for each goal of a quality and count."""
    found = []
    if (quality, count) in AT_LIMIT:
        goal = limit + ABOVE_LIMIT
        found.append(
            f"goal {quality} {count}: ratio {ratio:.3f}, limit {limit:.3f}, limit + {ABOVE_LIMIT} = {goal:.3f}: "
            f"{'reached' if ratio <= goal else 'MISSED'}"
        )
    if (most := GOALS.get((quality, count))) is not None:
        found.append(
            f"goal {quality} {count}: ratio {ratio:.3f}, limit {limit:.3f}, at most {most:.2f}: "
            f"{'reached' if ratio <= most else 'MISSED'}"
        )
    return found


def systems(scene: Scene) -> None:
    """Print the simulation time of each system."""
    plan = plan_of(scene)
    first = min(30, plan.frames // 2)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(first)
        simulation.world.measure()
        simulation.skip_to(plan.frames)
        timings = simulation.world.timings()
    spent = {name: ns / 1e6 / (plan.frames - first) for name, ns in timings.items()}
    top = sorted(spent.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {ms:.3f}" for name, ms in top if ms > 0.001)
    print(f"    {scene.config['particle_count']} particles, by system: {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[200, 2000, 10000, 100000])
    parser.add_argument("--qualities", nargs="+", choices=QUALITIES, default=["standard", "draft", "high"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, song = Path(name), Path(name, "song.wav")
        write_wav(song, arguments.seconds)
        print(f"{arguments.seconds:g} s of 1920×1080 at 30 fps with audio, {CORES} cores")
        changed = [quality for quality in QUALITIES if PRODUCT[quality] != X264[quality]]
        print(
            f"libx264 as of 18a0d4e; the product has other settings for: {', '.join(changed) or 'nothing'}", flush=True
        )

        def scene_of(count: int) -> Scene:
            more = {"particle_count": count, "duration": arguments.seconds}
            return Scene("enhanced", audio=song, config={**SCENE, **more})

        found = [
            line
            for quality in arguments.qualities
            for count in arguments.counts
            for line in measure(scene_of(count), quality, arguments.rounds, folder)
        ]
        print("simulation, ms per frame:")
        for count in arguments.counts:
            systems(scene_of(count))
    print("\n".join(found or ["no goal was checked"]))


if __name__ == "__main__":
    main()
