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

# Half of the time to compile went into what kernels do not use: a wrapper for C, rewrites of array expressions, and the
# counts of references that arrays need which a function makes. The last one took time at every call, too.
_njit: Any = numba.njit  # whose types leave out some of its options
_unliteral: Any = numba.types.unliteral

_LEAN = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "no_rewrites": True, "_nrt": False}

# Kernels that Python calls, by name ("motion.advance"), and the types of their arguments.
SIGNATURES: dict[str, tuple[Any, str]] = {}


def kernel(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function that Python calls: nopython mode, cached, no fastmath, IEEE 754 division.

    ``signature`` lists the argument types in numba's shorthand (``"f4[::1], i8"``), so that warm-up can compile the
    function without calling it. Calls with other types work too, and are compiled when they happen. The function can
    make no arrays: it is given all, also those for scratch.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        compiled = _njit(cache=True, **_LEAN)(function)
        if compiled is not function:  # it is, with NUMBA_DISABLE_JIT
            _load_alone(compiled._cache)
        SIGNATURES[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = (compiled, f"({signature},)")
        return cast(Callable[P, R], compiled)

    return decorate


def inner_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Like :func:`kernel`, for a function that only kernels call; it is compiled with them."""
    return _inner(function)


def inline_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Like :func:`inner_kernel`, but inlined, for small functions in inner loops.

    LLVM inlines it. With ``inline="always"`` numba itself would, and would work out the types of each copy.
    """
    return _inner(function, forceinline=True)


def _inner(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    compiled = _njit(no_cpython_wrapper=True, **_LEAN, **options)(function)
    if compiled is not function:
        template = compiled.get_call_template

        def get_call_template(arguments: Any, named: Any) -> Any:
            # Numba would compile it anew for each constant that it is called with.
            return template(tuple(_unliteral(argument) for argument in arguments), named)

        compiled.get_call_template = get_call_template
    return cast(Callable[P, R], compiled)


def compile_kernel(name: str) -> None:
    """Compile a kernel for its declared argument types, or load it from the cache."""
    sigutils: Any = importlib.import_module("numba.core.sigutils")
    compiled, signature = SIGNATURES[name]
    # Parsed here, as numba would use the text itself as the key in its cache, and calls would not find it.
    arguments, _ = sigutils.normalize_signature(signature)
    compiled.compile(arguments)


def prepare_to_compile() -> None:
    """Load what every kernel needs to be compiled, for processes that do nothing else: compiled functions cannot run.

    Numba optimises each function by itself, makes machine code of it, and does both again in each function that calls
    it. Here it does so for kernels as a whole only.
    """
    load_what_compiling_needs()
    codegen: Any = importlib.import_module("numba.core.codegen")

    class Library(codegen.JITCodeLibrary):  # type: ignore[misc]
        def _is_part(self) -> bool:
            """Whether this is a function that Python does not call."""
            functions = self._final_module.functions
            return not any(each.name.startswith("_ZN7cpython") and not each.is_declaration for each in functions)

        def _optimize_functions(self, module: Any) -> None:
            module.data_layout = self._codegen._data_layout
            passes, builder = self._codegen._function_pass_manager()
            for function in module.functions:
                if not function.is_declaration:
                    passes.run(function, builder)

        def _optimize_final_module(self) -> None:
            if not self._is_part():
                super()._optimize_final_module()

        def _finalize_final_module(self) -> None:
            if self._is_part():
                self._finalize_dynamic_globals()
                self._finalized = True
            else:
                super()._finalize_final_module()

    codegen.JITCPUCodegen._library_class = Library
    codegen.JITCPUCodegen.set_env = lambda *_: None  # of functions that run
    _njit(**_LEAN)(lambda: None).compile(())  # lets numba register all that it knows
