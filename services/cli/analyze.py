"""``motes analyze``: what Motes hears in a song, as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from fractions import Fraction
from pathlib import Path

from ecs_core.interrupts import undisturbed

HELP = "Write what Motes hears in a song: features per video frame, onsets, beats, tempo."
EXAMPLES = """\
examples:
  motes analyze song.mp3 -o features.json
  motes analyze song.mp3 --fps 60 | jq .tempo
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("song", metavar="SONG", type=Path, help="any audio or video file")
    parser.add_argument("--fps", default="30", help="rows a second (default: 30)")
    parser.add_argument("-o", "--output", metavar="FILE.json", type=Path, help="default: stdout")


def run(arguments: argparse.Namespace) -> None:
    """Analyse the song and write the timeline."""
    from ecs_core.errors import SceneError  # noqa: PLC0415
    from ecs_core.settings import frame_rate  # noqa: PLC0415

    try:
        fps: Fraction = frame_rate(arguments.fps)
    except ValueError as error:
        raise SceneError(f"--fps {arguments.fps}: {error}") from None
    with undisturbed():
        from ecs_core.audio.features import analyze  # noqa: PLC0415 - slow, so after the arguments are right
    from ecs_core.plugin_api import particle_types  # noqa: PLC0415
    from ecs_core.rendering.run import check_output  # noqa: PLC0415
    from services.cli.files import write_text  # noqa: PLC0415
    from services.cli.progress_bar import progress_bar  # noqa: PLC0415

    if arguments.output is not None:
        check_output(arguments.output, arguments.song)
    with progress_bar() as show:
        from ecs_core.rendering.progress import Progress  # noqa: PLC0415

        def on_progress(share: float) -> None:
            show(Progress("analysing", share))

        more = tuple(particle_types().features.values())
        analysis = analyze(arguments.song, more=more, progress=on_progress)
    for warning in analysis.warnings:
        print(f"motes: warning: {warning}", file=sys.stderr)
    frames = max(1, round(analysis.exact_duration * fps))
    text = json.dumps(analysis.timeline(fps, frames).to_json())
    if arguments.output is None:
        print(text)
    else:
        write_text(arguments.output, text)
