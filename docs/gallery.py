"""Render the pictures of the docs as WebP.

A contact sheet of all types and presets, one of all palettes, one of what colours can show, a picture for each type's
README, the stills of the docs, all templates in three shapes, and the moving pictures of the README and of the first
tutorial.

python docs/gallery.py                  # make gallery
python docs/gallery.py --type snow      # one type's row and picture
python docs/gallery.py --only motion    # the moving picture alone
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ecs_core import Scene, render
from ecs_core.audio.analysis import Analysis
from ecs_core.audio.features import analyze
from ecs_core.plugin_api import ParticleType, particle_types, resolve
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.scene.cover_palette import colours_of
from ecs_core.scene.palettes import PALETTES
from ecs_core.templates.filling import fill_template
from ecs_core.templates.template import find_template, template_names
from ecs_core.video.png import rgb_of
from services.cli import demo_art
from services.cli.demo_song import write_wav

U8 = NDArray[np.uint8]
ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs/pictures"
AT = 13.55  # seconds into the demo song, just after a kick
LARGEST = 390_000  # bytes of a picture: docs load quickly, and the repository stays small
OF_TEMPLATES, LARGEST_OF_TEMPLATES = ROOT / "ecs_core/templates/pictures", 190_000  # part of the package
QUALITIES = (92, 88, 84, 78, 70, 60, 50, 40, 30, 20)  # the first one that fits into LARGEST is used
FOUR = ("constellation", "tunnel", "orbits", "portrait")  # types that the README begins with
PARTS = ("sheet", "types", "stills", "colours", "palettes", "motion", "templates", "each-template")
VIDEOS = ("cover-ring", "vinyl", "lyric-video", "spectrum-bars")  # templates that the README begins with
SHAPES = ((320, 180), (102, 180), (180, 180))
TEMPLATES_AT = 10.6  # seconds into the demo song, in the middle of a line of the lyrics
# Pictures of what settings do, in docs/particle-types.md.
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "layers": (
        "snow",
        {"layers": [{"type": "zen"}, {"type": "enhanced", "opacity": 0.8, "config": {"particle_count": 300}}]},
    ),
    "pictures": ("snow", {"texture": "flake", "texture_scale": 8.0, "blend": "over", "particle_count": 110}),
    "trails": ("no_music", {"trail": 0.8, "particle_count": 900}),
    "finish": (
        "zen",
        {
            "finish": {
                "bloom": 3.0,
                "contrast": 1.3,
                "shadows": [110, 140, 190],
                "lights": [255, 225, 190],
                "vignette": 0.5,
                "grain": 0.15,
            }
        },
    ),
    "space": ("tunnel", {"trail": 0.3, "shutter": 0}),
    "paint": (
        "bouncing",
        {
            "blend": "over",
            "background": [247, 240, 228],
            "particle_colors": [[222, 60, 54], [246, 158, 40], [36, 128, 172], [110, 60, 190], [70, 180, 150]],
            "particle_count": 260,
            "layers": [
                {
                    "type": "zen",
                    "behind": True,
                    "config": {"blend": "over", "particle_colors": [[246, 148, 42], [60, 170, 170], [230, 90, 110]]},
                }
            ],
        },
    ),
}
# Presets that show what colours can show: birth, speed, height, band.
COLOURED = (("continuous_spawning", "nova"), ("portrait", "fever"), ("no_music", "strata"), ("zen", "lanterns"))
EMBERS = ROOT / "examples/motes-embers"


def picture(kind: ParticleType, config: dict[str, Any], analysis: Analysis, *, height: int, at: float = AT) -> U8:
    """One frame, (height, width, 3) uint8 RGB."""
    size = {"width": height * 16 // 9, "height": height, "duration": "audio"}
    settings = kind.settings(**{**config, **size})
    renderer = SegmentRenderer(make_plan(kind, settings, analysis))
    with renderer.simulation as simulation:
        simulation.skip_to(int(Fraction(str(at)) * settings.rate))
        frame = renderer.picture(simulation.snapshot()).frame
    return rgb_of(frame).to_ndarray().astype(np.uint8, copy=False)


def row(kind: ParticleType, analysis: Analysis) -> U8:
    """The type at its defaults, and its presets in order of their names."""
    configs = [{}, *(dict(kind.preset(name)) for name in kind.preset_names())]
    return np.concatenate([picture(kind, config, analysis, height=180) for config in configs], axis=1)


def save(images: list[U8], path: Path, *, milliseconds: int = 0, largest: int = LARGEST) -> None:
    """Write a WebP, animated if there are several images, in the best quality that fits into ``largest`` bytes."""
    first, *others = [Image.fromarray(np.ascontiguousarray(image)) for image in images]
    for quality in QUALITIES if largest == LARGEST else QUALITIES[4::2]:
        buffer = io.BytesIO()
        moving = {"save_all": True, "append_images": others, "duration": milliseconds, "loop": 0} if others else {}
        first.save(buffer, "WEBP", quality=quality, method=6, **moving)
        if len(buffer.getvalue()) <= largest:
            path.write_bytes(buffer.getvalue())
            print(
                f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}"
                f" ({len(buffer.getvalue()) // 1024} KiB, quality {quality})",
                flush=True,
            )
            return
    raise SystemExit(f"{path}: larger than {largest} bytes at the lowest quality")


def moving(kind: ParticleType, analysis: Analysis, *, frames: int) -> list[U8]:
    """So many pictures of a type, (180, 320, 3) uint8 RGB, twelve a second."""
    settings = kind.settings(width=320, height=180, fps=12, duration="audio")
    renderer = SegmentRenderer(make_plan(kind, settings, analysis))
    found = []
    with renderer.simulation as simulation:
        simulation.skip_to(int(AT * 12))
        for _ in range(frames):
            frame = renderer.picture(simulation.snapshot()).frame
            found.append(rgb_of(frame).to_ndarray().astype(np.uint8))
    return found


def composed(name: str, art: Path, analysis: Analysis, *, size: tuple[int, int], fps: int = 30) -> SegmentRenderer:
    """What renders a template with the art of ``services/cli/demo_art.py``, in a picture of this size."""
    template, given = find_template(name), demo_art.write(art)
    slots = {slot: value for slot, value in given.items() if slot in template.slots}
    colours = colours_of(demo_art.cover()) if "cover" in slots else None
    kind, config = fill_template(template, slots, cover_colours=colours)
    scale = 2 if fps == 30 else 1  # stills are drawn larger, so that small letters are clear
    width, height = (side * scale // 2 * 2 for side in size)
    scene = Scene(kind, art / "song.wav", {**config, "width": width, "height": height, "fps": fps, "duration": "audio"})
    return SegmentRenderer(make_plan(*resolve(scene), analysis))


def templates(art: Path, analysis: Analysis) -> U8:
    """All templates, two in a row, each in three shapes."""
    cells = []
    for name in template_names():
        parts = []
        for size in SHAPES:
            renderer = composed(name, art, analysis, size=size)
            with renderer.simulation as simulation:
                simulation.skip_to(int(TEMPLATES_AT * 30))
                frame = rgb_of(renderer.picture(simulation.snapshot()).frame).to_ndarray()
            small = Image.fromarray(np.ascontiguousarray(frame)).resize(size, Image.Resampling.LANCZOS)
            parts.append(np.pad(np.asarray(small), ((0, 8), (0, 8), (0, 0))))
        cells.append(np.concatenate(parts, axis=1))
    cells += [np.zeros_like(cells[0])] * (len(cells) % 2)
    rows = [np.concatenate(cells[at : at + 2], axis=1) for at in range(0, len(cells), 2)]
    return np.concatenate(rows)[:-8, :-8]


def in_motion(name: str, art: Path, analysis: Analysis, *, size: tuple[int, int], frames: int) -> list[U8]:
    """So many pictures of a template, twelve a second."""
    renderer = composed(name, art, analysis, size=size, fps=12)
    with renderer.simulation as simulation:
        simulation.skip_to(int(TEMPLATES_AT * 12))
        pictures = [rgb_of(renderer.picture(simulation.snapshot()).frame).to_ndarray() for _ in range(frames)]
    return [each.astype(np.uint8) for each in pictures]


def videos(art: Path, analysis: Analysis, *, frames: int) -> list[U8]:
    """So many pictures of four templates in one, twelve a second."""
    found = [in_motion(name, art, analysis, size=(400, 224), frames=frames) for name in VIDEOS]
    return [_tiled(at) for at in zip(*found, strict=True)]


def motion(song: Path, out: Path) -> None:
    """The first tutorial's video, rendered, decoded again and shown at half its frame rate."""
    config = {"width": 480, "height": 270, "duration": 14.4, "particle_count": 400}
    with tempfile.TemporaryDirectory() as folder:
        render(Scene("enhanced", audio=song, config=config), Path(folder) / "video.mp4")
        with av.open(Path(folder) / "video.mp4") as video:
            frames = [frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False) for frame in video.decode(video=0)]
    save(frames[312::2], out, milliseconds=67)


