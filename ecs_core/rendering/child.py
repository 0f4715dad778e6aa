"""The process that renders segments: ``python -c … main(fd)``, started and fed by :mod:`ecs_core.rendering.pool`.

It lives no longer than its parent: when the parent's end of its standard input closes, for whatever reason, it removes
the parent's work folder and leaves.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ecs_core.audio.timeline import FeatureTimeline
    from ecs_core.rendering.plan import Segment
    from ecs_core.rendering.segment import SegmentRenderer
    from ecs_core.settings import Settings
    from ecs_core.video.encoding import VideoFormat
    from ecs_core.world import Snapshot

_REPORT_EVERY = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class Begin:
    """Message to a child: what all segments after it share. The particle type travels by name."""

    type: str
    settings: Settings
    timeline: FeatureTimeline
    video: VideoFormat
    digests: bool


@dataclass(frozen=True, slots=True)
class Work:
    """Message to a child: render this segment."""

    segment: Segment
    snapshot: Snapshot
    path: Path


@dataclass(frozen=True, slots=True)
class Advanced:
    """Message from a child: so many frames of the segment are done."""

    number: int
    frames: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Message from a child: rendering raised. ``kind`` is "full" when the disk was."""

    kind: Literal["full", "error"]
    reason: str
    trace: str


def main(fd: int, folder: str) -> None:
    """Serve the connection ``fd`` until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    threading.Thread(target=_leave_with_parent, args=(folder,), daemon=True).start()
    connection = Connection(fd)
    # Imported before the first message arrives: while the parent still analyses the song.
    from ecs_core.plugin_api import particle_types  # noqa: PLC0415
    from ecs_core.rendering import segment  # noqa: PLC0415
    from ecs_core.rendering.plan import RenderPlan  # noqa: PLC0415

    renderer: SegmentRenderer | None = None
    types = particle_types().types
    try:
        while True:
            message = connection.recv()
            if isinstance(message, Begin):
                if renderer is not None:
                    renderer.stage.world.close()
                plan = RenderPlan(types[message.type], message.settings, message.timeline, message.video, ())
                renderer = segment.SegmentRenderer(plan, digests=message.digests)
                renderer.picture(renderer.stage.snapshot())  # loads every kernel that will be needed
            elif isinstance(message, Work) and renderer is not None:
                _render(renderer, message, connection)
    except (EOFError, ConnectionError):
        return


def _render(renderer: SegmentRenderer, work: Work, connection: Connection) -> None:
    reported = time.monotonic()

    def on_frame(done: int) -> None:
        nonlocal reported
        now = time.monotonic()
        if now - reported >= _REPORT_EVERY:
            reported = now
            connection.send(Advanced(work.segment.number, done))

    try:
        connection.send(renderer.render(work.segment, work.snapshot, work.path, on_frame=on_frame))
    except (EOFError, ConnectionError):
        raise
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = f"{type(error).__name__}: {error}"
        connection.send(Failed("full" if full else "error", reason, traceback.format_exc()))


def _leave_with_parent(folder: str) -> None:
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)
