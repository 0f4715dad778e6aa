"""Synthetic timelines for the checks of particle types.

They are given as features, not as sound, so that a check takes no time to listen and is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.timeline import EVENTS, FEATURES, FeatureTimeline
from ecs_core.plugin_api import particle_types

Song = Callable[[Fraction, int], FeatureTimeline]  # at so many frames a second, so many frames long


def silence(fps: Fraction, frames: int) -> FeatureTimeline:
    """Silence."""
    return FeatureTimeline.silence(fps, frames, more=particle_types().features)


def loud(fps: Fraction, frames: int) -> FeatureTimeline:
    """Every feature is always 1, with an event of every kind each quarter of a second."""
    return _song(fps, frames, lambda t, number: np.ones_like(t), every=0.25)


def pulsing(fps: Fraction, frames: int) -> FeatureTimeline:
    """Features swell and fade every two seconds, one after the other; an event of every kind each half second.

    They are smooth, so that their mean is the same at any frame rate.
    """
    return _song(fps, frames, lambda t, number: (0.5 - 0.5 * np.cos(np.pi * t - 0.1 * number)) ** 2, every=0.5)


def _song(
    fps: Fraction, frames: int, curve: Callable[[NDArray[Any], int], NDArray[Any]], *, every: float
) -> FeatureTimeline:
    """Features follow ``curve(seconds, number of the feature)``; there is an event ``every`` so many seconds."""
    seconds = float(frames / fps)
    middles = (np.arange(frames) + 0.5) * float(1 / fps)
    names = (*FEATURES, *particle_types().features)
    features = {name: curve(middles, number).astype(np.float32) for number, name in enumerate(names)}
    times = np.arange(every / 2, seconds, every)
    return FeatureTimeline(fps, frames, seconds, 60 / every, features, dict.fromkeys(EVENTS, times))
