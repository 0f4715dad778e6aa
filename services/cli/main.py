"""``motes``: parses the command line, runs a command, and turns every error into one line and exit code 2."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from types import FrameType
from typing import NoReturn

from ecs_core.errors import MotesError, RenderCancelled
from ecs_core.portability import interrupt_soon, is_closed_pipe
from services.cli import (
    analyze,
    api,
    backup,
    config,
    db,
    frame,
    jobs,
    keys,
    layers,
    particle_types,
    plugin,
    render,
    restore,
    serve,
    song_lyrics,
    storage,
    templates,
    warmup,
    worker,
)
from services.observability.masking import learn_secrets, masked

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
_UNTIL_STOPPED = ("serve", "api", "worker")  # commands that run until they are stopped

_EXAMPLES = """\
examples:
  motes render song.mp3 --type enhanced -o video.mp4
  motes render song.mp3 --type snow --set particle_count=800 --size 1080x1920 -o story.mp4
  motes frame song.mp3 --type snow --at 12.5 -o frame.png
  motes analyze song.mp3 -o features.json
  motes lyrics song.mp3 --text words.txt -o song.lrc
  motes types
  motes layers
  motes templates
  motes plugin new glitter
  motes serve
  motes keys create --owner alice
  motes jobs list --status failed
  motes backup /mnt/backup/motes
  motes storage show
"""


class _Parser(argparse.ArgumentParser):
    """Prints errors as one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"motes: error: {masked(message)} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Prints the installed versions: frames of different versions are never mixed in a video."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        of = ", ".join(
            f"{name} {version(name)}"
            for name in ("numpy", "numba", "scipy", "soxr", "av", "pillow", "uharfbuzz", "icu4py")
        )
        print(f"motes {version('motes')} (Python {platform.python_version()}, {of})")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="motes",
        description="Audio-reactive particle videos: a song goes in, a finished video comes out.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is, and of what")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    service = (serve, api, worker, config, db, keys, jobs, backup, restore, storage, warmup)
    for command in (render, frame, analyze, song_lyrics, particle_types, layers, templates, plugin, *service):
        name = getattr(command, "NAME", command.__name__.rpartition(".")[2])
        sub = commands.add_parser(
            name,
            help=command.HELP,
            description=command.HELP,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        # Accepted before and after the command; the second must not reset the first.
        sub.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run, motes=main)  # serve runs other commands, in processes that it forks
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # pipes on Windows use a legacy code page
    learn_secrets()
    arguments = build_parser().parse_args(argv)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    sys.unraisablehook = _unraisable
    sys.excepthook = lambda kind, error, trace: _print_traceback(error)
    try:
        arguments.run(arguments)
    except (KeyboardInterrupt, RenderCancelled):
        if arguments.command in _UNTIL_STOPPED:
            return 0
        print("motes: cancelled; nothing was left behind", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        if not is_closed_pipe(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output has closed the pipe
        return 0
    except MotesError as error:
        if arguments.debug:
            _print_traceback(error)
        print(f"motes: error: {' '.join(masked(str(error)).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


def _print_traceback(error: BaseException) -> None:
    print(masked("".join(traceback.format_exception(error))), end="", file=sys.stderr)


class _Interrupted(KeyboardInterrupt):
    """A class of its own: Python kills itself at exit if a plain KeyboardInterrupt passed through ``exec("…")``."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)  # a second Ctrl-C must not disturb the clean-up
    raise _Interrupted


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Python drops an interrupt within a native callback or a destructor, so raise it again soon."""
    if isinstance(unraisable.exc_value, _Interrupted):
        interrupt_soon(_interrupt)
    else:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    sys.exit(main())
