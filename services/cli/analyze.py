"""``motes analyze``: analyse a song, as a document and as a picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from ecs_core.audio.analysis import Analysis
    from ecs_core.scene.settings import Settings

HELP = "Write what Motes hears in a song: beats, drums, bars, sections, loudness and all features."
EXAMPLES = """\
examples:
  motes analyze song.mp3 -o features.json --plot analysis.png
  motes analyze song.mp3 --bpm 174 --beat-offset 0.31 -o features.json
  motes analyze song.mp3 --fps 60 | jq .features.bass
  motes analyze song.mp3 -o features.npz
  motes analyze song.mp3 --analysis corrected.json --plot corrected.png -o whole.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("song", metavar="SONG", type=Path, help="any audio or video file")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="a .json, or a compact .npz (default: JSON on stdout)"
    )
    parser.add_argument("--plot", metavar="FILE.png", type=Path, help="draw it (needs motes[plot])")
    parser.add_argument(
        "--fps", default="30", help="of the video whose features are written, a value a frame (default: 30)"
    )
    parser.add_argument(
        "--analysis", metavar="FILE.json", type=Path, help="what was heard before, corrected: see docs/listening.md"
    )
    parser.add_argument("--track", metavar="N", type=int, help="sound track of a file that has several, from 0")
    parser.add_argument("--bpm", metavar="N", type=float, help="the tempo, where it is known")
    parser.add_argument(
        "--beat-offset", metavar="SECONDS", type=float, help="when any beat is; with --bpm an even grid"
    )
    parser.add_argument("--beat-octave", choices=["half", "double"], help="count half or double the beats heard")
    parser.add_argument("--metre", metavar="N", type=int, help="beats a bar")


def run(arguments: argparse.Namespace) -> None:
    """Analyse the song, then write and draw the analysis."""
    from ecs_core.errors import OutputError
    from ecs_core.rendering.progress import Progress
    from ecs_core.signals import signals_deferred
    from services.cli.output_files import check_outputs
    from services.cli.progress_bar import progress_bar

    settings, fps = _settings(arguments), _rate(arguments.fps)
    check_outputs(arguments.output, arguments.plot, song=arguments.song)
    if arguments.plot is not None and arguments.plot.suffix.lower() != ".png":
        raise OutputError(f"--plot {arguments.plot}: must end in .png")
    with signals_deferred():
        from ecs_core.rendering.preparation import SONG_KERNELS, compile_kernels
        from ecs_core.rendering.song_analysis import analyse_song  # slow, so after the arguments are right
    with progress_bar() as show:
        compile_kernels(SONG_KERNELS, show)

        def on_progress(share: float) -> None:
            show(Progress("analysing", share))

        analysis = analyse_song(
            arguments.song, arguments.analysis, settings.guidance, track=settings.track, progress=on_progress
        )
    for warning in analysis.warnings:
        print(f"motes: warning: {warning}", file=sys.stderr)
    _write(analysis, fps, arguments.output)
    if arguments.plot is not None:
        from services.cli.plot import draw

        draw(analysis, arguments.song, arguments.plot, track=settings.track)


def _settings(arguments: argparse.Namespace) -> Settings:
    """The user's track, tempo and metre, checked like the settings of a render."""
    from ecs_core.scene.settings import Settings, validate

    names = ("track", "bpm", "beat_offset", "beat_octave", "metre")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return validate(Settings, given, owner="motes analyze")


def _rate(text: str) -> Fraction:
    from ecs_core.errors import SceneError
    from ecs_core.scene.settings import frame_rate

    try:
        return frame_rate(text)
    except ValueError as error:
        raise SceneError(f"--fps {text}: {error}") from None


def _write(analysis: Analysis, fps: Fraction, output: Path | None) -> None:
    from ecs_core.audio import document
    from ecs_core.rendering.output_file import write_atomically
    from services.cli.output_files import write_pieces

    if output is not None and output.suffix == ".npz":
        write_atomically(output, lambda part: document.save(analysis, part))
        return
    pieces = document.pieces(analysis, seen=analysis.timeline(fps, max(1, round(analysis.exact_duration * fps))))
    if output is None:
        sys.stdout.writelines(pieces)
        print()
    else:
        write_pieces(output, pieces)
