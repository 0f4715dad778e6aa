"""Checks of a layer before any work is done: its bindings, and whatever its kind refuses."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from ecs_core.audio.timeline import LEVELS, FeatureTimeline
from ecs_core.errors import SceneError
from ecs_core.layers.kind import LayerKind
from ecs_core.scene.layer_settings import DrawnSettings, PlacedLayer
from ecs_core.systems.audio_reaction import no_source


def check_layer(kind: LayerKind, settings: PlacedLayer, features: Iterable[str], *, width: int, height: int) -> None:
    """Refuse a layer that cannot be drawn in a picture of so many pixels; ``features`` are those of plugins.

    Raises:
        SceneError: a binding has an unknown source or target, or the kind refuses it.
    """
    check_moved(settings, kind.targets, features)
    if kind.check is not None:
        kind.check(settings)
    if kind.fits is not None:
        kind.fits(settings, width, height)


def check_moved(settings: DrawnSettings, targets: Iterable[str], features: Iterable[str]) -> None:
    """Refuse bindings that have an unknown source, or a target that is none of these; ``features`` are of plugins.

    Raises:
        SceneError: names the binding, and what there is.
    """
    heard = FeatureTimeline.silence(Fraction(30), 1, more=(*LEVELS, *features))
    for number, wanted in enumerate(settings.bindings):
        if wanted.source not in heard.features and heard.event_of(wanted.source) is None:
            raise SceneError(f"bindings.{number}.source = {wanted.source!r}: {no_source(heard)}")
        if wanted.target not in targets:
            names = ", ".join(sorted(targets))
            raise SceneError(f"bindings.{number}.target = {wanted.target!r}: no such number; there are: {names}")
