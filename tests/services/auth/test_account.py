"""An owner's account of a day is right whatever becomes of jobs: what they rendered, and what open ones hold."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from services.auth import quotas
from services.auth.quotas import Quotas
from services.database.models import OPEN, RETRYABLE, JobRow, UsageRow, new_id
from services.jobs.tasks import Claim
from tests.services.board import FRAMES, Board

pytestmark = pytest.mark.anyio

STEPS = 120
FEW = 3  # jobs at a time, so that much becomes of each


class Days:
    """The database's day, which passes when a test says so."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.moment = datetime(2026, 3, 1, 12, tzinfo=UTC)

        async def time_in(session: Any) -> datetime:
            return self.moment

        patch.setattr(quotas, "time_in", time_in)

    @property
    def today(self) -> str:
        return f"{self.moment:%Y-%m-%d}"

    def pass_one(self) -> None:
        self.moment += timedelta(days=1)


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Days:
    return Days(monkeypatch)


async def submitted(board: Board, **more: Any) -> str:
    return await board.submit(fairness_key=new_id(), **{"owner": "alice", "seconds": 10.0, **more})


async def used(board: Board, owner: str = "alice") -> dict[str, float]:
    async with board.sessions() as session:
        rows = await session.scalars(select(UsageRow).where(UsageRow.owner == owner))
        return {row.day: pytest.approx(row.seconds) for row in rows}


async def test_retry_is_charged_for_what_is_left_and_cancelling_it_refunds_no_more(board: Board, days: Days) -> None:
    job, first, left = await submitted(board), days.today, 10 * (1 - FRAMES[0] / sum(FRAMES))
    await board.do(await board.take())
    await board.do(await board.take())  # one segment
    await board.jobs.cancel(job)
    assert await used(board) == {first: 10 - left}
    days.pass_one()
    assert await board.jobs.retry(job)
    assert await used(board) == {first: 10 - left, days.today: left}
    await board.jobs.cancel(job)  # before anything is rendered again
    assert await used(board) == {first: 10 - left, days.today: 0}
    assert await board.jobs.retry(job)
    await board.do(await board.take())
    await board.do(await board.take())  # another segment
    await board.jobs.cancel(job)
    more = 10 * FRAMES[1] / sum(FRAMES)
    assert await used(board) == {first: 10 - left, days.today: more}
    assert await board.jobs.retry(job, quotas=Quotas(rendered_seconds_per_day=left + 1e-6))
    await board.work()
    assert await board.status(job) == "completed"
    assert await used(board) == {first: 10 - left, days.today: left}


async def test_part_whose_whole_is_retried_before_it_is_cancelled_is_charged_once(board: Board, days: Days) -> None:
    whole = await board.submit_outputs("tall", owner="alice")
    async with board.sessions.begin() as session:  # its process died just then
        await session.execute(update(JobRow).where(JobRow.id == whole).values(status="cancelled"))
    assert await board.jobs.retry(whole)
    assert await used(board) == {days.today: 20}
    await board.jobs.cancel(whole)
    assert await used(board) == {days.today: 0}


@pytest.mark.parametrize(("end", "kept"), [("cancel", 3.0), ("delete", 3.0), ("fail", 0.0)])
async def test_frame_that_has_begun_is_refunded_only_if_it_fails(
    board: Board, days: Days, end: str, kept: float
) -> None:
    waiting, begun = [await submitted(board, kind="frame", seconds=0.0, price=3.0, tasks=1) for _ in range(2)]
    assert await used(board) == {days.today: 6}
    claim = await board.take()
    waiting = waiting if claim.job == begun else begun
    await (board.jobs.fail(claim.job, "broken") if end == "fail" else getattr(board.jobs, end)(claim.job))
    await board.jobs.cancel(waiting)
    assert await used(board) == {days.today: kept}
    if end != "delete":  # all of it is done again
        assert await board.jobs.retry(claim.job)
        assert await used(board) == {days.today: kept + 3}


async def test_job_of_an_older_version_is_refunded_to_the_day_of_its_creation(board: Board, days: Days) -> None:
    job = await submitted(board)
    created = f"{(await board.job(job)).created_at:%Y-%m-%d}"
    async with board.sessions.begin() as session:
        await session.execute(update(JobRow).where(JobRow.id == job).values(charged=None, charged_on=None))
        await session.execute(update(UsageRow).values(day=created))
    await board.jobs.cancel(job)
    assert await used(board) == {created: 0}
    assert await board.jobs.retry(job)
    await board.jobs.cancel(job)
    assert all(seconds == 0 for seconds in (await used(board)).values())


@dataclass
class Attempt:
    """What a job is charged from when it is begun until it ends."""

    day: str
    before: float  # of its price, what earlier attempts rendered
    rendered: float | None = None  # in all, once it has ended


