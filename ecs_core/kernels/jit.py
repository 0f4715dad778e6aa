"""``kernel``: the one way Motes compiles a function.

Compiled once per machine and cached on disk; releases the GIL; no ``fastmath``, because frames must be the same
on every worker to the last bit (without it LLVM neither reorders sums nor contracts to fused multiply-adds).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import ParamSpec, TypeVar, cast

import numba


def _load_array_support() -> None:
    """Load what numba needs to know of arrays, and let it find no scipy.linalg on the way.

    Only ``np.cov`` and ``np.corrcoef`` in a kernel would need that; importing it takes every process 0.2 s.
    """
    if "scipy.linalg" in sys.modules:
        return
    sys.modules["scipy.linalg"] = cast(ModuleType, None)  # so that an import of it fails at once
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del sys.modules["scipy.linalg"]


_load_array_support()

# LLVM finds the vector operations in our unrolled rows only with its SLP pass, which numba leaves off by default.
numba.config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]  # set up at run time

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` in nopython mode, cached, without fastmath; division follows IEEE 754, as numpy's does."""
    return cast(Callable[P, R], numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inline_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`kernel`, for a small function that kernels call in their inner loop."""
    return cast(Callable[P, R], numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")(function))
