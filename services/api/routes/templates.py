"""Templates: whole looks with slots, and their pictures."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import TypeAdapter

import ecs_core.templates
from ecs_core.templates.template import find_template, template_names
from services.api import schemas
from services.api.dependencies import ServiceDep
from services.api.errors import problems
from services.api.file_responses import file_content
from services.api.route import Route

router = APIRouter(tags=["templates"], route_class=Route)
_LIST = TypeAdapter(list[schemas.TemplateInfo])
PICTURES = Path(ecs_core.templates.__file__).parent / "pictures"
_CACHE = {"Cache-Control": "public, max-age=3600"}


@router.get(
    "/templates",
    operation_id="list_templates",
    response_model=list[schemas.TemplateInfo],
    responses=problems(key=False),
)
async def list_templates(service: ServiceDep, request: Request) -> Response:
    """Every template, what it looks like, and its slots."""
    base = request.url.path.rstrip("/")
    return Response(await service.compute(lambda: all_templates(base)), media_type="application/json")


@lru_cache(8)
def all_templates(base: str = "") -> bytes:
    """All templates as JSON; ``base`` begins the addresses of their pictures."""
    shown = []
    for name in template_names():
        template = find_template(name)
        plain = template.model_dump(mode="json", exclude={"config", "type"})
        picture = f"{base}/{name}/picture" if picture_of(name) is not None else None
        shown.append(schemas.TemplateInfo.model_validate(plain | {"particle_type": template.type, "picture": picture}))
    return _LIST.dump_json(shown)


@router.get(
    "/templates/{template}",
    operation_id="get_template",
    response_model=schemas.TemplateFile,
    responses=problems(404, key=False),
)
async def get_template(template: str, service: ServiceDep) -> Response:
    """A template as it is in its file, to copy and change."""
    _check(template)
    return Response(
        await service.compute(lambda: find_template(template).model_dump_json()), media_type="application/json"
    )


@router.get(
    "/templates/{template}/picture",
    operation_id="get_template_picture",
    response_class=Response,
    responses={200: {"description": "The picture", **file_content("image/webp")}, **problems(404, key=False)},
)
async def get_template_picture(template: str) -> Response:
    """What the template looks like, in motion."""
    _check(template)
    picture = picture_of(template)
    if picture is None:
        raise HTTPException(404, "The template has no picture")
    return Response(picture, headers=_CACHE, media_type="image/webp")


@cache
def picture_of(name: str) -> bytes | None:
    """The moving picture of a template that there is, as a WebP file; None if it has none."""
    path = PICTURES / f"{name}.webp"
    return path.read_bytes() if path.is_file() else None


def _check(name: str) -> None:
    if name not in template_names():
        raise HTTPException(404, f"Template not found. Available templates: {template_names()}")
