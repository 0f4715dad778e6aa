"""Checks of settings, which must describe a form, and of presets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from ecs_core.errors import SceneError
from ecs_core.scene.settings import LEFT_TO_TYPES, NOT_OF_ALL, Settings
from ecs_core.testing import songs
from ecs_core.testing.report import Problem
from ecs_core.testing.simulate import TypeFailedError, simulate
from ecs_core.testing.subject import Subject


def schema(subject: Subject) -> Iterator[Problem]:
    """Every setting that the type adds has a description, a group and limits."""
    model = subject.particle_type.settings
    whole = model.model_json_schema()
    lacking = [
        f"{name} has no {' and no '.join(missing)}"
        for name in _own_fields(model)
        if (missing := _missing(whole["properties"][name], whole, required=name in whole.get("required", ())))
    ]
    if lacking:
        yield Problem(
            "schema",
            f"settings from which no form can be drawn: {'; '.join(lacking)}.",
            'Declare them as option(default, "what it is", group="motion", unit="units", ge=…, le=…).',
        )
    try:
        model.model_validate(model().model_dump(warnings=False))
    except ValueError as error:
        yield Problem(
            "schema", f"the settings' own defaults are not valid: {_line(error)}", "Put defaults within the limits."
        )


def ignored(subject: Subject) -> Iterator[Problem]:
    """Every setting that the type adds has an effect; so have those of all types, where it says which have none."""
    kind = subject.particle_type
    if kind.populate is None:
        return  # there is no code to read any
    read: set[str] = set()
    for settings in _ways(subject):
        with _recording(settings, read):
            simulate(kind, settings, songs.pulsing)
    own, said = _own_fields(kind.settings), kind.settings.ignored
    of_the_type = dict.fromkeys((*LEFT_TO_TYPES, *own))
    unread = [name for name in (of_the_type if said else own) if name not in read and name not in said]
    if unread:
        yield Problem(
            "ignored",
            f"nothing reads these settings: {', '.join(unread)}.",
            f"Use them, or tell users: write ignored = (…, {unread[0]!r}, …) in {kind.settings.__name__}.",
        )
    wrong = [name for name in said if name not in NOT_OF_ALL and (name in read or name not in of_the_type)]
    if wrong:
        yield Problem(
            "ignored",
            f"these settings are said to be ignored, but are read, or not the type's to heed: {', '.join(wrong)}.",
            f"Take them out of ignored in {kind.settings.__name__}.",
        )


def _ways(subject: Subject) -> list[Settings]:
    """Settings that are likely to take all branches of a type's code: defaults, each choice made otherwise, presets."""
    kind, configs = subject.particle_type, list[Mapping[str, Any]]([{}])
    for name in _own_fields(kind.settings):
        field = kind.settings.model_fields[name]
        if field.annotation is bool:
            configs.append({name: not field.get_default(call_default_factory=True)})
        configs += [{name: each} for each in get_args(field.annotation) if get_origin(field.annotation) is Literal]
    found = []
    for name in kind.preset_names():
        with suppress(SceneError):  # which the check of presets reports
            configs.append(kind.preset(name))
    for config in configs:
        with suppress(SceneError):
            found.append(subject.settings(**{**config, "duration": 1.0}))
    return found


@contextmanager
def _recording(settings: Settings, read: set[str]) -> Iterator[None]:
    """Add the names of fields of these settings that somebody reads to ``read``."""
    model = type(settings)

    def get(self: Settings, name: str) -> Any:
        if self is settings:
            if name in model.model_fields:
                read.add(name)
            elif name in ("model_dump", "model_dump_json", "__dict__", "__iter__"):
                read.update(model.model_fields)
        return object.__getattribute__(self, name)

    model.__getattribute__ = get  # type: ignore[assignment]  # for the time of a run
    try:
        yield
    finally:
        del model.__getattribute__


def presets(subject: Subject) -> Iterator[Problem]:
    """Every preset is valid and runs."""
    kind = subject.particle_type
    if kind.presets is not None and not kind.preset_names():
        yield Problem(
            "presets",
            f"there are no *.json files in {kind.presets}.",
            "Name the folder as Path(__file__).parent / 'presets', and add it to package-data.",
        )
    for name in kind.preset_names():
        try:
            alone = replace(subject, config=kind.preset(name))
            simulate(kind, alone.settings(duration=0.1), songs.pulsing)
        except (SceneError, ValueError, TypeError, TypeFailedError) as error:
            yield Problem(
                "presets",
                f"preset {name!r} does not work: {_line(error)}.",
                f"Put {Path(kind.presets or '') / name}.json right, or the settings that it is checked by.",
            )


def _own_fields(model: type[Settings]) -> list[str]:
    """The fields that a model or its bases add to Settings or redefine."""
    below = [each for each in model.__mro__ if issubclass(each, Settings) and each is not Settings]
    added = {name for each in below for name in each.__annotations__}
    return [name for name in model.model_fields if name in added]


def _missing(field: Mapping[str, Any], whole: Mapping[str, Any], *, required: bool) -> list[str]:
    """What is missing in a field's schema."""
    # A field that is a model has its title there, the rest here.
    words = ("description", "group") if "$ref" in field else ("title", "description", "group")
    missing = [word for word in words if not _text(field.get(word))]
    return [*missing, *(("default",) if required else ()), *_without_limits(field, whole)]


def _without_limits(field: Mapping[str, Any], whole: Mapping[str, Any]) -> list[str]:
    """Which of "minimum" and "maximum" is missing for a number in the field, at any depth."""
    found: list[str] = []
    if field.get("type") in ("number", "integer") and not {"enum", "const"} & field.keys():
        for word, other in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if word not in field and other not in field:
                found.append(word)
    parts = [*field.get("anyOf", ()), *field.get("oneOf", ()), *field.get("allOf", ()), *field.get("prefixItems", ())]
    if isinstance(field.get("items"), dict):
        parts.append(field["items"])
    if "$ref" in field:
        target = whole["$defs"][field["$ref"].rsplit("/", 1)[-1]]
        parts += target.get("properties", {}).values()
    for part in parts:
        found += [word for word in _without_limits(part, whole) if word not in found]
    return found


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