@dataclass
class Model:
    """What is known of a job from outside."""

    owner: str
    price: float
    single: bool
    attempts: list[Attempt] = field(default_factory=list)

    def begin(self, day: str) -> None:
        last = self.attempts[-1].rendered if self.attempts and not self.single else 0.0
        self.attempts.append(Attempt(day, last or 0.0))

    def end(self, rendered: float) -> None:
        self.attempts[-1].rendered = max(self.attempts[-1].before, rendered)

    def charges(self) -> list[tuple[str, float]]:
        """By day: what was rendered of each attempt, or is held by it."""
        return [
            (each.day, (self.price if each.rendered is None else each.rendered) - each.before) for each in self.attempts
        ]


@dataclass
class Walk:
    """Anything that clients, workers and midnight do, in any order, and a model of it beside."""

    board: Board
    days: Days
    dice: random.Random
    models: dict[str, Model] = field(default_factory=dict)
    gone: list[Model] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)

    async def step(self) -> None:
        if len(self.models) < FEW:
            await self.submit()
        often = [self.take, self.finish, self.renew] * 6 + [self.retry] * 4 + [self.end] * 2
        await self.dice.choice([*often, self.midnight, self.settle, self.replan, self.delete])()
        await self.follow()

    async def submit(self) -> None:
        kind = self.dice.choice(["video", "video", "video", "preview", "frame"])
        price = self.dice.choice([None, 25.0, 4.0])
        facts = {"owner": self.dice.choice(["alice", "bob"]), "kind": kind, "price": price}
        job = await submitted(self.board, **facts, seconds=0.0 if kind == "frame" else self.dice.choice([10.0, 3.0]))
        row = await self.board.job(job)
        self.models[job] = Model(row.owner, row.seconds if price is None else price, kind == "frame")
        self.models[job].begin(self.days.today)

    async def take(self) -> None:
        if (claim := await self.board.tasks.claim("worker")) is not None:
            self.claims.append(claim)

    async def finish(self) -> None:
        if self.claims:
            await self.board.do(self.claims.pop(self.dice.randrange(len(self.claims))))

    async def renew(self) -> None:
        if self.claims:
            await self.board.renew(self.dice.choice(self.claims), self.dice.randrange(5))

    async def settle(self) -> None:
        """A plan finds that the video is shorter than it might have been."""
        plans = [claim for claim in self.claims if claim.kind == "plan"]
        if plans and (row := await self.board.job(plans[0].job)).status in OPEN and not row.frames:
            shorter = row.seconds * 0.75
            await self.board.tasks.record_plan(plans[0], FRAMES, seconds=shorter)
            if (after := await self.board.job(row.id)).seconds == shorter:
                assert after.frames
                self.models[row.id].price = max(
                    self.models[row.id].price * 0.75, self.models[row.id].attempts[-1].before
                )

    async def end(self) -> None:
        if self.models:
            job = self.dice.choice(list(self.models))
            before = await self.board.job(job)
            failed = self.dice.random() < 0.5
            if await (self.board.jobs.fail(job, "broken") if failed else self.board.jobs.cancel(job)):
                await self.ended(job, before, failed=failed)

    async def ended(self, job: str, before: JobRow, *, failed: bool) -> None:
        model = self.models[job]
        if model.single:
            model.end(model.price if before.status == "rendering" and not failed else 0.0)
        else:
            model.end(model.price * before.frames_done / before.frames if before.frames else 0.0)

    async def retry(self) -> None:
        if self.models:
            job = self.dice.choice(list(self.models))
            if await self.board.jobs.retry(job):
                self.models[job].begin(self.days.today)

    async def replan(self) -> None:
        if self.models:
            row = await self.board.job(self.dice.choice(list(self.models)))
            if row.kind != "frame":
                await self.board.jobs.replan(row, row.scene, new_id())

    async def delete(self) -> None:
        if self.models:
            job = self.dice.choice(list(self.models))
            before = await self.board.job(job)
            if before.status in OPEN:
                await self.ended(job, before, failed=False)
            await self.board.jobs.delete(job)
            self.gone.append(self.models.pop(job))
            self.claims = [claim for claim in self.claims if claim.job != job]

    async def midnight(self) -> None:
        self.days.pass_one()

    async def follow(self) -> None:
        for job, model in self.models.items():
            row = await self.board.job(job)
            if row.status not in RETRYABLE and row.status not in OPEN and model.attempts[-1].rendered is None:
                model.end(model.price)
            assert row.charged is not None
            assert -1e-9 <= row.charged <= model.price + 1e-9
        for owner in ("alice", "bob"):
            expected: dict[str, float] = {}
            for model in (*self.models.values(), *self.gone):
                for day, seconds in model.charges() if model.owner == owner else ():
                    expected[day] = expected.get(day, 0.0) + seconds
            found = await used(self.board, owner)
            for day, seconds in found.items():
                assert seconds == expected[day], f"{owner}, {day}"
                assert expected[day] >= -1e-9
            latest = max(expected, default="")
            assert latest in found or not expected.get(latest), "what was charged last is forgotten"


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.campaign) for n in range(3, 40))])
async def test_account_is_what_was_rendered_and_what_open_jobs_hold(board: Board, days: Days, seed: int) -> None:
    walk = Walk(board, days, random.Random(seed))
    for _ in range(STEPS):
        await walk.step()
    assert walk.models or walk.gone
