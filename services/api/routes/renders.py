"""Renders: submitting a system as a job."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy.exc import IntegrityError

from ecs_core import MotesError
from ecs_core.formats import FACTS, Form, form_named
from ecs_core.output_names import MAIN, path_of_output
from ecs_core.video.quality import QualityLike
from services.api import openapi_links, schemas
from services.api.authentication import CallerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.idempotency import Answer, IdempotencyKey, idempotent
from services.api.route import Route
from services.auth.api_keys import ANONYMOUS, Caller
from services.auth.limits import check_length, check_requested, check_scene, slots_of, variant_named
from services.auth.quotas import quotas_of
from services.database.models import JobRow
from services.jobs import lost_files
from services.jobs.cost import STANDARD_TASK, cost_of, rendered_seconds
from services.jobs.fair_scheduler import WEIGHTS
from services.jobs.lifecycle import BatchError, Submission
from services.jobs.outputs import KIND, output_facts, part_id
from services.jobs.render_spec import (
    build_spec,
    build_specs,
    check_video,
    known_start,
    spec_key,
    video_seconds,
    warnings_of,
)
from services.jobs.task_memory import check_memory
from services.media.corrections import Corrections
from services.observability import traces
from services.storage.asset_references import references_in
from services.storage.object_keys import SINGLE_TASK_KINDS
from services.storage.reserved_names import is_reserved
from services.webhooks.delivery import check_target

router = APIRouter(tags=["jobs"], route_class=Route)
_NAME = re.compile(r"[^/\\\0\x01-\x1f\x7f]+(\.[a-z0-9]+)")
_LONGEST_NAME = 255  # bytes in UTF-8, as in most file systems
_LONGEST_STEM = 200  # characters of it that the names of variants begin with
_DEFAULTS = schemas.RenderRequest.model_validate({})


@router.post(
    "/systems/{system_id}/render",
    operation_id="render_system",
    status_code=202,
    response_model=schemas.RenderAccepted,
    responses={
        202: {
            "headers": {"Location": {"description": "the job", "schema": {"type": "string"}}},
            "links": openapi_links.JOB,
        },
        **problems(400, 404, 409, 413, 415, 422, 507),
    },
)
async def render_system(
    system_id: str,
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    body: schemas.RenderRequest = _DEFAULTS,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Render the system as it is now; later changes do not affect the render."""

    async def make(job_id: str) -> Answer:
        job, parts = await render_of(service, caller, system_id, body, job_id)
        await submit(service, caller, job, parts=parts)
        output = job.output_path
        base = request.url.path.removesuffix(f"/systems/{system_id}/render")
        accepted = schemas.RenderAccepted(job_id=job_id, message="Rendering started", output_path=output)
        return Answer(accepted, 202, {"Location": f"{base}/jobs/{job_id}"})

    return await idempotent(service, caller, request, idempotency_key, make)


async def render_of(
    service: Service, caller: Caller, system_id: str, body: schemas.RenderRequest, job_id: str
) -> tuple[JobRow, list[JobRow]]:
    """The job of a request to render a system, which is not stored yet, and the outputs that render it.

    Raises:
        HTTPException: there is no such system, or the request is not allowed.
        MotesError: it is invalid, or exceeds a limit; see :func:`job_of`.
    """
    row = await service.system_or_404(caller, system_id)
    if body.system_id not in (None, system_id):
        raise HTTPException(400, f"system_id {body.system_id!r}: is not the system in the path")
    check_output_name(body.output_path)
    if body.webhook_url is not None:
        await check_target(body.webhook_url, service.settings, owner=caller.owner)
    audio = row.audio if body.audio_path is None else (await service.songs.find(body.audio_path, caller)).sha256
    look = Look(row.particle_type, row.config, audio, row.owner)
    return await job_of(service, caller, job_id, look, body, output_path=body.output_path, system_id=system_id)


@dataclass(frozen=True)
class Look:
    """What a job renders: a type, its config, the song's sha256, and the owner of the assets."""

    particle_type: str
    config: Mapping[str, Any]
    audio: str | None
    asset_owner: str


