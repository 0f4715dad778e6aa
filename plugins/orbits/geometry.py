"""Where bodies are: circles in tilted planes, seen in perspective, and how far drums have pushed bodies along them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecs_core import F32, FeatureTimeline

FAR_EYE = 2800.0  # units from the centre to the eye
_LASTS = 0.45  # seconds: after so long a drum's push has fallen to 1/e
_NONE = np.zeros(0)


@dataclass(frozen=True)
class Family:
    """How the orbits of a family lie.

    Bodies are up to ``radius`` units from the centre, (``x``, ``y``). Orbits are tilted by ``tilt`` and turned
    clockwise by ``turn`` degrees; turned further by ``drift`` degrees a second. ``swell`` is added to their size, as
    a share. ``open`` makes them larger and shows them more from above, from 0 to 1. ``guide`` is the light of lines
    along orbits.
    """

    bindable: ClassVar[tuple[str, ...]] = ("tilt", "turn", "swell", "open", "guide")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {"tilt": (0.0, 180.0), "swell": (-0.9, 3.0), "open": (0.0, 1.0), "guide": (0.0, 100.0)}
    )

    x: float
    y: float
    tilt: float
    turn: float
    drift: float
    swell: float = 0.0
    open: float = 0.0
    guide: float = 0.0


@dataclass(frozen=True)
class Drum:
    """The ``event`` of the drum that pushes a family: just after a stroke bodies are 1 + ``push`` times as fast."""

    bindable: ClassVar[tuple[str, ...]] = ()

    event: str
    push: float


@dataclass(frozen=True, eq=False, slots=True)
class Strokes:
    """The strokes of a drum: their times, and for each the sum of strengths so far and what is left of them then."""

    times: NDArray[np.float64]
    total: NDArray[np.float64]
    left: NDArray[np.float64]

    @staticmethod
    def of(timeline: FeatureTimeline, event: str) -> Strokes:
        """The strokes of a song."""
        times = timeline.events.get(event, _NONE)
        strong = timeline.strengths.get(event)
        strengths = np.ones(len(times)) if strong is None else strong.astype(np.float64)
        left, rest, before = np.empty(len(times)), 0.0, 0.0
        for at, (time, strength) in enumerate(zip(times.tolist(), strengths.tolist(), strict=True)):
            rest = rest * math.exp((before - time) / _LASTS) + strength
            left[at], before = rest, time
        return Strokes(times, np.cumsum(strengths), left)

    def pushed(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """The seconds by which a push of 1 has set bodies ahead until so many seconds of the song; any shape."""
        at = np.asarray(seconds, np.float64)
        if not len(self.times):
            return np.zeros_like(at)
        newest = np.searchsorted(self.times, at, side="right") - 1
        which = np.maximum(newest, 0)
        left = self.left[which] * np.exp(-np.maximum(at - self.times[which], 0) / _LASTS)
        return np.where(newest >= 0, _LASTS * (self.total[which] - left), 0.0)


def places(family: Family, seconds: float, radius: F32, angle: F32, tilt: F32, turn: F32) -> tuple[F32, F32, F32]:
    """Where bodies are seen, x and y in units, and their scale, which is 1 as far away as the centre.

    ``radius`` (units) and ``angle`` (radians) are of bodies on their orbits; ``tilt`` and ``turn`` (degrees) are added
    to those of the family. Arrays of any shapes that fit together.
    """
    size = np.float32((1 + 0.12 * family.open) * (1 + family.swell))
    tilted = np.float32(math.pi / 180) * (np.float32(family.tilt * (1 - 0.14 * family.open)) + tilt)
    turned = np.float32(math.pi / 180) * (np.float32((family.turn + family.drift * seconds) % 360) + turn)
    along, across = size * radius * np.cos(angle), size * radius * np.sin(angle)
    depth = across * np.sin(tilted)
    across = across * np.cos(tilted)
    scale = np.float32(FAR_EYE) / np.maximum(np.float32(FAR_EYE) - depth, np.float32(FAR_EYE / 4))
    along, across = along * scale, across * scale
    c, s = np.cos(turned), np.sin(turned)
    return np.float32(family.x) + along * c - across * s, np.float32(family.y) + along * s + across * c, scale