def main() -> None:
    """Render what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--type", help="only this type's row and picture, into --out")
    parser.add_argument("--out", type=Path, help="folder for pictures to look at, instead of the docs")
    parser.add_argument("--only", choices=PARTS, action="append", help="only these pictures of the docs")
    arguments = parser.parse_args()
    parts = arguments.only or PARTS
    types = particle_types().types
    chosen = [kind for name, kind in types.items() if arguments.type in (None, name)]
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.wav"
        write_wav(song, 20.0)
        analysis = analyze(song)
        if "templates" in parts and arguments.type is None:
            out = arguments.out or PICTURES
            save([templates(song.parent, analysis)], out / "templates.webp")
            save(videos(song.parent, analysis, frames=26), out / "music-videos.webp", milliseconds=83)
        if "each-template" in parts and arguments.type is None:  # which a service shows
            for name in template_names():
                shown = in_motion(name, song.parent, analysis, size=(256, 144), frames=20)
                out = arguments.out or OF_TEMPLATES
                save(shown, out / f"{name}.webp", milliseconds=83, largest=LARGEST_OF_TEMPLATES)
        if "motion" in parts and arguments.type is None:
            motion(song, (arguments.out or PICTURES) / "first-video.webp")
            four = [moving(types[name], analysis, frames=22) for name in FOUR]
            tiled = [_tiled(at) for at in zip(*four, strict=True)]
            save(tiled, (arguments.out or PICTURES) / "motes.webp", milliseconds=83)
    if "sheet" in parts:
        rows = [row(kind, analysis) for kind in chosen]
        widest = max(each.shape[1] for each in rows)
        sheet = np.concatenate([np.pad(each, ((0, 0), (0, widest - each.shape[1]), (0, 0))) for each in rows])
        save([sheet], (arguments.out or PICTURES) / "gallery.webp")
    if arguments.out is not None:
        return
    if "stills" in parts and arguments.type is None:
        for name in ("enhanced", "snow"):
            save([picture(types[name], {"particle_count": 900}, analysis, height=720)], PICTURES / f"{name}.webp")
        for name, (of, config) in SETTINGS.items():
            save([picture(types[of], config, analysis, height=540)], PICTURES / f"{name}.webp")
    if "colours" in parts and arguments.type is None:
        shown = [picture(types[of], dict(types[of].preset(name)), analysis, height=270) for of, name in COLOURED]
        save([_tiled(shown)], PICTURES / "colours.webp")
    if "palettes" in parts and arguments.type is None:
        looks = [
            picture(types["enhanced"], {"particle_colors": name, "particle_count": 420}, analysis, height=180)
            for name in PALETTES
        ]
        looks += [np.zeros_like(looks[0])] * (-len(looks) % 5)
        save([np.concatenate([np.concatenate(looks[at::5]) for at in range(5)], axis=1)], PICTURES / "palettes.webp")
    if "types" in parts:
        for kind in chosen:
            save([picture(kind, {}, analysis, height=540)], _folder(kind) / "picture.webp")


def _tiled(four: Sequence[U8]) -> U8:
    """Four pictures in one, row by row."""
    return np.concatenate([np.concatenate(four[:2], axis=1), np.concatenate(four[2:], axis=1)])


def _folder(kind: ParticleType) -> Path:
    """Where the type lives: beside its presets."""
    assert kind.presets is not None
    return kind.presets.parent


if __name__ == "__main__":
    main()
