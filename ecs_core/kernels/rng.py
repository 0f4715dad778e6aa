"""Philox4x32-10, the counter-based generator, for draws that belong to a particle rather than to a frame.

J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; the constants and the known answers that the
tests check are those of their Random123 library.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64
from ecs_core.kernels.jit import inline_kernel, kernel

_MASK = 0xFFFFFFFF


@inline_kernel
def philox(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    """Ten rounds over a counter of four and a key of two 32-bit words; the four words they become."""
    for _ in range(10):
        # Where the compiler is on, products wrap round in 64 bits; the words taken from them are the same.
        left, right = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (
            ((right >> 32) & _MASK) ^ c1 ^ k0,
            right & _MASK,
            ((left >> 32) & _MASK) ^ c3 ^ k1,
            left & _MASK,
        )
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return c0, c1, c2, c3


@kernel("i8[::1], i8, i8, i8, f4[::1]")
def uniform_by_birth(birth: I64, k0: int, k1: int, stream: int, out: F32) -> None:
    """A number in [0, 1) for each birth id, (n,), keyed by two words and a stream of 32 bits."""
    for i in range(birth.size):
        word, _, _, _ = philox(int(birth[i]) & _MASK, (int(birth[i]) >> 32) & _MASK, stream, 0, k0, k1)
        out[i] = np.float32(word >> 8) * np.float32(1.0 / 16777216.0)
