"""How Motes compiles a function: ``kernel``, ``inner_kernel`` and ``inline_kernel``.

Functions are compiled once per machine and cached on disk, and release the GIL. No ``fastmath``: frames must be the
same bit for bit on every worker, and without it LLVM neither reorders sums nor contracts to fused multiply-adds.
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
    """Load numba's array support without scipy.linalg.

    Only ``np.cov`` and ``np.corrcoef`` in a kernel would need it, and importing it takes 0.2 s per process.
    """
    if "scipy.linalg" in sys.modules:
        return
    sys.modules["scipy.linalg"] = cast(ModuleType, None)  # makes importing it fail
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del sys.modules["scipy.linalg"]


def _load_alone(cache: Any) -> None:
    """Let numba load a kernel from its cache without loading what it needs to compile one, which takes 0.12 s.

    Compiling loads that when it is needed; functions that others compiled may need it to be called.
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
    """Let numba load kernels that were compiled at installation from a folder that is not writable.

    By default numba ignores such a folder and recompiles everything in every process. What is missing there is compiled
    and not cached.
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

# LLVM vectorises our unrolled rows only with its SLP pass, which numba disables by default.
numba.config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]  # set up at run time

P = ParamSpec("P")
R = TypeVar("R")


# Kernels that Python calls, by name ("motion.advance"), and the types of their arguments.
SIGNATURES: dict[str, tuple[Any, str]] = {}


def kernel(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function that Python calls: nopython mode, cached, no fastmath, IEEE 754 division.

    ``signature`` lists the argument types in numba's shorthand (``"f4[::1], i8"``), so that warm-up can compile the
    function without calling it. Calls with other types work too, and are compiled when they happen.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        compiled = _compiled(function)
        SIGNATURES[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = (compiled, f"({signature},)")
        return compiled

    return decorate


def compile_kernel(name: str) -> None:
    """Compile a kernel for its declared argument types, or load it from the cache."""
    sigutils: Any = importlib.import_module("numba.core.sigutils")
    compiled, signature = SIGNATURES[name]
    # Parsed here, as numba would use the text itself as the key in its cache, and calls would not find it.
    arguments, _ = sigutils.normalize_signature(signature)
    compiled.compile(arguments)


def inner_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Like :func:`kernel`, for a function that only kernels call; it is compiled with them, once for all constants."""
    compiled = _njit(function, forceinline=False)
    return compiled


def inline_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Like :func:`inner_kernel`, but inlined, for small functions in inner loops."""
    return _njit(function, forceinline=True)


def _njit(function,**o):
    compiled = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True, no_rewrites=True, _nrt=False, **o)(function)
    if compiled is not function:
        tem = compiled.get_call_template
        compiled.get_call_template = lambda args, kws: tem(tuple(numba.types.unliteral(a) for a in args), kws)
    return compiled


def _compiled(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_rewrites=True, _nrt=False, **options)(function)
    if compiled is not function:  # it is, with NUMBA_DISABLE_JIT
        _load_alone(compiled._cache)
    return cast(Callable[P, R], compiled)
