"""What light costs: lines, pictures, trails, bloom and the types, as ratios side by side in one run.

    python bench/light.py                                   # a line's pixel, as a multiple of a round sprite's
    python bench/light.py --lines 20x3 200x4 --rounds 100
    python bench/light.py --lines --textures 8 40           # pictures alone
    python bench/light.py --finish                          # painting with a finish, of painting without
    python bench/light.py --renders                         # whole renders, of plain encoding of their own frames
    python bench/light.py --renders "trails" flow --seconds 10 --rounds 3

Lines, pictures and round sprites of equal area: all draw a thousand of a kind, in all directions, into the bands of a
1920 × 1080 picture. Pictures are petals, turned by any angle and squeezed by any share; the area is that of their
squares. Each figure is the least CPU time of several rounds, which take turns, divided by the pixels that have light.

A finish is measured with ten frames of 2,000 flakes at 1080p, by the CPU time of painting; rounds take turns.

Renders are 1080p at 30 fps with a song, at ``standard``; plain encoding is that of their own frames and song, with a
thread per core (``encoder_floor.py``). Ratios are those of medians of rounds that take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from encoder_floor import Bench
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.plugin_api import particle_types
from ecs_core.raster.finish import Finish
from ecs_core.raster.rasteriser import BAND_ROWS, Planes, Rasteriser
from ecs_core.raster.soft_light import SoftLight
from ecs_core.raster.textures import SIDE, atlas, texture_number
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation
from ecs_core.scene.scene import Scene
from services.cli.demo_song import write_wav

WIDTH, HEIGHT, MANY = 1920, 1080, 1000
GOAL = 1.5
PICTURE_GOALS = {"light": 25.0, "cover": 12.0}  # adding a glow's light is what processors do quickest
FINISH: dict[str, Any] = {
    "bloom": 2.0,
    "exposure": 0.2,
    "contrast": 1.2,
    "saturation": 1.1,
    "shadows": [110, 140, 190],
    "lights": [255, 225, 190],
    "vignette": 0.5,
    "aberration": 6.0,
    "grain": 0.15,
}
MANY_PARTICLES = {"particle_count": 2000}
# Renders by name: type, config, and the largest ratio that is the goal.
RENDERS: dict[str, tuple[str, dict[str, Any], float]] = {
    "trails": ("enhanced", {**MANY_PARTICLES, "trail": 0.5}, 1.10),
    "finish": ("enhanced", {**MANY_PARTICLES, "finish": FINISH}, 1.15),
    "flow 2500": ("flow", {"particle_count": 2500}, 1.35),
    "constellation 900": ("constellation", {"particle_count": 900}, 1.35),
}
AT_DEFAULTS = 1.20
F32 = NDArray[np.float32]


class Bands:
    """Accumulators of a band, and a list of what each band shows; rows of windows: y at the other end, and reach."""

    def __init__(self, windows: F32, other_end: int, reach: int, draw: Callable[..., None]) -> None:
        pad = kernels.raster.PAD
        self._windows, self._draw = windows, draw
        self._soft = SoftLight(WIDTH, BAND_ROWS) if draw is kernels.lines.draw_lines else None
        self._luminance = np.zeros(BAND_ROWS * (WIDTH + pad), np.float32)
        self._colour = np.zeros(3 * (BAND_ROWS // 2) * (WIDTH // 2 + pad), np.float32)
        strips, blocks = BAND_ROWS >> kernels.raster.STRIP_SHIFT, -(-WIDTH >> kernels.raster.BLOCK_SHIFT)
        self._touched = np.zeros((strips, blocks), np.uint8)
        self._scratch = np.zeros((2, WIDTH + 2 * pad), np.float32)
        self._starts = np.zeros(-(-HEIGHT // BAND_ROWS) + 1, np.int64)
        self._listed = np.zeros(200 * MANY, np.int64)
        low = np.minimum(windows[1], windows[other_end]) - windows[reach] - 3
        high = np.maximum(windows[1], windows[other_end]) + windows[reach] + 3
        spans = np.empty((2, low.size), np.int32)
        kernels.raster.list_bands(low, high, HEIGHT, BAND_ROWS, self._starts, self._listed, spans)

    def seconds(self) -> float:
        """CPU seconds to draw everything once."""
        began = time.thread_time()
        for band, (first, last) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            if first < last:
                top = band * BAND_ROWS
                light = self._luminance, self._colour, top, min(HEIGHT, top + BAND_ROWS), WIDTH
                if self._soft is not None:
                    self._soft.draw_lines(light, self._listed[first:last], self._windows, self._touched)
                    self._soft.add(light)
                    continue
                self._draw(*light, self._listed[first:last], self._windows, self._scratch, self._touched)
        return time.thread_time() - began


def lines(length: float, reach: float) -> tuple[F32, float]:
    """Lines of one length in all directions, as windows, and the pixels that one of them lights."""
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, 2 * np.pi, MANY)
    windows: F32 = np.zeros((10, MANY), np.float32)
    windows[0], windows[1] = rng.uniform(300, WIDTH - 300, MANY), rng.uniform(300, HEIGHT - 300, MANY)
    windows[2], windows[3] = windows[0] + length * np.cos(angle), windows[1] + length * np.sin(angle)
    windows[4:6], windows[6:9], windows[9] = reach, 1e-3, 0.5
    return windows, 2 * reach * length + np.pi * reach * reach


def sprites(area: float) -> F32:
    """Round sprites of an area in pixels, as windows."""
    rng = np.random.default_rng(1)
    windows: F32 = np.zeros((8, MANY), np.float32)
    windows[0], windows[1] = rng.uniform(300, WIDTH - 300, MANY), rng.uniform(300, HEIGHT - 300, MANY)
    windows[2], windows[3:6] = np.sqrt(area / np.pi), 1e-3
    return windows


def measure(sizes: Sequence[tuple[float, float]], rounds: int) -> bool:
    """Print the ratio for each length and reach; whether all are within the goal."""
    fine = True
    for length, reach in sizes:
        windows, area = lines(length, reach)
        line = Bands(windows, 3, 4, kernels.lines.draw_lines)
        sprite = Bands(sprites(area), 1, 2, kernels.raster.draw_band)
        turns = [(line.seconds(), sprite.seconds()) for _ in range(rounds)]
        ours, theirs = (min(turn[side] for turn in turns) / MANY * 1e9 / area for side in (0, 1))
        fine = fine and ours / theirs <= GOAL
        print(
            f"{length:g} × {2 * reach:g} px: {ours:.2f} ns a pixel, round sprite {theirs:.2f}, "
            f"ratio {ours / theirs:.1f} (goal: at most {GOAL}, {'reached' if ours / theirs <= GOAL else 'MISSED'})"
        )
    return fine


def measure_finish(rounds: int) -> None:
    """Print the time of painting with finishes, and its ratio to painting without one."""
    config = {"width": WIDTH, "height": HEIGHT, "duration": 2.0, **MANY_PARTICLES}
    kind, settings = Scene("snow", config=config).resolve()
    plan = make_plan(kind, settings, None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(30)
        frames = [simulation.frame() for _ in range(10)]
    rasteriser, planes = Rasteriser(WIDTH, HEIGHT), Planes.empty(WIDTH, HEIGHT)
    finishes = {"none": None, "neutral": Finish(), "bloom": Finish(bloom=2.0), "all": Finish(**FINISH)}

    def paint(finish: Finish | None) -> float:
        began = time.thread_time()
        for sprites in frames:
            rasteriser.paint(sprites, planes, finish=finish)
        return 1e3 * (time.thread_time() - began) / len(frames)

    turns = [{name: paint(finish) for name, finish in finishes.items()} for _ in range(rounds)]
    least = {name: min(turn[name] for turn in turns) for name in finishes}
    print(", ".join(f"{name}: {ms:.1f} ms, {ms / least['none']:.2f}" for name, ms in least.items()))


def renders() -> dict[str, tuple[str, dict[str, Any], float]]:
    """All renders: the types at their defaults beside the named ones of types that there are."""
    types = particle_types().types
    named = {name: render for name, render in RENDERS.items() if render[0] in types}
    return {**{name: (name, {}, AT_DEFAULTS) for name in types}, **named}


def measure_render(name: str, *, seconds: float, rounds: int, folder: Path) -> bool:
    """Print a render's ratio to plain encoding of its frames; whether it is within its goal."""
    kind, config, goal = renders()[name]
    size = {"width": WIDTH, "height": HEIGHT, "duration": seconds}
    bench = Bench.of(Scene(kind, audio=folder / "song.wav", config={**size, **config}))
    turns = [(bench.render(folder), bench.encode_plainly(folder)) for _ in range(rounds)]
    plain = statistics.median(floor for _, floor in turns)
    ratio = statistics.median(render["render"] for render, _ in turns) / plain
    spent, frames = turns[-1][0]["seconds"], len(bench.frames)
    stages = ", ".join(f"{stage} {1e3 * spent[stage] / frames:.1f}" for stage in ("simulate", "rasterise", "encode"))
    print(
        f"{name}: {ratio:.2f} of plain encoding, {1e3 * plain / frames:.1f} ms a frame; in a process, ms: {stages} "
        f"(goal: at most {goal}, {'reached' if ratio <= goal else 'MISSED'})",
        flush=True,
    )
    return ratio <= goal


