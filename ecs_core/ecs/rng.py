"""Randomness: Philox, keyed by what is asked for, and nothing else.

A draw depends on (seed, stream, frame) or (seed, stream, birth id) alone. There is no generator state to save, so a
simulation can be cut anywhere and resumed to the last bit.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels

_WORD = (1 << 64) - 1


def stream_of(*names: object) -> int:
    """A 64-bit number for a purpose, the same in every process."""
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(seed: int, stream: int, frame: int) -> np.random.Generator:
    """A generator of its own for a seed, a stream and a frame; frames never overlap (2¹²⁸ draws apart)."""
    # As uint64 at once: numpy makes a list with a number beyond int64 float64, and seeds or streams would coincide.
    key = np.array([seed & _WORD, stream & _WORD], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, frame, 0], np.uint64)))


def uniform_by_birth(seed: int, stream: int, birth: NDArray[np.int64]) -> NDArray[np.float32]:
    """A number in [0, 1) for each birth id, (n,) float32: a particle's own, the same in every frame."""
    out = np.empty(len(birth), np.float32)
    kernels.rng.uniform_by_birth(birth, seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, stream & 0xFFFFFFFF, out)
    return out