async def job_of(
    service: Service,
    caller: Caller,
    job_id: str,
    look: Look,
    options: schemas.RenderOptions,
    *,
    output_path: str | None,
    system_id: str,
) -> tuple[JobRow, list[JobRow]]:
    """A new job, which is not stored yet, and the outputs that render it, if there are several.

    Raises:
        HTTPException: the name of the output is not allowed, or the priority is not for this key.
        SceneError: the config is invalid, also in a variant.
        LimitError: it exceeds a limit of this server.
    """
    check_priority(caller, options.priority)
    named = check_output_name(output_path)
    config = {**look.config, **options.over}
    if named is not None and options.format is None and "format" not in look.config:
        config["format"] = named
    check_requested(service.settings, config)
    specs = await _specs_of(
        service,
        look.particle_type,
        config,
        look.audio,
        options.asked_quality,
        owner=caller.owner,
        asset_owner=look.asset_owner,
    )
    scene, key = specs[MAIN]
    form: Form = scene["config"]["format"]
    if named not in (None, form):
        raise HTTPException(400, f"output_path {output_path!r}: its name is that of {named}, and format = {form}")
    job = JobRow(
        id=job_id,
        owner=caller.owner,
        fairness_key=caller.owner or system_id,
        kind="video",
        system_id=system_id,
        scene=scene,
        scene_key=key,
        output_path=output_path or f"video{FACTS[form].suffix}",
        priority=options.priority,
        webhook_url=options.webhook_url,
        outputs=[output_facts(name, own) for name, (own, _) in specs.items()],
    )
    return job, _parts(job, specs) if len(specs) > 1 else []


async def spec_of(
    service: Service,
    particle_type: str,
    config: dict[str, Any],
    audio: str | None,
    quality: QualityLike,
    *,
    owner: str,
    asset_owner: str = "",
    at: float | None = None,
) -> tuple[dict[str, Any], str]:
    """The render spec of the main output and its key, with the owner's correction of the song.

    See ``services.jobs.render_spec``.

    The assets are those of the system's owner, ``asset_owner``, for whom somebody else may render it.

    Raises:
        SceneError: the type or the config is invalid.
    """
    config = {name: value for name, value in config.items() if name != "variants"}
    references = await service.compute(partial(references_in, particle_type, config))
    assets = await service.assets.find(references, asset_owner) if references else {}
    analysis = await _correction(service, audio, owner)

    def freeze() -> tuple[dict[str, Any], str]:
        scene = build_spec(particle_type, config, audio, quality, at=at, analysis=analysis, assets=assets)
        return scene, spec_key(scene)

    return await service.compute(freeze)


async def _correction(service: Service, audio: str | None, owner: str) -> str | None:
    """The owner's correction of a song."""
    return None if audio is None else await Corrections(service.sessions, service.storage).current(audio, owner)


async def _specs_of(
    service: Service,
    particle_type: str,
    config: dict[str, Any],
    audio: str | None,
    quality: QualityLike,
    *,
    owner: str,
    asset_owner: str,
) -> dict[str, tuple[dict[str, Any], str]]:
    """The specs of all outputs and their keys, by name; as above.

    Raises:
        SceneError: the type or the config is invalid, or with a variant.
    """
    references = await service.compute(partial(references_in, particle_type, config))
    assets = await service.assets.find(references, asset_owner) if references else {}
    analysis = await _correction(service, audio, owner)

    def freeze() -> dict[str, tuple[dict[str, Any], str]]:
        specs = build_specs(particle_type, config, audio, quality, analysis=analysis, assets=assets)
        return {name: (scene, spec_key(scene)) for name, scene in specs.items()}

    return await service.compute(freeze)


def _parts(whole: JobRow, specs: Mapping[str, tuple[dict[str, Any], str]]) -> list[JobRow]:
    """The outputs of a job as jobs; the job is told which they are."""
    common = ("owner", "fairness_key", "system_id", "priority")
    stem = PurePosixPath(whole.output_path[:_LONGEST_STEM]).stem
    parts = [
        JobRow(
            **{name: getattr(whole, name) for name in common},
            id=part_id(whole.id, name),
            kind=KIND,
            whole_id=whole.id,
            scene=scene,
            scene_key=key,
            output_path=whole.output_path
            if name == MAIN
            else str(path_of_output(PurePosixPath(f"{stem}.x"), name, scene["config"]["format"])),
        )
        for name, (scene, key) in specs.items()
    ]
    whole.outputs = [{**each, "job": part.id} for each, part in zip(whole.outputs or (), parts, strict=True)]
    return parts


async def submit(service: Service, caller: Caller, job: JobRow, *, parts: Sequence[JobRow] = ()) -> JobRow:
    """Store a job, whose outputs ``parts`` render, if there are any, and notify workers.

    A job that is stored already stays as it is.

    Raises:
        LimitError: it exceeds a limit of this server or a quota of its owner.
        InsufficientStorageError: it has to be rendered and the disk has no room for it.
    """
    submission, seconds = await submission_of(service, caller, job, parts)
    admit = await service.disk_admission.jobs_admission(seconds)
    with traces.span(f"submit {job.kind}", "producer", parent={}, attributes={"motes.job": job.id}):
        for each in (job, *parts):
            each.traceparent = traces.traceparent()
        await lost_files.forget_lost_results(service.sessions, service.storage, submission.rendered)
        try:
            quotas = quotas_of(service.settings, caller)
            stored = await service.jobs.submit(
                job, tasks=submission.tasks, parts=submission.parts, quotas=quotas, admit=admit
            )
        except IntegrityError:  # another request stored it at the same moment
            stored = await service.job_or_404(ANONYMOUS, job.id)
    service.notifier.wake()
    return stored