def pictures(half: float, *, cover: float) -> tuple[Bands, Bands, float]:
    """Petals of half a side in pixels, glows of equal area, and that area in pixels."""
    rng = np.random.default_rng(2)
    number = texture_number("petal")
    angle, squeeze = rng.uniform(0, 2 * np.pi, MANY), rng.uniform(0.2, 1.0, MANY)
    area = float(4 * half * half * squeeze.mean())
    texels, (_, wide, tall, detail) = atlas()
    ones = np.ones(MANY)
    turns = np.stack(
        [
            number * ones,
            np.cos(angle),
            np.sin(angle),
            squeeze,
            wide[number] * ones,
            tall[number] * ones,
            detail[number] * ones,
        ]
    ).astype(np.float32)
    windows, round_ones = sprites(area), sprites(area)
    windows[2], windows[7], round_ones[7] = half, cover, cover
    toe, more = float(kernels.cover.TOE), kernels.textures.scratch(WIDTH, BAND_ROWS)

    def draw(*arguments: Any) -> None:
        *before, scratch, touched = arguments
        kernels.textures.draw_textures(*before, turns, texels, SIDE, scratch, touched, toe, *more)

    def glow(*arguments: Any) -> None:
        if cover:
            kernels.cover.cover_band(*arguments, toe)
        else:
            kernels.raster.draw_band(*arguments)

    return Bands(windows, 1, 2, draw), Bands(round_ones, 1, 2, glow), area


