"""Whole music videos, of plain encoding of their own frames: templates, several outputs, and memory with ten layers.

    python bench/compose.py                          # everything: 30 s of song at 1080p, about twenty minutes
    python bench/compose.py --only templates --seconds 15 --rounds 1
    python bench/compose.py --only memory

Templates: the render of ``cover-ring`` with 600 particles and of ``lyric-video``, with a song, a cover and lyrics, and
plain encoding of the same frames and the song with a thread per core (``encoder_floor.py``). Both alternate, and the
ratio is that of their medians.

Outputs: one render in three shapes, and plain encoding of the three; analyses of the song are counted.

Memory: the peak of all resident memory of every process (``memory.py``) with a 4K picture, a video backdrop and ten
layers. Videos with alpha have a bench of their own (``formats.py``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from encoder_floor import Bench
from memory import peaks_of
from PIL import Image

from ecs_core.scene.scene import Scene
from ecs_core.templates.filling import fill_template
from ecs_core.templates.template import find_template
from services.cli.demo_song import write_wav

# Names, settings over the template's own, and the largest ratio that is the goal.
TEMPLATES: dict[str, tuple[dict[str, Any], float]] = {
    "cover-ring": ({"particle_count": 600}, 1.25),
    "lyric-video": ({}, 1.15),
}
SHAPES = ("1080x1920", "1080x1080")
OUTPUTS_GOAL, MEMORY_GOAL_MB = 1.2, 700
LYRICS = ("Low sun over the water", "gold along the line", "every wave a mirror", "every mirror mine")
SIZE = {"width": 1920, "height": 1080, "fps": 30}


def make_song(folder: Path, seconds: float) -> None:
    """Write what the templates show: a song, a cover, and lyrics."""
    write_wav(folder / "song.wav", seconds)
    write_picture(folder / "cover.png", 1400)
    lines = [f"[00:{second:02d}.00]{LYRICS[number % 4]}" for number, second in enumerate(range(1, int(seconds), 3))]
    (folder / "lyrics.lrc").write_text("\n".join(lines), encoding="utf-8")


def write_picture(path: Path, side: int) -> None:
    """A picture with soft and with sharp parts, ``side`` pixels wide and high."""
    y, x = np.mgrid[0:side, 0:side] / side
    red, green, blue = 90 + 150 * y, 60 + 120 * np.sin(7 * x) ** 2 * y, 150 * (np.hypot(x - 0.5, y - 0.4) < 0.25)
    pixels = np.stack([red, green, np.maximum(blue, 80 * x)], axis=2)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def scene_of(name: str, folder: Path, seconds: float, **config: Any) -> Scene:
    """A template with all that it has slots for."""
    template = find_template(name)
    given = {"title": "Low Sun", "artist": "The Motes Quartet", "cover": str(folder / "cover.png")}
    given |= {"lyrics": str(folder / "lyrics.lrc")}
    kind, filled = fill_template(template, {slot: value for slot, value in given.items() if slot in template.slots})
    return Scene(kind, folder / "song.wav", {**filled, **SIZE, "duration": seconds, **config})


def measure_templates(folder: Path, seconds: float, rounds: int) -> bool:
    """Print each template's ratio; whether all are within their goals."""
    fine = True
    for name, (config, goal) in TEMPLATES.items():
        bench = Bench.of(scene_of(name, folder, seconds, **config))
        turns = [(bench.render(folder), bench.encode_plainly(folder)) for _ in range(rounds)]
        plain = statistics.median(floor for _, floor in turns)
        ratio = statistics.median(render["render"] for render, _ in turns) / plain
        spent, frames = turns[-1][0]["seconds"], len(bench.frames)
        stages = ", ".join(
            f"{stage} {1e3 * spent[stage] / frames:.1f}" for stage in ("simulate", "rasterise", "encode")
        )
        print(f"{name}: {_said(ratio, goal)}; plain encoding {1e3 * plain / frames:.1f} ms a frame; ms: {stages}")
        fine = fine and ratio <= goal
    return fine


