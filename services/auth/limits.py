"""Limits that every request is held to, and the errors for exceeding a limit or a quota.

``services.auth.quotas`` counts what an owner has, ``services.api`` counts requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from ecs_core import MotesError, SceneError
from ecs_core.plugin_api import particle_types
from ecs_core.scene.variants import VariantSettings
from services.auth.api_keys import Caller
from services.settings import ServiceSettings

_RATE = re.compile(r"[0-9]{1,9}(/[1-9][0-9]{0,8})?")
_HUGE = 1e100
_RETRY_AFTER = 10  # seconds after which a job may have ended or something may have been deleted


class LimitError(MotesError):
    """A request exceeds a limit of this server: the limit's name and value, and what was asked for."""

    def __init__(self, limit: str, value: float, problem: str) -> None:
        super().__init__(f"{problem}: at most {value:.15g} here (limit {limit})")
        self.limit, self.value = limit, int(value) if value == int(value) else value
        self.problem = problem


class QuotaError(LimitError):
    """A caller has used up a quota and may retry after ``seconds``."""

    def __init__(self, limit: str, value: float, problem: str, *, seconds: float = _RETRY_AFTER) -> None:
        super().__init__(limit, value, problem)
        self.seconds = seconds


def limit_of(settings: ServiceSettings, caller: Caller, name: str) -> float | None:
    """A caller's limit: its key's own, or the default. Without a key only explicitly set limits apply."""
    if name in caller.limits:
        return caller.limits[name]
    setting = f"limit_{name}"
    if caller.key is None and setting not in settings.model_fields_set:
        return None
    return float(getattr(settings, setting))


def slots_of(settings: ServiceSettings, caller: Caller) -> int | None:
    """How many slots of workers a caller's jobs may hold at a time; None if as many as there are."""
    return int(limit_of(settings, caller, "running_tasks") or 0) or None


def check_scene(settings: ServiceSettings, config: Mapping[str, Any]) -> None:
    """Refuse a complete config that exceeds a limit of this server, with or without a variant.

    Raises:
        LimitError: names the limit, its value, and the value given.
    """
    width, height = config["width"], config["height"]
    check_limit("max_pixels", settings.max_pixels, width * height, f"width × height = {width} × {height}")
    check_limit("max_fps", settings.max_fps, Fraction(str(config["fps"])), f"fps = {config['fps']}")
    for name in ("particle_count", "max_particles"):
        check_limit("max_particles", settings.max_particles, config[name], f"{name} = {config[name]}")
        more = [layer["config"][name] for layer in config.get("layers", ()) if name in _heeded(layer)]
        if more:
            whole = config[name] + sum(more)
            check_limit("max_particles", settings.max_particles, whole, f"{name} = {whole} in all layers")
    if config["duration"] not in (None, "audio"):
        check_length(settings, float(config["duration"]))
    check_variants(settings, config)
    for number, variant in enumerate(config.get("variants", ())):
        own = VariantSettings.model_validate(variant).config()
        with variant_named(number + 1):
            check_scene(settings, {**config, **own, "variants": []})


@contextmanager
def variant_named(number: int) -> Iterator[None]:
    """Errors about the output of this number name its variant; the main one, 0, is none."""
    try:
        yield
    except LimitError as error:
        raise LimitError(error.limit, error.value, _named(number, error.problem)) from None
    except SceneError as error:
        raise SceneError(_named(number, str(error))) from None


def _named(number: int, problem: str) -> str:
    return f"variants.{number - 1}: {problem}" if number else problem


def check_variants(settings: ServiceSettings, config: Mapping[str, Any]) -> None:
    """Refuse a client's config with too many variants.

    Raises:
        LimitError: as above.
    """
    variants = config.get("variants")
    number = len(variants) if isinstance(variants, list) else 0
    check_limit("max_variants", settings.max_variants, number, f"{number} variants")


def _heeded(layer: Mapping[str, Any]) -> set[str]:
    """The settings of a layer that its type does not ignore."""
    if "config" not in layer:  # it shows no particles
        return set()
    kind = particle_types().types.get(layer["type"])
    return set(layer["config"]) - set(kind.settings.ignored if kind is not None else ())


def check_requested(settings: ServiceSettings, config: Mapping[str, Any]) -> None:
    """Refuse a client's config that exceeds a limit, before it is validated.

    So the error names this server's limit rather than the larger one of the setting itself.

    Raises:
        LimitError: as above.
    """
    nothing = {"width": 0, "height": 0, "fps": 0, "particle_count": 0, "max_particles": 0, "duration": None}
    given = {name: config[name] for name in nothing if _is_number(config.get(name))}
    if isinstance(rate := config.get("fps"), str) and _RATE.fullmatch(rate):
        given["fps"] = rate
    check_scene(settings, nothing | given)
    check_variants(settings, config)
    layers = config.get("layers")
    texts = [layer.get("text") for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
    letters = sum(len(text) for text in texts if isinstance(text, str))
    check_limit("max_letters", settings.max_letters, letters, f"layers: have {letters} letters of text")
    for layer in layers if isinstance(layers, list) else ():
        own = layer.get("config") if isinstance(layer, dict) else None
        for name in ("particle_count", "max_particles"):
            if isinstance(own, dict) and _is_number(own.get(name)):
                check_limit("max_particles", settings.max_particles, own[name], f"{name} = {own[name]}")


def _is_number(value: object) -> bool:
    """Whether it is a positive number, small enough to compare quickly."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _HUGE


def check_length(settings: ServiceSettings, seconds: float) -> None:
    """Refuse a video that is longer than this server renders.

    Raises:
        LimitError: as above.
    """
    check_limit("max_seconds", settings.max_seconds, seconds, f"duration = {seconds:g} s")


def check_limit(limit: str, value: float, given: float | Fraction, problem: str) -> None:
    """Refuse a value above a limit; ``problem`` is the beginning of the message.

    Raises:
        LimitError: the value is above the limit.
    """
    if given > value:
        raise LimitError(limit, value, problem)
