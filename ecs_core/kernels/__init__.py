"""Numba kernels: arrays in, arrays written, nothing else.

Only this package imports numba, and only when needed: ``kernels.motion`` is imported when it is first accessed, so
``motes --help`` and ``motes types`` do not load a compiler. Write ``from ecs_core import kernels`` and call
``kernels.motion.advance(...)``.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"no kernels called {name!r}") from None
