"""A progress bar on standard error: stage, percentage, frames per second, time left.

It also says when a first render waits for kernels to be compiled, with or without a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ecs_core.rendering import progress as engine


@contextmanager
def progress_bar() -> Iterator[Callable[[engine.Progress], None]]:
    """Yield a function that shows the progress it is given; without a terminal nothing is drawn."""
    if not sys.stderr.isatty():
        yield compiling_announced()
        return
    from rich.console import Console  # slow
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=40),
        TaskProgressColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0, detail="")
        announce = compiling_announced(bar.console.print)

        def show(report: engine.Progress) -> None:
            announce(report)
            detail = f"{report.frames}/{report.total} frames" if report.total else ""
            if report.fps and report.seconds_left is not None:
                detail += f"  {report.fps:.0f} frames/s  {_clock(report.seconds_left)} left"
            bar.update(task, description=report.stage, completed=report.share, detail=detail)

        yield show


def _on_stderr(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def compiling_announced(say: Callable[[str], object] = _on_stderr) -> Callable[[engine.Progress], None]:
    """A function that says once, at the stage "compiling", what is happening and how long it takes."""
    announced = False

    def announce(report: engine.Progress) -> None:
        nonlocal announced
        if report.stage == "compiling" and not announced:
            announced = True
            say(f"Compiling for this processor, once; about {report.seconds_left or 0:.0f} s…")

    return announce


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
