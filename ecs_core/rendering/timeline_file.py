"""Timelines in a file: processes map it, so that a long song is in memory once, however many work on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32
from ecs_core.audio.sonogram import TABLES
from ecs_core.audio.stored_rows import write_npy
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.portability import POSIX


@dataclass(frozen=True, eq=False, slots=True)
class TimelineFile:
    """A timeline whose features lie in ``path``, (features, lead and frames) float32; ``rest`` is all else of it.

    The rows of its sonogram, if it has one, lie in files beside that.
    """

    path: Path
    names: tuple[str, ...]
    rest: FeatureTimeline

    def load(self) -> FeatureTimeline:
        """The timeline; its features are read from the file when they are looked at.

        On Windows they are read now: a file that is mapped could not be removed.

        Raises:
            OSError: the file is gone.
        """
        rows = _load(self.path)
        lead = rows.shape[1] - self.rest.frames
        features = {name: row[lead:] for name, row in zip(self.names, rows, strict=True)}
        before = {name: row[:lead] for name, row in zip(self.names, rows, strict=True)} if lead else {}
        timeline = replace(self.rest, features=features, lead=before)
        if timeline.sonogram is None:
            return timeline
        tables: dict[str, Any] = {name: _load(_beside(self.path, name)) for name in TABLES}
        return replace(timeline, sonogram=replace(timeline.sonogram, **tables))


def save_timeline(timeline: FeatureTimeline, path: Path) -> TimelineFile:
    """Write the features of a timeline to a file.

    Raises:
        OSError: the file cannot be written.
    """
    names, lead = tuple(timeline.features), timeline.lead_frames
    shape = (len(names), lead + timeline.frames)
    nothing: Mapping[str, F32] = {}
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for name in names:
            for values in (timeline.lead[name],) if lead else ():
                file.write(np.ascontiguousarray(values, "<f4").data)
            file.write(np.ascontiguousarray(timeline.features[name], "<f4").data)
    rest = replace(timeline, features=nothing, lead=nothing)
    if timeline.sonogram is not None:
        for name in TABLES:
            with _beside(path, name).open("wb") as file:
                write_npy(file, getattr(timeline.sonogram, name))
        no_rows: dict[str, Any] = dict.fromkeys(TABLES, np.zeros((0, 0), np.uint8))
        rest = replace(rest, sonogram=replace(timeline.sonogram, **no_rows))
    return TimelineFile(path, names, rest)


def _load(path: Path) -> NDArray[Any]:
    rows = np.asarray(np.load(path, mmap_mode="r" if POSIX else None))
    rows.flags.writeable = False
    return rows


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}-{name}.npy")