def measure_pictures(halves: Sequence[float], rounds: int) -> bool:
    """Print the ratio for each size, as light and covering; whether all are within the goal."""
    fine = True
    for half in halves:
        for what, cover in (("light", 0.0), ("cover", 0.9)):
            ours, theirs, area = pictures(half, cover=cover)
            turns = [(ours.seconds(), theirs.seconds()) for _ in range(rounds)]
            petal, glow = (min(turn[side] for turn in turns) / MANY * 1e9 / area for side in (0, 1))
            goal, ratio = PICTURE_GOALS[what], petal / glow
            fine = fine and ratio <= goal
            print(
                f"picture, {2 * half:g} px, {what}: {petal:.2f} ns a pixel, glow {glow:.2f}, ratio {ratio:.1f} "
                f"(goal: at most {goal:g}, {'reached' if ratio <= goal else 'MISSED'})"
            )
    return fine


def _size(text: str) -> tuple[float, float]:
    length, reach = text.split("x")
    return float(length), float(reach)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--textures", nargs="*", type=float, metavar="HALF-SIDE", default=[6, 20, 60])
    parser.add_argument("--lines", nargs="*", type=_size, metavar="LENGTHxREACH", default=[(20, 3), (60, 3), (60, 6)])
    parser.add_argument(
        "--renders", nargs="*", choices=renders(), metavar="NAME", help=f"default: {', '.join(renders())}"
    )
    parser.add_argument("--finish", action="store_true", help="only this")
    parser.add_argument("--rounds", type=int, help="default: 30 of lines and pictures, 3 of renders")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each render (default: 30)")
    arguments: Any = parser.parse_args()
    if arguments.finish:
        measure_finish(arguments.rounds or 10)
        return
    if arguments.renders is None:
        rounds = arguments.rounds or 30
        fine = [measure(arguments.lines, rounds), measure_pictures(arguments.textures, rounds)]
        raise SystemExit(0 if all(fine) else 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_wav(folder / "song.wav", 30.0)
        fine = [
            measure_render(each, seconds=arguments.seconds, rounds=arguments.rounds or 3, folder=folder)
            for each in arguments.renders or renders()
        ]
    raise SystemExit(0 if all(fine) else 1)


if __name__ == "__main__":
    main()
