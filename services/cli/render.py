"""``motes render``: render a song as a video."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecs_core.output_names import MAIN
from services.cli.scene_arguments import add_scene_arguments, scene_from

if TYPE_CHECKING:
    from ecs_core.scene.render_result import RenderResult
    from ecs_core.scene.scene import Scene

HELP = "Render a video of a song (or of silence)."
EXAMPLES = """\
examples:
  motes render song.mp3 --type enhanced -o video.mp4
  motes render song.ogg --type enhanced --preset aurora -o aurora.mp4
  motes render song.flac --type snow --set particle_count=800 --duration 30 -o video.mp4
  motes render song.ogg --type snow --size 1080x1920 --fps 30000/1001 --quality high -o story.mp4
  motes render song.ogg --start drop --duration 15 -o teaser.mp4
  motes render song.ogg --analysis corrected.json -o video.mp4
  motes render song.ogg -o video.mp4 --poster poster.png --set poster=42.5
  motes render --type snow --duration 8 --seed 7 -o silent.mp4
  motes render song.ogg --type zen -o overlay.mov
  motes render song.ogg --start drop --duration 6 --size 480x480 --fps 15 -o loop.gif
  motes render song.ogg --quality max_bytes=8M -o message.mp4
  motes render song.ogg --variant 1080x1920 --variant 1080x1080:webm -o video.mp4
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add_scene_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.mp4",
        type=Path,
        required=True,
        help="the video to write; also .mov, .webm and .zip (PNG frames), transparent unless they have a background, "
        "and short .webp and .gif",
    )
    parser.add_argument(
        "--variant",
        metavar="WxH[:FORMAT]",
        action="append",
        default=[],
        help="another size of the same video, in a file beside it, such as video-1080x1920.mp4; may be repeated",
    )
    parser.add_argument("--workers", type=int, help="processes that render side by side (default: one per core)")
    parser.add_argument(
        "--quality",
        metavar="draft|standard|high|RATE|max_bytes=SIZE",
        default="standard",
        help="draft: for a look at the motion, drawn at half size from 720p on; or bits per second of the picture, "
        "such as 8M; or the largest size of the file (default: %(default)s)",
    )
    parser.add_argument("--segment-seconds", metavar="S", type=float, default=2.0, help="default: %(default)s")
    parser.add_argument(
        "--frame-hashes", metavar="FILE", type=Path, help="write the SHA-256 of every raw frame as JSON"
    )
    parser.add_argument(
        "--poster",
        metavar="FILE.png",
        type=Path,
        help="write the video's poster: the strongest drop or moment, or what --set poster=SECONDS says",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def run(arguments: argparse.Namespace) -> None:
    """Render the video."""
    from ecs_core.rendering.output_format import with_format_of
    from ecs_core.rendering.run import render
    from services.cli.output_files import check_outputs, write_text
    from services.cli.progress_bar import progress_bar  # imports slow

    scene = with_format_of(_with_variants(scene_from(arguments), arguments.variant), arguments.output)
    # Fail now rather than when the video is finished.
    check_outputs(arguments.output, arguments.frame_hashes, arguments.poster, song=scene.audio, form="MP4")
    if arguments.poster is not None:
        check_outputs(arguments.poster, form="PNG")
    with progress_bar() as show:
        result = render(
            scene,
            arguments.output,
            workers=arguments.workers,
            quality=arguments.quality,
            segment_seconds=arguments.segment_seconds,
            progress=show,
            frame_hashes=arguments.frame_hashes is not None,
            poster=arguments.poster,
        )
    outputs = {MAIN: result, **result.outputs}
    for name, each in outputs.items():
        for warning in each.warnings:
            print(
                f"motes: warning: {warning}" if name == MAIN else f"motes: warning: {name}: {warning}", file=sys.stderr
            )
    if arguments.frame_hashes is not None:
        hashes: dict[str, Any] = {"frames": result.frame_hashes}
        if result.outputs:
            hashes["outputs"] = {name: each.frame_hashes for name, each in result.outputs.items()}
        write_text(arguments.frame_hashes, json.dumps(hashes))
    if arguments.json:
        print(json.dumps(_facts(result)))
    else:
        for each in outputs.values():
            print(_line(each))


def _with_variants(scene: Scene, given: Sequence[str]) -> Scene:
    """The scene with the variants of the command line after those of its config."""
    from ecs_core.scene.scene import Scene

    more = [dict(zip(("size", "format"), each.split(":", 1), strict=False)) for each in given]
    before = scene.config.get("variants", [])
    if not more or not isinstance(before, list):
        return scene
    return Scene(scene.type, scene.audio, {**scene.config, "variants": [*before, *more]}, scene.analysis)


def _facts(result: RenderResult) -> dict[str, Any]:
    """A result as plain data, without the hashes of its frames."""
    facts = asdict(result) | {"output": str(result.output)}
    facts["outputs"] = {name: _facts(each) for name, each in result.outputs.items()}
    del facts["frame_hashes"]
    return facts


def _line(result: RenderResult) -> str:
    compiling = result.seconds["compile"]
    rendering = result.seconds["total"] - compiling
    return (
        f"{result.output}: {result.frames} frames, {result.duration:.2f} s, {result.width}x{result.height}, "
        f"{result.picture}, "
        + (f"from {result.start:.15g} s of the song, " if result.start else "")
        + f"rendered in {rendering:.1f} s ({result.frames / rendering:.0f} frames/s)"
        + (f", after compiling for {compiling:.1f} s" if compiling else "")
        + (", with the song's own AAC" if result.sound == "copied" else "")
    )
