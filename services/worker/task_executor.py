"""Executes claimed tasks: reuses a result or runs the task in a child process, and records the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from ecs_core import MotesError
from services.auth.limits import LimitError, check_scene
from services.database.engine import Sessions
from services.database.models import AssetRow, TaskRow
from services.jobs import lost_files
from services.jobs.artefacts import Artefact, keys_left
from services.jobs.task_queue import TaskQueue
from services.jobs.tasks import Claim, Tasks
from services.observability import metrics, traces
from services.observability.logs import bound
from services.processes.memory_limit import oom_kills
from services.retention.deletion import Deleter
from services.settings import ServiceSettings
from services.storage.object_keys import (
    SINGLE_TASK_KINDS,
    attempt_key,
    poster_key,
    result_key,
)
from services.storage.object_store import Storage, retry_reason
from services.storage.song_analyses import count_analyses
from services.worker.child_processes import Child, ChildDiedError, ForkServer
from services.worker.deadlines import deadline_of
from services.worker.memory_budget import Held, memory_limit_of
from services.worker.watchdog import LOOK_EVERY, Verdict, Watchdog

_log = logging.getLogger("motes.worker")
_DELETE_TIMEOUT = 60.0  # seconds
_FOR_JOIN = ("segment", "sound")  # kinds of tasks whose files a join puts together
_RENEW_EVERY = 1.0  # seconds; also the age of progress, and the delay until a cancelled job stops


@dataclass(eq=False)
class _Attempt:
    """A claim, its child process, and the progress: frames of a segment, otherwise percent."""

    claim: Claim
    watchdog: Watchdog
    child: Child | None = None
    done: int = 0
    oom_kills: int = field(default_factory=oom_kills)  # on this machine, before it began
    verdict: Verdict | None = None  # of the watchdog, whose child is killed
    began: float = field(default_factory=time.monotonic)


class TaskExecutor:
    """Executes the tasks that a worker claims. ``notify`` has a task offered that has become ready."""

    def __init__(
        self,
        settings: ServiceSettings,
        sessions: Sessions,
        tasks: Tasks,
        storage: Storage,
        *,
        fork_server: ForkServer,
        queue: TaskQueue,
        folder: Path,
        notify: Callable[[TaskRow | None], Awaitable[None]],
    ) -> None:
        self._settings, self._sessions, self._tasks, self._storage = settings, sessions, tasks, storage
        self._deleter = Deleter(sessions, storage)
        self._fork_server, self._queue, self._folder, self._notify = fork_server, queue, folder, notify
        self._attempts: list[_Attempt] = []

    async def execute(self, claim: Claim, memory: Held | None = None) -> None:
        """Do the claimed task or requeue it; whatever happens is logged with the ids of the task, and traced.

        ``memory`` is what the worker has taken for it; a process that cannot be killed keeps it.
        """
        with bound(**_log_ids(claim)), _span(claim):
            await self._execute(claim, memory)

    async def _execute(self, claim: Claim, memory: Held | None) -> None:
        try:
            if not await self._reuse_result(claim) and not await self._run_in_child(claim, memory):
                await self._discard(claim)
        except LimitError as error:  # accepted by an API with other limits, or before they were set
            await self._tasks.fail(claim, str(error))
        except asyncio.CancelledError:
            await asyncio.shield(self.requeue(claim))
            raise
        except Exception as error:
            traces.annotate({}, failed=True)
            _log.exception("%s %d of job %s failed here and was requeued", claim.kind, claim.number, claim.job)
            if (reason := retry_reason(error)) is not None:
                await self.requeue(claim, wait=reason)
            else:
                await self.requeue(claim, wrong=f"the worker could not do it: {error}")

    async def _reuse_result(self, claim: Claim) -> bool:
        """Finish the task at once if another job of the same scene has made its result."""
        if claim.kind in _FOR_JOIN:
            keys = keys_left(claim.scene, claim.scene_key, claim.kind, claim.number)
            if not await lost_files.all_intact(self._sessions, self._storage, keys):
                return False
            await self._tasks.finish(claim)
            await self._notify(await self._tasks.release_join(claim.job))
            return True
        made = await lost_files.intact(self._sessions, self._storage, result_key(claim.scene_key, claim.kind))
        if made is not None and claim.reopened and claim.kind not in SINGLE_TASK_KINDS:
            poster = await lost_files.intact(self._sessions, self._storage, poster_key(claim.scene_key))
            made = None if poster is None else made
        return made is not None and await self._tasks.complete(claim, made)

    async def _run_in_child(self, claim: Claim, memory: Held | None) -> bool:
        """Run the task in a child process; returns whether its result counts.

        Raises:
            LimitError: it exceeds a limit of this worker.
        """
        if claim.kind in ("plan", "frame"):
            check_scene(self._settings, claim.scene["config"])
        attempt = _Attempt(claim, Watchdog(stall=self._settings.stall_seconds, deadline=_deadline(claim)))
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        watching = asyncio.create_task(self._watch(attempt))
        self._attempts.append(attempt)
        try:
            kept = self._fork_server.idle_child() if claim.kind == "segment" else None
            attempt.child = kept or await self._fork_server.fork()
            return await self._supervise(attempt, attempt.child, folder)
        except ChildDiedError as death:
            traces.annotate({}, failed=True)
            if attempt.verdict is None:
                await self._tasks.requeue(claim, died=str(death))
            elif attempt.verdict.is_waiting:
                await self._tasks.requeue(claim, wrong=attempt.verdict.reason)
            else:
                await self._tasks.requeue(claim, died=f"killed: {attempt.verdict.reason}")
            return False
        finally:
            self._attempts.remove(attempt)
            watching.cancel()
            if attempt.child is not None:
                if claim.kind == "segment" and attempt.child.done:
                    self._fork_server.keep_idle(attempt.child)
                elif (left := await self._fork_server.stop(attempt.child)) is not None and memory is not None:
                    memory.release(after=left)
            shutil.rmtree(folder, ignore_errors=True)

    async def _supervise(self, attempt: _Attempt, child: Child, folder: Path) -> bool:
        claim = attempt.claim
        made: list[Artefact] = []
        to_join: dict[tuple[str, int], list[Artefact | None]] = {}
        spec: dict[str, Any] = {"task": claim.task, "attempt": claim.attempt, "plan": claim.plan}
        spec |= {"kind": claim.kind, "number": claim.number}
        spec |= {"scene": claim.scene, "scene_key": claim.scene_key, "folder": str(folder)}
        if claim.memory:
            spec["memory"] = memory_limit_of(claim.memory)
        spec["sandbox_required"] = self._settings.sandbox_required(claim.owner)
        spec["assets"] = await self._assets(claim)
        if claim.kind == "join":
            to_join = await self._tasks.to_join(claim)
            if not await self._have(claim, to_join):
                return False
            spec |= _files_to_join(to_join)
        async for message in attempt.watchdog.messages(child.messages(spec)):
            if "progress" in message:
                attempt.done = message["progress"]
            elif "segments" in message:
                try:
                    sound = await self._tasks.record_plan(
                        *(claim, message["segments"]),
                        sounds=message["sounds"],
                        start=message["start"],
                        seconds=message["seconds"],
                    )
                except MotesError as error:
                    await self._tasks.fail(claim, str(error))
                    return False
                await self._notify(sound)
            elif "snapshot" in message:
                await self._notify(await self._tasks.mark_ready(claim, message["snapshot"]))
            elif "analysed" in message:
                await count_analyses(self._sessions, self._storage, message["analysed"])
            elif "made" in message:
                made.append(Artefact(**message["made"]))
            elif "warning" in message:
                _log.warning("job %s: %s", claim.job, message["warning"])
            elif "lost" in message:
                _log.error("%s %d of job %s: %s", claim.kind, claim.number, claim.job, message["trace"])
                if message["lost"] in spec.get("files", {}):
                    await self._have(claim, to_join, changed=message["lost"])
                elif (gone := await lost_files.plan_again(self._sessions, claim)) is not None:
                    await self._deleter.delete_files(gone)
                return False
            elif "wait" in message:
                _log.warning("%s %d of job %s must wait: %s", claim.kind, claim.number, claim.job, message["trace"])
                await self._tasks.requeue(claim, wait=message["wait"])
                return False
            elif "died" in message:
                _log.error("%s %d of job %s: %s", claim.kind, claim.number, claim.job, message["trace"])
                raise ChildDiedError(message["died"])
            elif "error" in message:
                traces.annotate({}, failed=True)
                _log.error("job %s failed: %s", claim.job, message.get("trace", message["error"]))
                await self._tasks.fail(claim, message["error"])
                return False
            elif "done" in message:
                counts = await self._finish(claim, made)
                if counts:
                    await self._record_stats(attempt, message["spent"])
                return counts
        raise ChildDiedError("ran out of memory" if oom_kills() > attempt.oom_kills else "killed, or out of memory")

    async def _assets(self, claim: Claim) -> dict[str, tuple[int, str | None]]:
        """Size and sha256 of the files of the assets of a scene."""
        wanted = claim.scene.get("assets") or {}
        if not wanted:
            return {}
        async with self._sessions() as session:
            rows = await session.scalars(select(AssetRow).where(AssetRow.sha256.in_(wanted)))
            return {row.sha256: (row.size, row.file_digest) for row in rows if row.digest == wanted[row.sha256]}

    async def _have(
        self, claim: Claim, to_join: Mapping[tuple[str, int], list[Artefact | None]], *, changed: str | None = None
    ) -> bool:
        """Whether all files are there that a join needs; otherwise it waits for those that are not.

        ``changed`` is one that is there, but not what was stored.
        """

        def is_lost(made: Artefact | None) -> bool:
            return made is None or made.object == changed or self._storage.size(made.object) != made.size

        def look() -> dict[tuple[str, int], list[Artefact]]:
            return {
                task: [made for made in files if made is not None]
                for task, files in to_join.items()
                if any(map(is_lost, files))
            }

        lost = await asyncio.to_thread(look)
        if not lost:
            return True
        await lost_files.make_again(self._sessions, claim, lost, [made for files in lost.values() for made in files])
        return False

    async def _finish(self, claim: Claim, made: Sequence[Artefact]) -> bool:
        """Publish the result, which comes first, and what belongs to it.

        False if the claim was lost or another attempt was faster.
        """
        if claim.kind in ("join", *SINGLE_TASK_KINDS):
            return await self._tasks.complete(claim, *made)
        counts = await self._tasks.finish(claim, *made)
        await self._notify(await self._tasks.release_join(claim.job))
        return counts

    async def _record_stats(self, attempt: _Attempt, spent: dict[str, Any]) -> None:
        """Count, trace and log a finished attempt."""
        claim, seconds = attempt.claim, time.monotonic() - attempt.began
        metrics.task_done(claim.kind, claim.scene["type"], seconds=seconds, **spent)
        traces.annotate({f"motes.seconds.{stage}": spent for stage, spent in spent["stages"].items()})
        _log.info("%s %d done in %.2f s", claim.kind, claim.number, seconds)
        await self._queue.record_duration(claim.kind, seconds)

    async def requeue(self, claim: Claim, **why: str) -> None:
        """Requeue the task if the claim still holds; if the database is down, its lease expires."""
        try:
            if await self._tasks.requeue(claim, **why):
                await self._discard(claim)
        except Exception:
            _log.exception("%s %d of job %s cannot be requeued", claim.kind, claim.number, claim.job)

    async def _discard(self, claim: Claim) -> None:
        """Delete the files that the attempt may have stored, as they do not count."""
        if claim.kind == "plan":
            return
        if claim.kind in _FOR_JOIN:
            keys = keys_left(claim.scene, claim.scene_key, claim.kind, claim.number)
        else:
            keys = [result_key(claim.scene_key, claim.kind)]
        keys += [poster_key(claim.scene_key)] if claim.kind == "join" else []
        files = [attempt_key(key, claim.task, claim.attempt) for key in keys]
        with contextlib.suppress(TimeoutError):  # the file system may be dead; what is left is found as orphaned
            await asyncio.wait_for(asyncio.to_thread(self._storage.delete, files), _DELETE_TIMEOUT)

    async def _watch(self, attempt: _Attempt) -> None:
        """Kill the child once it hangs."""
        claim = attempt.claim
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if attempt.child is None or (verdict := attempt.watchdog.look(attempt.child.pid)) is None:
                continue
            attempt.verdict = verdict
            _log.error("%s %d of job %s is killed: %s", claim.kind, claim.number, claim.job, verdict.reason)
            metrics.child_hung(claim.kind)
            attempt.child.kill()
            return

    async def renew_leases(self) -> None:
        """Keep renewing the leases while children work; kill those whose claim is lost or whose job is over."""
        while True:
            await asyncio.sleep(min(_RENEW_EVERY, self._settings.lease_seconds / 3))
            try:
                lost = await self._tasks.renew(
                    [(attempt.claim, attempt.done) for attempt in self._attempts if attempt.verdict is None]
                )
            except Exception:
                _log.exception("renewing leases failed; it will be tried again")
                continue
            for attempt in self._attempts:
                if attempt.claim in lost and attempt.child is not None:
                    attempt.child.kill()


def _files_to_join(to_join: Mapping[tuple[str, int], Sequence[Artefact | None]]) -> dict[str, Any]:
    """What the process of a join is told of files that are there: their keys by kind, sizes and digests."""
    files = {task: [made for made in files if made is not None] for task, files in to_join.items()}
    segments = [of_task for (kind, _), of_task in files.items() if kind == "segment"]
    return {
        "segments": [of_segment[0].object for of_segment in segments],
        "light": [made.object for of_segment in segments for made in of_segment[1:]],
        "sounds": [made.object for (kind, _), of_task in files.items() if kind == "sound" for made in of_task],
        "files": {made.object: (made.size, made.digest) for of_task in files.values() for made in of_task},
        "overdrawn": sum(of_segment[0].overdrawn for of_segment in segments),
    }


def _deadline(claim: Claim) -> float:
    return deadline_of(claim.scene, claim.kind, frames=claim.frames, seconds=claim.seconds)


def _log_ids(claim: Claim) -> dict[str, str]:
    """Ids for log lines about a claim."""
    ids = {"job": claim.job, "task": claim.task, "kind": claim.kind, "attempt": str(claim.attempt)}
    return ids | ({"segment": str(claim.number)} if claim.kind == "segment" else {})


def _span(claim: Claim) -> contextlib.AbstractContextManager[None]:
    """The span of a claim."""
    parent = {} if claim.traceparent is None else {"traceparent": claim.traceparent}
    about = {f"motes.{name}": value for name, value in _log_ids(claim).items()}
    return traces.span(claim.kind, "consumer", parent=parent, attributes=about)
