"""Render the pictures of the docs: a contact sheet of all types and presets, and one picture for each type's README.

python docs/gallery.py                  # make gallery
python docs/gallery.py --type snow      # one type's row and picture
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ecs_core import Scene
from ecs_core.audio.analysis import Analysis
from ecs_core.audio.features import analyze
from ecs_core.plugin_api import ParticleType, particle_types
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.video.png import rgb_of, write_png
from services.cli.demo_song import write_wav

U8 = NDArray[np.uint8]
ROOT = Path(__file__).parent.parent
AT = 13.55  # seconds into the demo song, just after a kick


def picture(kind: str, config: dict[str, Any], analysis: Analysis, *, height: int, at: float = AT) -> U8:
    """One frame, (height, width, 3) uint8 RGB."""
    size = {"width": height * 16 // 9, "height": height, "duration": "audio"}
    particle_type, settings = Scene(kind, audio="song", config={**config, **size}).resolve()
    renderer = SegmentRenderer(make_plan(particle_type, settings, analysis))
    with renderer.stage as stage:
        stage.skip_to(int(Fraction(str(at)) * settings.rate))
        frame = renderer.picture(stage.snapshot()).frame
    rgb: U8 = rgb_of(frame).to_ndarray()
    return rgb


def row(particle_type: ParticleType, analysis: Analysis) -> U8:
    """The type at its defaults, and its presets in order of their names."""
    configs = [{}, *(dict(particle_type.preset(name)) for name in particle_type.preset_names())]
    return np.concatenate([picture(particle_type.name, config, analysis, height=270) for config in configs], axis=1)


def save(rgb: U8, path: Path) -> None:
    """Write a PNG."""
    write_png(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"), path)
    print(f"{path} ({path.stat().st_size // 1024} KiB)", flush=True)


def main() -> None:
    """Render what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--type", help="only this type's row and picture, into --out")
    parser.add_argument("--out", type=Path, help="folder for pictures to look at, instead of the docs")
    arguments = parser.parse_args()
    types = particle_types().types
    chosen = [kind for name, kind in types.items() if arguments.type in (None, name)]
    with tempfile.TemporaryDirectory() as folder:
        write_wav(Path(folder) / "song.wav", 20.0)
        analysis = analyze(Path(folder) / "song.wav")
    rows = [row(kind, analysis) for kind in chosen]
    widest = max(each.shape[1] for each in rows)
    sheet = np.concatenate([np.pad(each, ((0, 0), (0, widest - each.shape[1]), (0, 0))) for each in rows])
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        save(sheet, arguments.out / "gallery.png")
        return
    save(sheet, ROOT / "docs/pictures/gallery.png")
    for kind in chosen:
        save(picture(kind.name, {}, analysis, height=540), _folder(kind) / "picture.png")


def _folder(particle_type: ParticleType) -> Path:
    """Where the type lives: beside its presets."""
    assert particle_type.presets is not None
    return particle_type.presets.parent


if __name__ == "__main__":
    main()
