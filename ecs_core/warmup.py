"""``python -m ecs_core.warmup``: compile kernels once, so that no first render waits for a compiler.

``motes warmup`` is the same. Kernels are cached beside their source files, or in ``NUMBA_CACHE_DIR``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ecs_core.cores import available_cores
from ecs_core.errors import MotesError
from ecs_core.kernels.compilation import KERNELS, Compiling, compile_missing, missing
from ecs_core.plugin_api import resolve
from ecs_core.rendering.preparation import needed_kernels
from ecs_core.rendering.still import render_frame
from ecs_core.scene.scene import Scene


def warm_up(type_name: str | None = None) -> None:
    """Compile the missing kernels of a particle type, or all, and print what is done.

    Raises:
        SceneError: there is no such type.
        MotesError: the compiler failed, or the cache cannot be written.
    """
    names = list(KERNELS)
    if type_name is not None:
        names = needed_kernels(*resolve(Scene(type_name)), song=True)
    if not missing(names):
        print(f"all {len(names)} kernels are compiled already")
        return
    try:
        seconds = compile_missing(names, report=Announcement(lambda words: print(words, flush=True)))
    except RuntimeError as error:
        raise MotesError(str(error)) from error
    if missing(names):
        raise MotesError("nothing was compiled: the kernels' cache cannot be written; set NUMBA_CACHE_DIR to a folder")
    print(f"compiled in {seconds:.1f} s, on {available_cores()} cores")


class Announcement:
    """Announces once that compiling begins and about how long it takes; a ``report`` for :func:`compile_missing`."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say, self._said = say, False

    def __call__(self, state: Compiling) -> None:
        """Receive the progress."""
        if not self._said:
            self._said = True
            self._say(f"Compiling for this processor, once; about {state.seconds:.0f} s…")


def load_kernels() -> None:
    """Load the kernels into this process by drawing a small silent frame; compile missing ones first.

    If several processes start at the same time, one compiles and the others wait.
    """
    scene = Scene("enhanced", config={"width": 64, "height": 64, "duration": 0.1, "particle_count": 50, "bounce": True})
    if missing():
        say = Announcement(lambda words: print(words, file=sys.stderr, flush=True))
        compile_missing(needed_kernels(*resolve(scene), song=True, quality="draft"), report=say)
    with tempfile.TemporaryDirectory() as folder:
        render_frame(scene, 0.05, Path(folder, "frame.png"))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ecs_core.warmup",
        description="Compile Motes for this processor, so that the first render need not.",
    )
    parser.add_argument("--type", help="only what a video of this particle type needs (default: all)")
    try:
        warm_up(parser.parse_args(arguments).type)
    except MotesError as error:
        print(f"motes: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
