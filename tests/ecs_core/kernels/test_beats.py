"""The best chain of beats: its way back is right through steady tempi, neighbouring ones, and jumps."""

from __future__ import annotations

import numpy as np
import pytest

from ecs_core.arrays import F32
from ecs_core.audio.beat_chain import best_chain

PERIODS = np.arange(8, 135, dtype=np.float32)  # as many as there are tempi from 40 to 240 a minute, and two more


def chain(lengths: list[int]) -> list[int]:
    """The beats found in hits that are these lengths apart."""
    times = np.cumsum([20, *lengths])
    strength = np.zeros(times[-1] + 3, np.float32)
    strength[times] = 50
    guide = np.zeros((len(strength) // 86 + 2, len(PERIODS)), np.float32)
    change: F32 = np.asarray([0, 1, 4, 9], np.float32)
    hops, _ = best_chain(strength, guide, 86, PERIODS, change, 20.0, 0.5)
    return [hop for hop in hops.tolist() if hop >= 20]


@pytest.mark.parametrize(
    "lengths",
    [
        [30] * 12,
        [30 + n for n in range(12)],
        [60 - 2 * n for n in range(12)],
        [12] * 12 + [130] * 8,
        [130] * 8 + [9] * 20,
    ],
    ids=["steady", "slower", "faster", "jump to slow", "jump to fast"],
)
def test_chain_is_found_back_to_its_beginning(lengths: list[int]) -> None:
    assert np.diff(chain(lengths)).tolist() == lengths