async def submit_all(service: Service, caller: Caller, jobs: Sequence[tuple[JobRow, Sequence[JobRow]]]) -> None:
    """Store several jobs of one batch, each with its parts, or none of them; as :func:`submit`.

    Raises:
        BatchError: one of them is refused; its cause says why.
    """
    submissions, seconds = [], dict[str, float]()
    for number, (job, parts) in enumerate(jobs):
        try:
            submission, own = await submission_of(service, caller, job, parts)
        except MotesError as error:
            raise BatchError(number) from error
        submissions.append(submission)
        seconds |= own
    admit = await service.disk_admission.jobs_admission(seconds)
    with traces.span("submit batch", "producer", parent={}, attributes={"motes.batch": str(jobs[0][0].batch_id)}):
        for job, parts in jobs:
            for each in (job, *parts):
                each.traceparent = traces.traceparent()
        rendered = [row for each in submissions for row in each.rendered]
        await lost_files.forget_lost_results(service.sessions, service.storage, rendered)
        await service.jobs.submit_all(submissions, quotas=quotas_of(service.settings, caller), admit=admit)
    service.notifier.wake()


async def submission_of(
    service: Service, caller: Caller, job: JobRow, parts: Sequence[JobRow]
) -> tuple[Submission, dict[str, float]]:
    """A job as a caller submits it, and the seconds of its outputs' videos, by the ids of what renders them.

    Raises:
        SceneError, LimitError: as :func:`_admitted_seconds`.
    """
    song = await service.songs.get(job.scene["audio"])
    heard = song.duration if song else 0.0
    seconds: dict[str, float] = {}
    for number, each in enumerate(parts or (job,)):
        with variant_named(number):
            seconds[each.id] = _admitted_seconds(service, each, heard)
    turns = {}
    for each in parts or (job,):
        cost = cost_of(each.scene, each.kind, seconds=seconds[each.id], heard=heard)
        each.price = rendered_seconds(cost, each.seconds or 0.0)
        each.plan_cost = cost.plan / STANDARD_TASK / WEIGHTS[each.priority]
        turns[each.id] = cost.turns
    for each in (job, *parts):
        each.slots = slots_of(service.settings, caller)
    job.warnings = song.warnings if song else []
    if job.kind not in SINGLE_TASK_KINDS:
        job.warnings = [*job.warnings, *await service.compute(partial(warnings_of, job.scene))]
        job.start = known_start(job.scene)
    return Submission(job, turns.get(job.id, 0.0), [(part, turns[part.id]) for part in parts]), seconds


def _admitted_seconds(service: Service, job: JobRow, heard: float) -> float:
    """How long a job's video will be, which is charged to its owner; ``heard`` is the duration of its song.

    Raises:
        SceneError: it is too long for its format.
        LimitError: it exceeds a limit of this server.
    """
    seconds = video_seconds(job.scene, heard)
    if job.kind == "frame" or job.kind not in SINGLE_TASK_KINDS:  # the other kinds only analyse
        check_scene(service.settings, job.scene["config"])
        check_length(service.settings, seconds)
        job.start = known_start(job.scene)
    if job.kind not in SINGLE_TASK_KINDS:
        check_video(job.scene, seconds)
        job.seconds = seconds
    check_memory(service.settings, job.scene, job.kind, seconds=max(seconds, heard))
    return seconds


def check_priority(caller: Caller, priority: str) -> None:
    """Refuse high priority to a key that may not ask for it.

    Raises:
        HTTPException: 403, which names the scope.
    """
    if priority == "high" and not caller.has_scope("priority"):
        has = ", ".join(sorted(caller.scopes))
        raise HTTPException(403, f"priority high: the API key lacks the scope 'priority'; it has {has}")


def check_output_name(name: str | None) -> Form | None:
    """The format that the name of the download ends in; the name has to be a plain file name."""
    if name is None:
        return None
    whole = _NAME.fullmatch(name)
    form = None if whole is None or name == whole[1] else form_named(PurePosixPath(f"x{whole[1]}"))
    if form is None or name.startswith(".") or is_reserved(name) or name != name.strip():
        endings = ", ".join(facts.suffix for facts in FACTS.values())
        raise HTTPException(400, f"output_path {name[:300]!r}: must be a plain file name that ends in {endings}")
    size = len(name.encode(errors="replace"))
    if size > _LONGEST_NAME:
        raise HTTPException(400, f"output_path: has {size} bytes in UTF-8; allowed: at most {_LONGEST_NAME}")
    return form
