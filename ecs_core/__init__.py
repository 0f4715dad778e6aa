"""The engine of Motes: what a program that renders, or a plugin that adds a particle type, may import.

Names are loaded when first used, so that importing ``ecs_core`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecs_core.errors import (
        AudioError,
        MotesError,
        OutputError,
        PluginError,
        RenderCancelled,
        RenderError,
        SceneError,
        StructuralChangeError,
    )

_HOME = {
    "AudioError": "errors",
    "MotesError": "errors",
    "OutputError": "errors",
    "PluginError": "errors",
    "RenderCancelled": "errors",
    "RenderError": "errors",
    "SceneError": "errors",
    "StructuralChangeError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ecs_core' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ecs_core.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
