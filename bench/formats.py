"""The time of a whole render with alpha, compared with the time that its encoder takes alone.

Alone: one process per core encodes the same raw frames from memory, in the same segments with the same settings, and
does nothing else. The render: from the scene to the finished file, with one process per core. Both alternate, and the
ratio is that of their medians. The goal is at most 1.2; videos have to be long enough that starting is little of it.

    python bench/formats.py                                  # mov and webm, 1080p
    python bench/formats.py --forms mov --seconds 1 --size 320x180 --rounds 1   # does it run?
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ecs_core.arrays import U8, U16
from ecs_core.formats import FORMS, Form
from ecs_core.plugin_api import resolve
from ecs_core.raster.straight import StraightPlanes
from ecs_core.rendering.plan import RenderPlan, make_plan
from ecs_core.rendering.run import render
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.scene.scene import Scene
from ecs_core.scene.variants import picture_size
from ecs_core.video.output import segment_writer
from ecs_core.video.straight_picture import StraightPicture

GOAL = 1.2
CORES = os.cpu_count() or 1
Frame = list[U8 | U16]


def raw_frames(plan: RenderPlan) -> list[Frame]:
    """The planes of all frames."""
    renderer = SegmentRenderer(plan)
    frames = []
    with renderer.simulation as simulation:
        while simulation.world.frame < plan.frames:
            planes = renderer.picture(simulation.snapshot()).planes
            assert isinstance(planes, StraightPlanes)
            frames.append([plane.copy() for plane in planes.arrays])
    return frames


def encode_share(plan: RenderPlan, frames: Sequence[Frame], folder: Path, share: int) -> None:
    """Encode every so many-th segment from memory."""
    picture = StraightPicture(plan.video)
    for segment in plan.segments[share::CORES]:
        with segment_writer(folder / f"{segment.number}{plan.video.segment_suffix}", plan.video) as writer:
            for frame in frames[segment.start : segment.stop]:
                for target, source in zip(picture.planes.arrays, frame, strict=True):
                    target[:] = source
                writer.write(picture)


def encode(plan: RenderPlan, frames: Sequence[Frame], folder: Path) -> float:
    """Seconds to encode all segments, a process per core."""
    fork = multiprocessing.get_context("fork")
    began = time.perf_counter()
    workers = [fork.Process(target=encode_share, args=(plan, frames, folder, share)) for share in range(CORES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


def main() -> int:
    """Measure, print, and return whether a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["mov", "webm"])
    parser.add_argument("--type", default="enhanced")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--seconds", type=float, default=4.0, help="of video; 16 MB a frame of mov at 1080p")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    width, height = picture_size(arguments.size)
    found, forms = {}, [form for form in FORMS if form in arguments.forms]
    for form in forms:
        found[form] = measure(form, arguments.type, (width, height), arguments.seconds, arguments.rounds)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found))
    return int(any(ratio > GOAL for ratio in found.values()))


def measure(form: Form, kind: str, size: tuple[int, int], seconds: float, rounds: int) -> float:
    """The median render, of the median encoding; both are printed."""
    scene = Scene(kind, config={"width": size[0], "height": size[1], "duration": seconds, "format": form})
    particle_type, settings = resolve(scene)
    plan = make_plan(particle_type, settings, None)
    frames = raw_frames(plan)
    renders, alone = [], []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(rounds):
            alone.append(encode(plan, frames, Path(name)))
            began = time.perf_counter()
            render(scene, Path(name) / f"out{plan.video.segment_suffix}")
            renders.append(time.perf_counter() - began)
    ratio = statistics.median(renders) / statistics.median(alone)
    each = 1000 * CORES * statistics.median(alone) / plan.frames
    print(
        f"{form}: render {statistics.median(renders):.2f} s, encoding alone {statistics.median(alone):.2f} s "
        f"({each:.0f} ms of a core per frame), ratio {ratio:.2f}, goal {GOAL}",
        flush=True,
    )
    return ratio


if __name__ == "__main__":
    sys.exit(main())
