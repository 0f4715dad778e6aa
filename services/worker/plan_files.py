"""Plans and snapshots as files: arrays and JSON in an ``.npz``, never pickled.

Plans are mapped: every segment's task has the plan of the whole song, and looks at little of it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from ecs_core import Scene
from ecs_core.audio.sonogram import TABLES, Sonogram
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.table import Rows
from ecs_core.ecs.world import Snapshot
from ecs_core.rendering.plan import RenderPlan, Segment
from ecs_core.rendering.simulation import SceneSnapshot
from ecs_core.video.format import Rates, VideoFormat
from services.storage.object_store import LostFileError, Storage
from services.worker.mapped_arrays import map_arrays, save_arrays

T = TypeVar("T")
_SNAPSHOT_VERSION = 2


def loaded(storage: Storage, key: str, load: Callable[[Path], T]) -> T:
    """What a file holds that a plan left, read by ``load``.

    Raises:
        LostFileError: it is gone or damaged.
    """
    with storage.file(key) as file:
        try:
            return load(file)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise LostFileError(key) from error


def save_plan(plan: RenderPlan, path: Path) -> None:
    """Save what the segments of a scene share, except the scene itself."""
    line, video = plan.timeline, plan.video
    facts = {
        "fps": str(line.fps),
        "frames": line.frames,
        "duration": line.duration,
        "tempo": line.tempo,
        "start": str(line.start),
        "peak": plan.peak,
        "loop": plan.loop,
        "segments": [[segment.number, segment.start, segment.stop, segment.most] for segment in plan.segments],
        "video": [video.width, video.height, str(video.fps), video.quality, video.gop],
        "form": [video.form, video.alpha, asdict(video.rates)],
    }
    arrays: dict[str, Any] = {f"feature:{name}": values for name, values in line.features.items()}
    arrays |= {f"event:{name}": times for name, times in line.events.items()}
    arrays |= {f"strength:{name}": values for name, values in line.strengths.items()}
    arrays |= {f"lead:{name}": values for name, values in line.lead.items()}
    arrays |= {} if plan.gains is None else {"gains": plan.gains}
    if line.sonogram is not None:
        facts |= {"sonogram": [line.sonogram.peak, line.sonogram.begin]}
        arrays |= {f"sonogram:{name}": getattr(line.sonogram, name) for name in (*TABLES, "loudest")}
    save_arrays(path, {"facts": np.array(json.dumps(facts)), **arrays})


def load_plan(scene: Scene, path: Path) -> RenderPlan:
    """Load the plan of a scene; what it holds of each frame is read from the file when it is looked at."""
    particle_type, settings = scene.resolve()
    kept = map_arrays(path)
    facts = json.loads(str(kept["facts"]))
    features, events, strengths, lead = (
        {name.removeprefix(kind): values for name, values in kept.items() if name.startswith(kind)}
        for kind in ("feature:", "event:", "strength:", "lead:")
    )
    fps = Fraction(facts["fps"])
    timeline = FeatureTimeline(
        fps,
        facts["frames"],
        facts["duration"],
        facts["tempo"],
        features,
        events,
        strengths,
        Fraction(facts.get("start", 0)),
        lead,
        _sonogram(kept, *facts["sonogram"]) if "sonogram" in facts else None,
    )
    width, height, rate, quality, gop = facts["video"]
    form, alpha, rates = facts.get("form", ("mp4", False, {}))
    video = VideoFormat(width, height, Fraction(rate), quality, gop, form, alpha, Rates(**rates))
    segments = tuple(Segment(*each) for each in facts["segments"])
    rest = facts.get("peak"), kept.get("gains"), facts.get("loop", 0)
    return RenderPlan(particle_type, settings, timeline, video, segments, *rest)


def _sonogram(kept: Mapping[str, Any], peak: int, begin: int) -> Sonogram:
    tables = {name: kept[f"sonogram:{name}"] for name in (*TABLES, "loudest")}
    return Sonogram(**tables, peak=peak, begin=begin)


def save_snapshot(snapshot: SceneSnapshot, path: Path) -> None:
    """Save a snapshot."""
    names = {layer: list(world.populations) for layer, world in snapshot.layers.items()}
    facts = {"version": _SNAPSHOT_VERSION, "frame": snapshot.frame, "populations": names}
    arrays: dict[str, Any] = {"facts": np.array(json.dumps(facts))}
    everything = [rows for world in snapshot.layers.values() for rows in world.populations.values()]
    for number, rows in enumerate(everything):
        arrays |= {f"values{number}": rows.values, f"birth{number}": rows.birth, f"next{number}": rows.next_birth}
    np.savez(path, **arrays)


def load_snapshot(path: Path) -> SceneSnapshot:
    """Load a snapshot.

    Raises:
        ValueError: another version of Motes saved it.
    """
    with np.load(path, allow_pickle=False) as kept:
        facts: dict[str, Any] = json.loads(str(kept["facts"])) if "facts" in kept.files else {"version": 1}
        if facts["version"] != _SNAPSHOT_VERSION:
            raise ValueError(f"the snapshot has version {facts['version']}, and this Motes reads {_SNAPSHOT_VERSION}")
        frame, numbers = facts["frame"], itertools.count()
        layers = {
            layer: Snapshot(frame, {name: _rows(kept, next(numbers)) for name in names})
            for layer, names in facts["populations"].items()
        }
    return SceneSnapshot(frame, layers)


def _rows(kept: Mapping[str, Any], n: int) -> Rows:
    return Rows(kept[f"values{n}"], kept[f"birth{n}"], int(kept[f"next{n}"]))
