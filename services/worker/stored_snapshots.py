"""Snapshots in storage, from which simulations go on: a plan that was lost, and a frame far into a video.

A plan stores one at the start of each segment. A frame finds those of any plan of its scene's video at the usual
qualities, as no snapshot depends on that; where there are none it leaves a few itself, in a folder like a plan's. Both
are deleted as plans are, some time after they were written (``services.retention.orphans``): nobody relies on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ecs_core.rendering.plan import Segment
from ecs_core.rendering.simulation import SceneSnapshot, Simulation
from ecs_core.video.format import QUALITIES
from services.jobs.render_spec import spec_key
from services.storage.object_keys import plan_folder, plans_folder, snapshot_key
from services.storage.object_store import LostFileError, Storage
from services.worker.plan_files import load_snapshot, loaded, save_snapshot

_NAME = re.compile(r".*/snapshots/(\d{1,9})\.npz")
_APART = 15  # segments, half a minute, between those that a frame leaves
_MOST = 32  # that it leaves


def stored_snapshots(storage: Storage, folder: str) -> dict[int, list[str]]:
    """The keys of the snapshots under a folder, by the numbers of the segments that they are of."""
    found: dict[int, list[str]] = {}
    for batch in storage.list(folder):
        for each in batch:
            if name := _NAME.fullmatch(each.key):
                found.setdefault(int(name[1]), []).append(each.key)
    return found


def plan_snapshots(
    simulation: Simulation,
    segments: Sequence[Segment],
    *,
    storage: Storage,
    scene_key: str,
    plan: str,
    folder: Path,
    stored: Callable[[int], None],
) -> None:
    """Store the snapshot of each segment's start unless an earlier attempt has; ``stored`` is told of each."""
    there = stored_snapshots(storage, plan_folder(scene_key, plan))
    for segment in segments:
        if segment.number not in there:
            if segment.number - 1 in there:  # an earlier attempt came as far as here
                simulation.restore(loaded(storage, there[segment.number - 1][0], load_snapshot))
            simulation.skip_to(segment.start)
            file = folder / "snapshot.npz"
            save_snapshot(simulation.snapshot(), file)
            storage.put(snapshot_key(scene_key, plan, segment.number), file, durable=False)
        stored(segment.number)


def video_keys(scene: Mapping[str, Any]) -> list[str]:
    """The keys of the videos that a frame's scene is one of, first that of its own quality."""
    video = {name: value for name, value in scene.items() if name != "at"}
    others = [quality for quality in QUALITIES if quality != scene["quality"]]
    return [spec_key({**video, "quality": quality}) for quality in (scene["quality"], *others)]


def stored_plans(storage: Storage, keys: Collection[str]) -> list[str]:
    """The keys of the plans of videos with these keys."""
    every = (each.key for key in keys for batch in storage.list(plans_folder(key)) for each in batch)
    return [key for key in every if key.endswith("/plan.npz")]


def go_to(
    simulation: Simulation,
    frame: int,
    *,
    segments: Sequence[Segment],
    storage: Storage,
    keys: Sequence[str],
    attempt: str,
    folder: Path,
) -> None:
    """Simulate up to a frame, from the last snapshot before it of a video with one of the ``keys``.

    What has to be simulated leaves a few snapshots, with the name ``attempt`` that nothing else uses.
    """
    snapshot = _last_before(frame, segments, storage, keys)
    if snapshot is not None:
        simulation.restore(snapshot)
    for segment in _worth_keeping(segments, simulation.world.frame, frame):
        simulation.skip_to(segment.start)
        file = folder / "snapshot.npz"
        save_snapshot(simulation.snapshot(), file)
        storage.put(snapshot_key(keys[0], attempt, segment.number), file, durable=False)
    simulation.skip_to(frame)


def _last_before(
    frame: int, segments: Sequence[Segment], storage: Storage, keys: Collection[str]
) -> SceneSnapshot | None:
    found: dict[int, list[str]] = {}
    for key in keys:
        for number, names in stored_snapshots(storage, plans_folder(key)).items():
            found.setdefault(number, []).extend(names)
    for segment in reversed(segments):
        for name in found.get(segment.number, ()) if segment.start <= frame else ():
            with suppress(LostFileError):  # it was just deleted
                return loaded(storage, name, load_snapshot)
    return None


def _worth_keeping(segments: Sequence[Segment], begin: int, frame: int) -> list[Segment]:
    """The segments at whose starts a snapshot is left on the way to a frame; none on short ways."""
    apart = max(_APART, -(-len(segments) // _MOST))
    passed = [segment for segment in segments if begin < segment.start <= frame]
    kept = [segment for segment in passed if segment.number % apart == 0]
    return [*kept, *(passed[-1:] if len(passed) > apart and passed[-1] not in kept else ())]
