"""How Motes compiles a function: ``kernel``, ``inner_kernel`` and ``inline_kernel``.

Compiled once per machine and cached on disk; releases the GIL; no ``fastmath``, because frames must be the same
on every worker to the last bit (without it LLVM neither reorders sums nor contracts to fused multiply-adds).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, TypeVar, cast

import numba


def load_what_compiling_needs() -> None:
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


def _load_alone(cache: Any) -> None:
    """Let numba load a kernel from its cache without all that it would need to compile one, which takes it 0.12 s.

    Compiling loads that by itself, whenever it is needed; what others than Motes compiled may need it to be called.
    """
    runtime: Any = importlib.import_module("numba.core.runtime")

    def load_overload(signature: Any, target: Any) -> Any:
        runtime.rtsys.initialize(target)
        with cache._guard_against_spurious_io_errors():
            if (found := cache._load_overload(signature, target)) is not None:
                return found
        load_what_compiling_needs()
        return None

    cache.load_overload = load_overload


def _use_caches_that_cannot_be_written() -> None:
    """Let numba load what was compiled when Motes was installed, where this process may write nothing.

    By itself numba passes over such a folder, and compiles everything again in every process. What cannot be kept there
    is compiled and not kept.
    """
    caching: Any = importlib.import_module("numba.core.caching")
    ensure = caching._CacheLocator.ensure_cache_path

    def ensure_cache_path(locator: Any) -> None:
        try:
            ensure(locator)
        except OSError:
            module = Path(locator._py_file).stem
            if next(Path(locator.get_cache_path()).glob(f"{module}.*.nbi"), None) is None:
                raise

    caching._CacheLocator.ensure_cache_path = ensure_cache_path
    caching.Cache._guard_against_spurious_io_errors = lambda cache: suppress(OSError)


_use_caches_that_cannot_be_written()

# LLVM finds the vector operations in our unrolled rows only with its SLP pass, which numba leaves off by default.
numba.config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]  # set up at run time

P = ParamSpec("P")
R = TypeVar("R")


# Kernels that Python calls, by name ("motion.advance"), and the arguments that each is called with.
SIGNATURES: dict[str, tuple[Any, str]] = {}


def kernel(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function that Python calls: nopython mode, cached, no fastmath, division as IEEE 754 has it.

    ``signature`` is what Motes calls it with, in numba's shorthand (``"f4[::1], i8"``), so that warm-up can compile it
    without calling it. With other arguments it still works, and is compiled when it is called.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        compiled = _compiled(function)
        SIGNATURES[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = (compiled, f"({signature},)")
        return compiled

    return decorate


def compile_kernel(name: str) -> None:
    """Compile a kernel for the arguments that it declares, or load it from the cache."""
    sigutils: Any = importlib.import_module("numba.core.sigutils")
    compiled, signature = SIGNATURES[name]
    # As types, which calls are looked up by in the cache; numba would keep the text as it is.
    arguments, _ = sigutils.normalize_signature(signature)
    compiled.compile(arguments)


def inner_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`kernel`, for a function that only kernels call; it is compiled with them."""
    return _compiled(function)


def inline_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`inner_kernel`, for a small function in an inner loop."""
    return _compiled(function, inline="always")


def _compiled(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    if compiled is not function:  # as it is where nothing shall be compiled
        _load_alone(compiled._cache)
    return cast(Callable[P, R], compiled)
