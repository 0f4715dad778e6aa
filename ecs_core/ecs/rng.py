"""Randomness: Philox, a counter-based generator, keyed by purpose.

A draw depends only on (seed, stream, frame) or (seed, stream, birth id). There is no generator state to save, so a
simulation can stop anywhere and resume bit for bit.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels

_WORD = (1 << 64) - 1
_HALF = (1 << 32) - 1


@lru_cache(maxsize=4096, typed=True)
def stream_of(*names: object) -> int:
    """A 64-bit stream number for a purpose, the same in every process."""
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(seed: int, stream: int, frame: int) -> np.random.Generator:
    """The generator of a seed, stream and frame; frames are 2¹²⁸ draws apart, so they never overlap."""
    # An explicit uint64 array: numpy turns a list with a number beyond int64 into float64, and keys would collide.
    key = np.array([seed & _WORD, stream & _WORD], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, frame, 0], np.uint64)))


class Generators:
    """Generators like those of generator(), made once and set to another key, which is quicker than making one.

    A generator belongs to who asked for it until ``begin`` is called.
    """

    def __init__(self) -> None:
        self._made: list[tuple[np.random.Philox, np.random.Generator]] = []
        self._given = 0
        self._key, self._counter = np.zeros(2, np.uint64), np.zeros(4, np.uint64)
        self._state: Any = {
            "bit_generator": "Philox",
            "state": {"counter": self._counter, "key": self._key},
            "buffer": np.zeros(4, np.uint64),
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }

    def begin(self) -> None:
        """Take all generators back."""
        self._given = 0

    def generator(self, seed: int, stream: int, frame: int) -> np.random.Generator:
        """A generator in the state in which one with this seed, stream and frame begins."""
        if self._given == len(self._made):
            philox = np.random.Philox(key=0)
            self._made.append((philox, np.random.Generator(philox)))
        philox, found = self._made[self._given]
        self._given += 1
        self._key[0], self._key[1], self._counter[2] = seed & _WORD, stream & _WORD, frame
        philox.state = self._state
        return found


def uniform_by_birth(seed: int, stream: int, birth: NDArray[np.int64]) -> NDArray[np.float32]:
    """A number in [0, 1) per birth id, (n,) float32: the same in every frame of a particle's life."""
    out = np.empty(len(birth), np.float32)
    kernels.rng.uniform_by_birth(birth, *kernel_key(seed, stream), out)
    return out


def kernel_key(seed: int, stream: int) -> tuple[int, int, int]:
    """What kernels draw by: both words of the seed, and the lower one of the stream."""
    return seed & _HALF, (seed >> 32) & _HALF, stream & _HALF
