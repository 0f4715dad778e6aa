"""What processes of tasks take of memory at their peak, and what was estimated before they were claimed.

    python bench/memory_estimate.py            # some thirty tasks, up to 4K: ten minutes on two cores
    python bench/memory_estimate.py --large    # and 8K, huge texts and a song of an hour: half an hour
    python bench/memory_estimate.py --only 4K  # those whose names have this in them

The peak is VmHWM of the process that does the task, forked as by a worker, with the limit that a worker sets. The goal
is an estimate that is at most 10 % too low and 60 % too high (``services.jobs.task_memory``).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from analysis_cost import repeat
from PIL import Image

from services.cli.demo_song import write_wav
from services.jobs.render_spec import build_spec, spec_key
from services.jobs.task_memory import estimate_memory
from services.storage.object_keys import asset_key, audio_key
from services.storage.object_store import Storage
from services.worker.child_processes import ForkServer
from services.worker.memory_budget import memory_limit_of

LOW, HIGH = -0.10, 0.60
HD, UHD, FULL_8K = {"width": 1920, "height": 1080}, {"width": 3840, "height": 2160}, {"width": 7680, "height": 4320}
SD = {"width": 1280, "height": 720}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRS"
PICTURE, PIXELS = "a" * 64, "b" * 64  # an asset, and what is stored of it
HUGE = {"text": ALPHABET, "size": 4, "width": 10, "height": 10, "enter": "letters", "letter_delay": 0.02}
MANY = {"particle_count": 250_000, "max_particles": 250_000}
FINISH = {"bloom": 2.0, "vignette": 0.4, "grain": 0.2, "aberration": 6.0}


@dataclass(frozen=True)
class Case:
    """A scene, and which of its tasks are measured. ``minutes`` are of a song."""

    name: str
    config: Mapping[str, Any]
    quality: str = "draft"
    type: str = "snow"
    kinds: Sequence[str] = ("segment",)
    minutes: int = 0
    large: bool = False


def layers(number: int, **layer: Any) -> dict[str, Any]:
    """So many layers alike."""
    return {"layers": [{"name": f"layer {n}", **layer} for n in range(number)]}


def cases() -> list[Case]:
    """What is measured."""
    picture = f"asset:{PICTURE}"
    records, texts = layers(10, kind="record", size=10), layers(16, kind="text", **HUGE)
    covers = layers(4, kind="image", file=picture, size=1.0, shadow=0.5)
    return [
        Case("180p", {"width": 320, "height": 180, "duration": 4.0}, kinds=("plan", "segment")),
        Case("1080p", {**HD, "duration": 3.0}),
        Case("1080p standard", {**HD, "duration": 3.0}, "standard"),
        Case("1080p high", {**HD, "duration": 3.0}, "high"),
        Case("1440p60 standard", {"width": 2560, "height": 1440, "fps": 60, "duration": 1.2}, "standard"),
        Case("4K", {**UHD, "duration": 2.2}),
        Case("4K standard", {**UHD, "duration": 2.2}, "standard"),
        Case("4K high", {**UHD, "duration": 2.2}, "high"),
        Case("4K frame", {**UHD, "duration": 2.0, "at": 1.0}, "standard", kinds=("frame",)),
        Case("1080p webm", {**HD, "duration": 1.5, "format": "webm"}, "standard"),
        Case("1080p webm opaque", {**HD, "duration": 1.5, "format": "webm", "alpha": False}, "standard"),
        Case("4K webm", {**UHD, "duration": 1.0, "format": "webm"}),
        Case("4K mov", {**UHD, "duration": 0.5, "format": "mov"}, "standard"),
        Case("4K png", {**UHD, "duration": 0.5, "format": "png"}, "standard"),
        Case("720p gif", {**SD, "duration": 1.0, "format": "gif", "fps": 25}, "standard"),
        Case("1080p webp", {**HD, "duration": 1.0, "format": "webp", "fps": 25}, "standard"),
        Case("250,000 particles", {**SD, "duration": 1.0, **MANY}, kinds=("plan", "segment")),
        Case("20,000 trails", {**SD, "duration": 1.0, "particle_count": 20_000, "trail": 0.5}),
        Case("links", {**SD, "duration": 1.0, "particle_count": 2000}, type="constellation"),
        Case("textures", {**SD, "duration": 1.0, "particle_count": 2000}, type="petals"),
        Case("4K with a finish", {**UHD, "duration": 1.0, "finish": FINISH}),
        Case("4K loop", {**UHD, "duration": 2.0, "loop": True}),
        Case("4K backdrop", {**UHD, "duration": 0.5, "backdrop": {"kind": "image", "file": picture}}),
        Case("light that is limited", {**HD, "duration": 4.0, "flash_guard": "limit"}, kinds=("plan",)),
        Case("four covers", {**HD, "duration": 0.5, **covers}, kinds=("plan", "segment")),
        Case("ten records", {**HD, "duration": 0.1, **records}, kinds=("plan", "segment")),
        Case("song", {**HD, "duration": "audio"}, kinds=("analysis", "curves", "plan", "sound", "join"), minutes=1),
        Case("sixteen huge texts", {**HD, "duration": 8.0, **texts}, kinds=("plan", "segment"), large=True),
        Case("8K", {**FULL_8K, "duration": 1.0}, large=True),
        Case("8K standard", {**FULL_8K, "duration": 2.0}, "standard", large=True),
        Case("8K high", {**FULL_8K, "duration": 2.0}, "high", large=True),
        Case("8K png", {**FULL_8K, "duration": 0.2, "format": "png"}, "standard", large=True),
        Case("8K frame", {**FULL_8K, "duration": 0.2, "at": 0.1}, "standard", kinds=("frame",), large=True),
        Case("long song", {**HD, "duration": "audio"}, kinds=("analysis", "plan"), minutes=60, large=True),
    ]


def peak_of(pid: int) -> int:
    """Bytes of the process that were resident at its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


