"""Analyses of songs, made by workers and stored; a corrected document counts for its owner from then on."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query, Request, Response

from ecs_core import AudioError, SceneError
from ecs_core.audio.document import Document, check
from ecs_core.plugin_api import particle_types
from services.api import schemas
from services.api.authentication import Caller, CallerDep
from services.api.dependencies import Service, ServiceDep
from services.api.errors import problems
from services.api.file_responses import VALIDATORS
from services.api.route import Bounds, Route
from services.api.routes.previews import respond_with_result
from services.api.routes.renders import spec_of
from services.auth.quotas import quotas_of
from services.database.models import AudioRow, JobRow
from services.media.corrections import Corrections
from services.media.songs import SongNotFoundError, audio_path_of


class _Route(Route):
    """Documents may be longer than other bodies: three hours of music fit."""

    bounds = Bounds(size=3_000_000, values=500_000, advice="; leave out the curves, and events that are as heard")


router = APIRouter(tags=["audio"], route_class=_Route)
_FOUND: dict[int | str, dict[str, Any]] = {
    200: {"headers": VALIDATORS},
    304: {"description": "The client has it, by `If-None-Match`"},
}
_NEAR = 0.01  # tolerance in seconds between the durations of a song and its document


@router.get(
    "/audio/{audio_id}/analysis",
    operation_id="analysis_of_audio",
    response_model=Document,
    responses=_FOUND | problems(400, 404, 416),
)
async def analysis_of_audio(
    audio_id: str,
    service: ServiceDep,
    caller: CallerDep,
    request: Request,
    curves: bool = Query(False, description="with all curves, some megabytes"),
    bpm: float | None = Query(None, ge=20, le=400, description="the tempo, where it is known"),
    beat_offset: float | None = Query(None, ge=0, le=86_400, description="when any beat is, in seconds"),
    beat_octave: Annotated[schemas.BeatOctave | None, Query(description="count half or double the beats heard")] = None,
    metre: int | None = Query(None, ge=2, le=12, description="beats a bar"),
    track: int | None = Query(None, ge=0, le=63, description="sound track of a file that has several, from 0"),
) -> Response:
    """The analysis of a song as a document, including your own correction if there is one."""
    song = await _song(service, caller, audio_id)
    given = {"bpm": bpm, "beat_offset": beat_offset, "beat_octave": beat_octave, "metre": metre, "track": track}
    config = {name: value for name, value in given.items() if value is not None}
    kind = min(particle_types().types)  # any type will do: the analysis does not depend on it
    scene, key = await spec_of(service, kind, config, song.sha256, "standard", owner=caller.owner)
    what = "curves" if curves else "analysis"
    job = JobRow(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{caller.owner} {what} {key}")),
        owner=caller.owner,
        fairness_key=caller.owner or song.sha256[:36],
        kind=what,
        system_id="",
        scene=scene,
        scene_key=key,
        output_path="analysis.json",
        priority="high",
    )
    return await respond_with_result(service, caller, request, job)


@router.put("/audio/{audio_id}/analysis", operation_id="correct_analysis", responses=problems(400, 404, 413, 415, 422))
async def correct_analysis(
    audio_id: str, body: Annotated[dict[str, Any], Body()], service: ServiceDep, caller: CallerDep
) -> schemas.Message:
    """Store a corrected document: its values replace the analysis, the rest stays as analysed. Curves are ignored.

    Renders submitted from now on use it, also those of systems that already have the song.
    """
    song = await _song(service, caller, audio_id)
    plain = {name: value for name, value in body.items() if name not in ("curves", "frames")}

    def checked() -> str:
        seconds = float(check(plain, where="analysis").seconds)
        if abs(seconds - song.duration) > _NEAR:
            raise SceneError(f"analysis: duration {seconds:g} s: is of another song, this one has {song.duration:g} s")
        return json.dumps(plain, sort_keys=True)

    text = await service.compute(checked)
    quotas = quotas_of(service.settings, caller)
    try:
        await Corrections(service.sessions, service.storage).save(song.sha256, caller.owner, text, quotas=quotas)
    except SongNotFoundError:  # just now
        raise HTTPException(404, "Song not found") from None
    return schemas.Message(message="Analysis corrected")


@router.delete("/audio/{audio_id}/analysis", operation_id="forget_correction", responses=problems(404))
async def forget_correction(audio_id: str, service: ServiceDep, caller: CallerDep) -> schemas.Message:
    """Delete the correction; the song's own analysis counts again."""
    song = await _song(service, caller, audio_id)
    await Corrections(service.sessions, service.storage).clear(song.sha256, caller.owner)
    return schemas.Message(message="Correction forgotten")


async def _song(service: Service, caller: Caller, audio_id: str) -> AudioRow:
    try:
        return await service.songs.find(audio_path_of(audio_id, ""), caller)
    except AudioError:
        raise HTTPException(404, "Song not found") from None