def measure_outputs(folder: Path, seconds: float, rounds: int) -> bool:
    """Print the ratio of one render in three shapes to plain encoding of the three; whether it is within its goal."""
    scene = scene_of("cover-ring", folder, seconds)
    shapes = [{}, *({"width": int(shape.split("x")[0]), "height": int(shape.split("x")[1])} for shape in SHAPES)]
    benches = [Bench.of(scene_of("cover-ring", folder, seconds, **shape)) for shape in shapes]
    whole = Scene(scene.type, scene.audio, {**scene.config, "variants": [{"size": shape} for shape in SHAPES]})
    turns = []
    for _ in range(rounds):
        took, analyses = render_counting(whole, folder / "out.mp4")
        turns.append((took, sum(bench.encode_plainly(folder) for bench in benches)))
    ratio = statistics.median(took for took, _ in turns) / statistics.median(plain for _, plain in turns)
    print(f"three outputs: {_said(ratio, OUTPUTS_GOAL)}; analyses of the song: {analyses} (goal: 1)")
    return ratio <= OUTPUTS_GOAL and analyses == 1


_RENDER = """
import json, sys, time
from ecs_core.audio import features
from ecs_core.rendering.run import render
from ecs_core.scene.scene import Scene
count, usual = 0, features.spectrum_of
def counting(*arguments, **named):
    global count
    count += 1
    return usual(*arguments, **named)
features.spectrum_of = counting
began = time.perf_counter()
render(Scene.from_json(sys.argv[1]), sys.argv[2])
print(json.dumps([time.perf_counter() - began, count]))
"""


def render_counting(scene: Scene, output: Path) -> tuple[float, int]:
    """Seconds of a render in a fresh process, and how often it analysed its song."""
    command = [sys.executable, "-c", _RENDER, scene.to_json(), str(output)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    took, analyses = json.loads(done.stdout)
    return took, analyses


def measure_memory(folder: Path, seconds: float) -> bool:
    """Print the peak memory of each process with a 4K picture, a video backdrop and ten layers, and of a longer one."""
    write_picture(folder / "large.png", 3840)
    motes = Path(sys.executable).parent / "motes"
    film = [
        str(motes),
        "render",
        "--type",
        "snow",
        "--size",
        "1280x720",
        "--duration",
        "6",
        "-o",
        str(folder / "film.mp4"),
    ]
    subprocess.run(film, check=True, stdout=subprocess.DEVNULL)
    image = {"kind": "image", "file": str(folder / "large.png"), "size": 1.0, "shadow": 0.5}
    layers = [
        *({**image, "name": f"image {number}", "rotation": 10 * number} for number in range(3)),
        {"kind": "text", "text": "Low Sun", "y": 0.8},
        {"kind": "lyrics", "file": str(folder / "lyrics.lrc")},
        {"kind": "spectrum", "style": "ring"},
        {"kind": "waveform"},
        {"kind": "progress"},
        {"type": "zen"},
        {"type": "tunnel"},
    ]
    backdrop = {"kind": "video", "file": str(folder / "film.mp4")}
    fine, before = True, dict[str, float]()
    for length in (seconds / 2, seconds):
        config = {**SIZE, "duration": length, "layers": layers, "backdrop": backdrop, "finish": {"bloom": 1.0}}
        (folder / "scene.json").write_text(json.dumps(config), encoding="utf-8")
        command = [str(motes), "render", str(folder / "song.wav"), "--config", str(folder / "scene.json")]
        for role, peaks in peaks_of([*command, "-o", str(folder / "out.mp4")]).items():
            megabytes = peaks.resident / 1024
            growth = megabytes / before.get(role, megabytes)
            print(f"memory, {length:g} s, {role}: {peaks}, {growth:.2f} of half the length (goal: {MEMORY_GOAL_MB} MB)")
            fine, before[role] = fine and megabytes <= MEMORY_GOAL_MB, megabytes
    return fine


def _said(ratio: float, goal: float) -> str:
    return f"{ratio:.2f} of plain encoding (goal: at most {goal}, {'reached' if ratio <= goal else 'MISSED'})"


def main() -> int:
    """Measure, print, and return whether a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("templates", "outputs", "memory"))
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments: Any = parser.parse_args()
    chosen, fine = arguments.only or ("templates", "outputs", "memory"), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_song(folder, arguments.seconds + 2)
        if "templates" in chosen:
            fine.append(measure_templates(folder, arguments.seconds, arguments.rounds))
        if "outputs" in chosen:
            fine.append(measure_outputs(folder, arguments.seconds, arguments.rounds))
        if "memory" in chosen:
            fine.append(measure_memory(folder, arguments.seconds))
    return int(not all(fine))


if __name__ == "__main__":
    sys.exit(main())
