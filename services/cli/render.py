"""``motes render``: render a song as a video."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecs_core.errors import MotesError, RenderCancelled, SceneError
from ecs_core.output_names import MAIN
from services.cli.scene_arguments import add_scene_arguments, scene_from

if TYPE_CHECKING:
    from ecs_core.scene.render_result import RenderResult
    from ecs_core.scene.scene import Scene

HELP = "Render a video of a song (or of silence), or one of each of several songs."
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
  motes render song.mp3 --template cover-ring -o video.mp4
  motes render song.mp3 --template lyric-video --lyrics song.lrc --platform tiktok -o video.mp4
  motes render one.flac two.flac --template cover-ring -o videos/
  motes render song.ogg --variant 1080x1920 --variant 1080x1080:webm -o video.mp4
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add_scene_arguments(parser, several=True)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.mp4",
        required=True,
        help="the video to write; also .mov, .webm and .zip (PNG frames), transparent unless they have a background, "
        "and short .webp and .gif; or a folder, in which videos are called as their songs",
    )
    parser.add_argument(
        "--variant",
        metavar="WxH|PLATFORM[:FORMAT]",
        action="append",
        default=[],
        help="another size of the same video, or that of a platform (tiktok, square …), in a file beside it, such as "
        "video-1080x1920.mp4; may be repeated",
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
    """Render the video, or one of each song."""
    songs: list[Path] = arguments.songs
    folder = Path(arguments.output)
    is_folder = os.path.isdir(folder) or str(arguments.output).endswith(("/", os.sep))
    if len(songs) < 2 and not (songs and is_folder):
        _render(arguments, folder)
        return
    outputs = _outputs(arguments, songs, folder)
    failed = []
    for song, output in zip(songs, outputs, strict=True):
        try:
            _render(argparse.Namespace(**vars(arguments) | {"songs": [song]}), output)
        except RenderCancelled:
            raise
        except MotesError as error:
            failed.append(song)
            said = " ".join(str(error).split())
            print(f"motes: error: {said if said.startswith(str(song)) else f'{song}: {said}'}", file=sys.stderr)
    if failed:
        names = ", ".join(map(str, failed))
        raise MotesError(f"{len(failed)} of {len(songs)} songs failed: {names}; the others are in {folder}")


def _outputs(arguments: argparse.Namespace, songs: list[Path], folder: Path) -> list[Path]:
    """The names of the videos of several songs in their folder, which is made if need be.

    Raises:
        SceneError: two would have the same name, or something is asked for that is of one video alone.
    """
    from ecs_core.formats import FACTS
    from services.cli.output_files import check_outputs

    for name in ("frame_hashes", "poster", "analysis"):
        if len(songs) > 1 and getattr(arguments, name) is not None:
            raise SceneError(
                f"--{name.replace('_', '-')} {getattr(arguments, name)}: is of one song; there are {len(songs)}"
            )
    if not folder.is_dir():
        try:
            folder.mkdir()
        except OSError as error:
            raise SceneError(f"--output {folder}: must be a folder for {len(songs)} songs: {error.strerror}") from None
    suffix = FACTS[arguments.format or "mp4"].suffix
    outputs: dict[Path, Path] = {}
    for song in songs:
        output = folder / f"{song.stem}{suffix}"
        if output in outputs:
            raise SceneError(f"{outputs[output]} and {song} would both be {output}; render them into two folders")
        outputs[output] = song
        check_outputs(output, song=song, form="MP4")
    return list(outputs)


def _render(arguments: argparse.Namespace, output: Path) -> None:
    """Render one video."""
    from ecs_core.rendering.output_format import with_format_of
    from ecs_core.rendering.run import render
    from services.cli.output_files import check_outputs, write_text
    from services.cli.progress_bar import progress_bar  # imports slow

    with _scene(arguments) as built:
        scene = with_format_of(_with_variants(built, arguments.variant), output)
        # Fail now rather than when the video is finished.
        check_outputs(output, arguments.frame_hashes, arguments.poster, song=scene.audio, form="MP4")
        if arguments.poster is not None:
            check_outputs(arguments.poster, form="PNG")
        with progress_bar() as show:
            result = render(
                scene,
                output,
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


@contextmanager
def _scene(arguments: argparse.Namespace) -> Iterator[Scene]:
    """Yield the scene, whose files exist meanwhile."""
    with tempfile.TemporaryDirectory(prefix="motes-") as folder:
        yield scene_from(arguments, Path(folder))


def _with_variants(scene: Scene, given: Sequence[str]) -> Scene:
    """The scene with the variants of the command line after those of its config."""
    from ecs_core.scene.scene import Scene

    kinds = [("size" if each[:1].isdigit() else "platform", "format") for each in given]
    more = [dict(zip(kind, each.split(":", 1), strict=False)) for kind, each in zip(kinds, given, strict=True)]
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
