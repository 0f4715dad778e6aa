"""``motes lyrics``: the words of a song with their times, as LRC."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecs_core.song_file.tags import SongTags
    from ecs_core.text.lyrics import Lyrics

NAME = "lyrics"
HELP = "Write the lyrics of a song as LRC, to read, to correct and to render."
EXAMPLES = """\
examples:
  motes lyrics song.mp3
  motes lyrics song.mp3 -o song.lrc
  motes lyrics song.mp3 --text words.txt -o song.lrc
  motes lyrics song.mp3 --lyrics song.srt --offset -0.3 -o song.lrc
"""
_LONGEST_OFFSET = 3600.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("song", metavar="SONG", type=Path, help="any audio or video file; lyrics may be in its tags")
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--text",
        metavar="FILE.txt",
        type=Path,
        help="words without times, a line each, with empty lines between stanzas: times follow the song's sections and "
        "beats",
    )
    given.add_argument("--lyrics", metavar="FILE", type=Path, help="words with times: .lrc, .srt or .vtt")
    parser.add_argument(
        "--offset", metavar="SECONDS", type=float, default=0.0, help="how much later the words come (default: 0)"
    )
    parser.add_argument("-o", "--output", metavar="FILE.lrc", type=Path, help="default: stdout")
    parser.add_argument("--track", metavar="N", type=int, help="sound track of a file that has several, from 0")
    parser.add_argument(
        "--analysis", metavar="FILE.json", type=Path, help="what was heard before, corrected: see docs/listening.md"
    )


def run(arguments: argparse.Namespace) -> None:
    """Find the words and their times, and write them."""
    from ecs_core.errors import OutputError, SceneError
    from ecs_core.rendering.song_lyrics import named, song_tags
    from ecs_core.text import lrc
    from ecs_core.text.lyrics import shifted
    from services.cli.output_files import check_outputs, write_text

    check_outputs(arguments.output, song=arguments.song)
    if arguments.output is not None and arguments.output.suffix.lower() != ".lrc":
        raise OutputError(f"{arguments.output}: Motes writes LRC here; give a name that ends in .lrc")
    if not abs(arguments.offset) <= _LONGEST_OFFSET:
        raise SceneError(
            f"--offset {arguments.offset:g}: must be seconds from {-_LONGEST_OFFSET:g} to {_LONGEST_OFFSET:g}"
        )
    tags = song_tags(arguments.song)
    found = shifted(_found(arguments, tags), arguments.offset)
    if not found.lines:
        raise SceneError(f"--offset {arguments.offset:g}: all lines would end before the song begins")
    text = lrc.write(named(found, tags))
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        write_text(arguments.output, text)


def _found(arguments: argparse.Namespace, tags: SongTags) -> Lyrics:
    """The words from where the arguments say, or from the song's tags."""
    from ecs_core.rendering.song_lyrics import lyrics_in_tags
    from ecs_core.song_file.audio_file import AudioFile
    from ecs_core.text.lyrics import load_lyrics, load_text

    with AudioFile(arguments.song, track=arguments.track) as song:
        seconds = song.seconds
    if arguments.lyrics is not None:
        return load_lyrics(arguments.lyrics, duration=seconds)
    words = tags.lyrics if arguments.text is None else load_text(arguments.text, pipes=True)
    if arguments.text is None:
        timed = lyrics_in_tags(arguments.song, tags, duration=seconds)
        if timed is not None:
            return timed
    return _set(arguments, words)


def _set(arguments: argparse.Namespace, words: str) -> Lyrics:
    """Words with times by the song: lines alone, in hundredths of a second, which are easy to correct."""
    from dataclasses import replace

    from ecs_core.audio.guidance import Guidance
    from ecs_core.errors import SceneError
    from ecs_core.rendering.progress import Progress
    from ecs_core.signals import signals_deferred
    from ecs_core.text.untimed import check_words
    from services.cli.progress_bar import progress_bar

    try:
        check_words(words)  # before the song is analysed
    except SceneError as error:
        raise SceneError(f"{arguments.text or arguments.song}: {error}") from None
    with signals_deferred():
        from ecs_core.rendering.preparation import SONG_KERNELS, compile_kernels
        from ecs_core.rendering.song_analysis import analyse_song
        from ecs_core.rendering.song_lyrics import set_by_analysis
    with progress_bar() as show:
        compile_kernels(SONG_KERNELS, show)

        def on_progress(share: float) -> None:
            show(Progress("analysing", share))

        analysis = analyse_song(
            arguments.song, arguments.analysis, Guidance(), track=arguments.track, progress=on_progress
        )
    for warning in analysis.warnings:
        print(f"motes: warning: {warning}", file=sys.stderr)
    found = set_by_analysis(words, analysis)
    lines = (replace(line, start=round(line.start, 2), end=round(line.end, 2), words=()) for line in found.lines)
    return replace(found, lines=tuple(lines))
