"""For authors of particle types: check that a type keeps its contract with Motes.

``check_particle_type(EMBERS)`` in a test is enough; it raises ConformanceError, which says in words what is wrong and
how to put it right. With pytest, the fixture of the same name is there without an import. Names are loaded when first
used, as pytest imports this package in every run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecs_core.testing.checks import CHECKS as CHECKS
    from ecs_core.testing.checks import Check as Check
    from ecs_core.testing.checks import check_particle_type as check_particle_type
    from ecs_core.testing.report import ConformanceError as ConformanceError
    from ecs_core.testing.report import Problem as Problem
    from ecs_core.testing.report import Report as Report

_HOME = {
    "CHECKS": "checks",
    "Check": "checks",
    "check_particle_type": "checks",
    "ConformanceError": "report",
    "Problem": "report",
    "Report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ecs_core.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ecs_core.testing.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
