"""Particle types and kinds of layers, and their settings."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, Response
from pydantic import TypeAdapter

from ecs_core.plugin_api import particle_types
from services.api import schemas
from services.api.dependencies import ServiceDep
from services.api.errors import problems
from services.api.route import Route
from services.type_catalogue import describe, describe_layers

router = APIRouter(tags=["types"], route_class=Route)
_LIST = TypeAdapter(list[schemas.ParticleTypeInfo])
_LAYERS = TypeAdapter(list[schemas.LayerKindInfo])


@router.get(
    "/types", operation_id="list_types", response_model=list[schemas.ParticleTypeInfo], responses=problems(key=False)
)
async def list_types(service: ServiceDep) -> Response:
    """Every particle type and its settings."""
    return Response(await service.compute(all_types), media_type="application/json")


@cache
def all_types() -> bytes:
    """All types as JSON; cached, as describing them sets up a world for each."""
    types = particle_types().types.values()
    return _LIST.dump_json([schemas.ParticleTypeInfo.model_validate(describe(kind, local=False)) for kind in types])


@router.get(
    "/layers", operation_id="list_layers", response_model=list[schemas.LayerKindInfo], responses=problems(key=False)
)
async def list_layers(service: ServiceDep) -> Response:
    """Every kind of layers that a config can have, and its settings."""
    return Response(await service.compute(all_layers), media_type="application/json")


@cache
def all_layers() -> bytes:
    """All kinds of layers as JSON."""
    return _LAYERS.dump_json([schemas.LayerKindInfo.model_validate(each) for each in describe_layers(local=False)])