class Bench:
    """Does tasks in processes of a fork server."""

    def __init__(self, fork_server: ForkServer, storage: Storage, folder: Path) -> None:
        self._fork_server, self._storage, self._folder = fork_server, storage, folder

    async def measure(self, case: Case) -> bool:
        """Do a case's tasks and those that they need, and print the figures; whether all reach the goal."""
        config = {"particle_count": 200, **case.config}
        at, seconds = config.pop("at", None), 60.0 * case.minutes
        assets = {PICTURE: PIXELS} if PICTURE in str(config) else None
        scene = build_spec(case.type, config, self._song(case.minutes), case.quality, at=at, assets=assets)
        seconds = seconds or float(config["duration"])
        segments: list[int] = []
        sounds: list[str] = []
        reached = True
        for kind in ("analysis", "curves", "frame", "plan", "segment", "sound", "join"):
            if kind not in case.kinds and (kind != "plan" or "segment" not in case.kinds):
                continue
            more: dict[str, Any] = {}
            if kind == "join":
                made = [(await self._run(scene, "segment", number=n, memory=None))[1] for n in range(len(segments))]
                more = {"segments": [each[0] for each in made], "light": [each[1] for each in made], "sounds": sounds}
            estimate = estimate_memory(scene, kind, seconds=seconds)
            peak, stored, cut = await self._run(scene, kind, memory=memory_limit_of(estimate), **more)
            segments, sounds = cut or segments, stored[:1] if kind == "sound" else sounds
            if kind in case.kinds:
                off = estimate / peak - 1
                verdict = "reached" if LOW <= off <= HIGH else "MISSED"
                figures = f"{peak / 1e6:6.0f} MB, estimated {estimate / 1e6:6.0f} MB ({off:+.0%}, {verdict})"
                print(f"{case.name + ', ' + kind:32} {figures}", flush=True)
                reached = reached and verdict == "reached"
        return reached

    async def _run(
        self, scene: dict[str, Any], kind: str, *, memory: int | None, number: int = 0, **more: Any
    ) -> tuple[int, list[str], list[int]]:
        """The peak, what was stored, and the frames of segments, of one task."""
        work = self._folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        spec = {"task": "t", "attempt": 1, "plan": "p", "kind": kind, "number": number, "sandbox_required": False}
        spec |= {"scene": scene, "scene_key": spec_key(scene), "folder": str(work), "memory": memory, **more}
        child = await self._fork_server.fork()
        made, cut = list[str](), list[int]()
        async for message in child.messages(spec):
            if problem := message.get("error") or message.get("died") or message.get("wait"):
                raise SystemExit(f"{kind} failed: {problem}\n{message.get('trace', '')}")
            made += [message["made"]["object"]] if "made" in message else []
            cut = message.get("segments", cut)
        if not child.done:
            raise SystemExit(f"{kind}: its process died")
        peak = peak_of(child.pid)
        await child.stop()
        return peak, made, cut

    def _song(self, minutes: int) -> str | None:
        """A song of so many minutes in storage, by its sha256."""
        if not minutes:
            return None
        form, song = self._folder / "form.wav", self._folder / "song.wav"
        write_wav(form, 20.0)
        repeat(form, 3 * minutes, song)
        with song.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._storage.put(audio_key(sha256), song)
        return sha256


async def measure(arguments: argparse.Namespace, folder: Path) -> bool:
    """Measure all that is asked for; whether the goal is reached."""
    picture, storage = folder / "picture.png", Storage((folder / "storage").as_uri())
    noise = np.random.default_rng(1).integers(0, 255, (3000, 3000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture)
    storage.put(asset_key(PICTURE, PIXELS), picture)
    async with ForkServer((folder / "storage").as_uri()) as fork_server:
        bench = Bench(fork_server, storage, folder)
        asked = [each for each in cases() if arguments.only in each.name]
        return all([await bench.measure(each) for each in asked if arguments.large or not each.large])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="also what takes gigabytes, or long")
    parser.add_argument("--only", default="", help="cases with this in their names")
    with tempfile.TemporaryDirectory() as folder:
        reached = asyncio.run(measure(parser.parse_args(), Path(folder)))
    print(f"goal {LOW:+.0%} to {HIGH:+.0%}: {'reached' if reached else 'MISSED'}")
    sys.exit(not reached)


if __name__ == "__main__":
    main()
