"""The jobs of a database as tests see them: a board with workers that need no process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from services.auth.quotas import NO_QUOTAS, Quotas
from services.database.engine import Sessions
from services.database.models import AudioRow, JobRow, TaskRow, new_id
from services.jobs.artefacts import Artefact
from services.jobs.events import events_since
from services.jobs.job_progress import Progress
from services.jobs.lifecycle import Jobs
from services.jobs.outputs import part_id
from services.jobs.render_spec import VERSION_LENGTH
from services.jobs.tasks import Claim, Tasks
from services.jobs.turns import Turns
from services.storage.object_keys import SINGLE_TASK_KINDS, attempt_key, result_key, segment_key

LEASE = 15.0
FRAMES = [10, 10, 5]  # of the segments of a job
SONG = "a" * 64
VERSION = "0" * VERSION_LENGTH  # that renders jobs
SIZES = {"main": (320, 180), "tall": (90, 160), "square": (100, 100)}  # of outputs, by name


def padded(name: str) -> str:
    """A scene key that begins with a name; all keys are as long as those of specs."""
    return name.ljust(64, "-")


class DispatchedTasks(Tasks):
    """Tasks that are offered just before they are claimed, as if the dispatcher looked all the time."""

    def __init__(self, sessions: Sessions, **options: Any) -> None:
        super().__init__(sessions, **options)
        self.turns = Turns(sessions)

    async def claim(
        self, worker: str, offered: tuple[str, int] | None = None, *, memory: int | None = None
    ) -> Claim | None:
        await self.turns.next()
        return await super().claim(worker, offered, memory=memory)


@dataclass
class Board:
    """The jobs, and what tests ask of them."""

    sessions: Sessions
    versions: Collection[str] | None = None
    made: dict[str, str] = field(default_factory=dict)  # by key: the file that counts

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.sessions)
        self.tasks = DispatchedTasks(self.sessions, lease=LEASE, versions=self.versions)
        self.turns, self.progress = self.tasks.turns, Progress(self.sessions)

    async def renew(self, claim: Claim, done: int) -> bool:
        """Renew a claim; whether it was still held."""
        return await self.tasks.renew([(claim, done)]) == []

    async def submit(self, fairness_key: str = "flow", *, tasks: int = len(FRAMES) + 2, **more: Any) -> str:
        """A new job; returns its id."""
        values: dict[str, Any] = {
            "id": new_id(),
            "kind": "video",
            "priority": "normal",
            "scene_key": VERSION + new_id(),
            "scene": {"type": "snow"},
        }
        values |= more
        values["scene_key"] = padded(values["scene_key"])
        job = JobRow(fairness_key=fairness_key, system_id=fairness_key, output_path="video.mp4", **values)
        return (await self.jobs.submit(job, tasks=tasks)).id

    async def submit_outputs(
        self,
        *names: str,
        keys: dict[str, str] | None = None,
        song: str | None = SONG,
        quotas: Quotas = NO_QUOTAS,
        **more: Any,
    ) -> str:
        """A new job with outputs of these names besides main, of which some have scene keys; returns its id."""
        async with self.sessions.begin() as session:
            if song is not None and await session.get(AudioRow, song) is None:
                session.add(AudioRow(sha256=song, suffix="", size=1, duration=1.0, sample_rate=1, channels=1))
        job = new_id()
        common = {"system_id": "s", "fairness_key": "f", "priority": "normal", "output_path": "v.mp4", **more}
        webhook, parts, outputs = common.pop("webhook_url", None), list[JobRow](), list[dict[str, Any]]()
        for name in ("main", *names):
            facts = {"width": SIZES[name][0], "height": SIZES[name][1], "format": "mp4"}
            ids = {
                "id": part_id(job, name),
                "whole_id": job,
                "scene_key": padded((keys or {}).get(name, f"{VERSION}{job[:8]}-{name}")),
            }
            scene = {"type": "snow", "audio": song, "config": facts}
            parts.append(JobRow(**ids, **common, kind="output", scene=scene, seconds=10.0))
            outputs.append({"name": name, **facts, "job": ids["id"]})
        whole = JobRow(id=job, kind="video", outputs=outputs, webhook_url=webhook, **common)
        whole.scene, whole.scene_key = parts[0].scene, parts[0].scene_key
        tasks = len(FRAMES) + 2
        return (await self.jobs.submit(whole, tasks=tasks, parts=[(part, tasks) for part in parts], quotas=quotas)).id

    async def job(self, job: str) -> JobRow:
        async with self.sessions() as session:
            return await session.get_one(JobRow, job)

    async def status(self, job: str) -> str:
        return (await self.job(job)).status

    async def tasks_of(self, job: str) -> list[TaskRow]:
        async with self.sessions() as session:
            found = select(TaskRow).where(TaskRow.job_id == job).order_by(TaskRow.kind, TaskRow.number)
            return list(await session.scalars(found))

    async def count(self, table: Any) -> int:
        async with self.sessions() as session:
            return await session.scalar(select(func.count()).select_from(table)) or 0

    async def events(self, job: str) -> list[dict[str, Any]]:
        return [event.data for event in await events_since(self.sessions, job, 0)]

    async def take(self, worker: str = "worker") -> Claim:
        claim = await self.tasks.claim(worker)
        assert claim is not None, "there is nothing to do"
        return claim

    async def do(self, claim: Claim) -> bool:
        """What a worker does for a task; whether what it made counts."""
        if claim.kind == "plan":
            await self.tasks.record_plan(claim, FRAMES)
            for number in range(len(FRAMES)):
                await self.tasks.mark_ready(claim, number)
        made = made_by(claim)
        if claim.kind in ("join", *SINGLE_TASK_KINDS):
            assert made is not None
            counts = await self.tasks.complete(claim, made)
        else:
            counts = await self.tasks.finish(claim, made)
            await self.progress.add_up(everything=True)
            await self.tasks.release_join(claim.job)
        if counts and made is not None:
            assert made.key not in self.made, "it was done twice, and counted twice"
            self.made[made.key] = made.object
        return counts

    async def work(self, worker: str = "worker") -> list[Claim]:
        """Do whatever there is to do."""
        done = []
        while (claim := await self.tasks.claim(worker)) is not None:
            await self.do(claim)
            done.append(claim)
        return done

    async def until(self, kind: str, worker: str = "worker") -> Claim:
        """Do whatever comes before a task of a kind, and take that."""
        while (claim := await self.take(worker)).kind != kind:
            await self.do(claim)
        return claim


def made_by(claim: Claim) -> Artefact | None:
    """What an attempt makes: a file of its own."""
    if claim.kind == "plan":
        return None
    segment = claim.kind == "segment"
    key = segment_key(claim.scene_key, claim.number) if segment else result_key(claim.scene_key, claim.kind)
    return Artefact(key, attempt_key(key, claim.task, claim.attempt), 1000 + claim.attempt)


async def together(*calls: Awaitable[Any], seed: int = 1) -> list[Any]:
    """What each call returns; all are made at the same time, in any order."""
    order = list(range(len(calls)))
    random.Random(seed).shuffle(order)
    answers = await asyncio.gather(*(calls[number] for number in order))
    return [answer for _, answer in sorted(zip(order, answers, strict=True), key=lambda each: each[0])]
