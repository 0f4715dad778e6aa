"""``motes frame``: one frame as a PNG."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from services.cli.scene_arguments import add_scene_arguments, scene_from

HELP = "Draw one frame of the video as a PNG, without rendering what comes before it."
EXAMPLES = """\
examples:
  motes frame song.mp3 --type snow --at 12.5 -o frame.png
  motes frame --type enhanced --set particle_count=2000 --at 3 --size 1280x720 -o look.png
  motes frame song.mp3 --template cover-ring --platform tiktok --at 12.5 -o frame.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add_scene_arguments(parser)
    parser.add_argument(
        "--at", metavar="SECONDS", type=float, default=0.0, help="which second of the video (default: 0)"
    )
    parser.add_argument("-o", "--output", metavar="OUT.png", type=Path, required=True, help="the picture to write")
    parser.add_argument("--json", action="store_true", help="print the result, with the raw frame's SHA-256, as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Render the frame."""
    from ecs_core.loading import loading

    with loading():
        from ecs_core.rendering.still import render_frame  # only after the arguments are checked
    from services.cli.output_files import check_outputs
    from services.cli.progress_bar import compiling_announced

    with tempfile.TemporaryDirectory(prefix="motes-") as folder:
        scene = scene_from(arguments, Path(folder))
        check_outputs(arguments.output, song=scene.audio, form="PNG")
        digest = render_frame(scene, arguments.at, arguments.output, progress=compiling_announced())
    if arguments.json:
        print(json.dumps({"output": str(arguments.output), "at": arguments.at, "sha256": digest}))
    else:
        print(arguments.output)
