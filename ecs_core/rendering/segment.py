"""Rendering one segment in one process: restore a snapshot, then simulate, rasterise and encode each frame.

Idempotent: the same plan and segment number give the same frames on any worker. The file gets its name only when it is
complete.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ecs_core.arrays import U16
from ecs_core.errors import RenderError
from ecs_core.flashes.light_meter import LightMeter
from ecs_core.heartbeat import beat
from ecs_core.raster.cross_fade import cross_fade, cross_fade_straight
from ecs_core.raster.finish import Finish
from ecs_core.raster.half_size import double
from ecs_core.raster.marks import Marks
from ecs_core.raster.rasteriser import Planes, Rasteriser
from ecs_core.raster.sprites import Sprites
from ecs_core.raster.straight import StraightRasteriser
from ecs_core.rendering.loop import share_of_end
from ecs_core.rendering.messages import SegmentReport
from ecs_core.rendering.plan import RenderPlan, Segment
from ecs_core.rendering.simulation import SceneSnapshot, Simulation, backdrop
from ecs_core.video.encoding import STEPS, STEPS_TO_HALVE, Picture
from ecs_core.video.output import picture_for, segment_writer
from ecs_core.video.straight_picture import StraightPicture

_AHEAD = 6  # frames
Drawn: TypeAlias = tuple[Sprites, Marks, Finish | None]


class SegmentRenderer:
    """Renders segments of one plan one after another, reusing the world and the picture."""

    def __init__(self, plan: RenderPlan, *, digests: bool = False) -> None:
        self._plan, self._digests = plan, digests
        settings, video = plan.settings, plan.video
        width, height, self._half = video.width, video.height, None
        if video.is_painted_at_half_size:
            width, height = width // 2, height // 2
            settings, self._half = settings.of_size(width, height), Planes.empty(width, height)
        self.simulation = Simulation(plan.particle_type, settings, plan.timeline)
        self._light = plan.light
        self._end: SegmentRenderer | None = None  # of what comes after a loop's end
        self._start: SceneSnapshot | None = None
        self._meter = LightMeter(video.width, video.height) if plan.settings.looks_for_flashes else None
        self._picture = picture_for(video)
        ground = backdrop(plan.particle_type, settings)
        self._rasteriser: Rasteriser | StraightRasteriser
        if isinstance(self._picture, Picture):
            self._rasteriser = Rasteriser(width, height, background=ground)
        else:
            self._rasteriser = StraightRasteriser(width, height, background=None if video.alpha else ground)

    def picture(self, snapshot: SceneSnapshot) -> Picture | StraightPicture:
        """The first frame after a snapshot, drawn but not encoded."""
        self.simulation.restore(snapshot)
        self._rasteriser.reset()
        self._paint_frame(snapshot.frame, self._next_frame(), shown=snapshot.frame)
        return self._picture

    def load(self) -> None:
        """Draw the next frame and measure it, which loads all kernels."""
        picture = self.picture(self.simulation.snapshot())
        if self._meter is not None and isinstance(picture, Picture):
            self._meter.measure(picture.planes)

    def _paint(self, drawn: Drawn, light: float) -> float:
        """Paint the picture; returns the scale at which particles were drawn."""
        sprites, marks, finish = drawn
        if isinstance(self._rasteriser, StraightRasteriser):
            assert isinstance(self._picture, StraightPicture)
            return self._rasteriser.paint(sprites, self._picture.planes, light=light, finish=finish, marks=marks)
        assert isinstance(self._picture, Picture)
        planes = self._picture.planes if self._half is None else self._half
        scale = self._rasteriser.paint(sprites, planes, light=light, finish=finish, marks=marks)
        if self._half is not None:
            double(self._half, self._picture.planes)
        return scale

    def _paint_frame(self, frame: int, drawn: Drawn, *, shown: int) -> float:
        """Paint a frame of the video, as :meth:`_paint` does; a loop's first ones fade from those after its end.

        ``shown`` is the simulated frame that is ``drawn``.
        """
        plan = self._plan
        share = share_of_end(frame, plan.loop)
        if share or (plan.loop and frame == plan.loop):  # the picture is not as it was painted
            self._rasteriser.reset()
        scale = self._paint(drawn, self._light(shown))
        if share:
            if self._end is None:
                self._end = SegmentRenderer(replace(plan, loop=0))
            after = self._end._painted(plan.frames + frame)
            if isinstance(after, Picture) and isinstance(self._picture, Picture):
                cross_fade(self._picture.planes, after.planes, share, self._picture.planes)
            elif isinstance(after, StraightPicture) and isinstance(self._picture, StraightPicture):
                cross_fade_straight(self._picture.planes, after.planes, share, self._picture.planes)
        return scale

    def _painted(self, frame: int) -> Picture | StraightPicture:
        """A frame, drawn but not encoded; those that come in order are not simulated from the start each."""
        if self._start is None:
            self._start = self.simulation.snapshot()
        if self.simulation.world.frame > frame:
            self.simulation.restore(self._start)
        self.simulation.skip_to(frame)
        self._rasteriser.reset()
        self._paint(self._next_frame(), 1.0)
        return self._picture

    def close(self) -> None:
        """Delete the worlds."""
        self.simulation.close()
        if self._end is not None:
            self._end.close()

    def _next_frame(self) -> Drawn:
        return self.simulation.frame(), self.simulation.marks, self.simulation.finish

    def _opening(self, segment: Segment, snapshot: SceneSnapshot) -> Drawn | None:
        """What the segment's first frame shows if it shows another moment than its own; moves the simulation."""
        shown = self._plan.shown(segment.start)
        if shown == segment.start:
            return None
        self.simulation.restore(snapshot)
        self.simulation.skip_to(shown)
        return self._next_frame()

    def render(
        self,
        segment: Segment,
        snapshot: SceneSnapshot,
        path: Path,
        *,
        on_frame: Callable[[int], None] = lambda done: None,
    ) -> SegmentReport:
        """Render the segment into ``path``, from a snapshot at or before its start.

        ``on_frame`` is called with the number of frames done. A segment that is larger than it may be is rendered again
        and encoded more coarsely.

        Raises:
            RenderError: it is too large even at the coarsest.
        """
        part = path.with_name(path.name + ".part")
        spent: dict[str, float] = {}
        coarser = 0
        while coarser < STEPS:
            report, size = self._render(segment, snapshot, part, on_frame, coarser)
            spent = {stage: spent.get(stage, 0.0) + seconds for stage, seconds in report.seconds.items()}
            if segment.most is None or size <= segment.most:
                os.replace(part, path)
                return replace(report, seconds=spent)
            coarser += max(1, math.ceil(STEPS_TO_HALVE * math.log2(size / max(segment.most, 1))))
        raise RenderError(
            f"max_bytes = {self._plan.video.rates.max_bytes}: too few for frames {segment.start} to "
            f"{segment.stop - 1}; ask for more, or for a smaller picture"
        )

    def _render(
        self, segment: Segment, snapshot: SceneSnapshot, part: Path, on_frame: Callable[[int], None], coarser: int
    ) -> tuple[SegmentReport, int]:
        """A report, and the bytes that the frames take."""
        now = time.perf_counter
        simulate = rasterise = encode = digest = 0.0
        digests: list[str] = []
        light_of: list[U16] = []
        overdrawn = 0
        began = now()
        opening = self._opening(segment, snapshot)
        if not snapshot.frame <= self.simulation.world.frame <= segment.start:  # otherwise we are closer already
            self.simulation.restore(snapshot)
        self.simulation.skip_to(segment.start)
        simulate += now() - began
        self._rasteriser.reset()
        picture = self._picture
        with segment_writer(part, self._plan.video, coarser=coarser) as writer:
            ahead: list[Drawn] = []
            for frame in range(segment.start, segment.stop):
                t0 = now()
                if not ahead:  # a few frames at a time, as encoding evicts the simulation from the processor's caches
                    ahead = [self._next_frame() for _ in range(min(_AHEAD, segment.stop - frame))][::-1]
                drawn = ahead.pop()
                if frame == segment.start and opening is not None:
                    drawn = opening
                t1 = now()
                scale = self._paint_frame(frame, drawn, shown=self._plan.shown(frame))
                overdrawn += scale < 1
                if self._meter is not None and isinstance(picture, Picture):
                    light_of.append(self._meter.measure(picture.planes))
                t2 = now()
                if self._digests:
                    digests.append(picture.digest())
                t3 = now()
                writer.write(picture)
                beat()
                t4 = now()
                simulate, rasterise, digest, encode = (
                    simulate + t1 - t0,
                    rasterise + t2 - t1,
                    digest + t3 - t2,
                    encode + t4 - t3,
                )
                on_frame(frame + 1 - segment.start)
            t3 = now()
        encode += now() - t3  # flushing the encoder
        total = now() - began
        seconds = {
            "simulate": simulate,
            "rasterise": rasterise,
            "digest": digest,
            "encode": encode,
            "other": total - simulate - rasterise - digest - encode,
        }
        end = self.simulation.snapshot()
        measured = np.stack(light_of) if light_of else None
        done = segment.stop - segment.start
        return SegmentReport(segment.number, done, end, overdrawn, seconds, digests, measured), writer.size
