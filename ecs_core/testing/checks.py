"""check_particle_type(): run all checks of a particle type and report the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ecs_core.plugin_api import ParticleType
from ecs_core.plugin_api import particle_type as named
from ecs_core.testing.endurance import bounds, empty, finite, loud, silence
from ecs_core.testing.flow_of_particles import births, wraps
from ecs_core.testing.invariance import frame_rates, sizes
from ecs_core.testing.overdraw import overdraw
from ecs_core.testing.repeatable import determinism, resume
from ecs_core.testing.report import ConformanceError, Problem, Report, UnjudgedError
from ecs_core.testing.schema import ignored, presets, schema
from ecs_core.testing.simulate import TypeFailedError
from ecs_core.testing.source import processors
from ecs_core.testing.subject import Subject
from ecs_core.testing.time_budget import time_budget

Check = Callable[[Subject], Iterator[Problem]]

CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        schema,
        presets,
        silence,
        loud,
        finite,
        empty,
        ignored,
        determinism,
        resume,
        processors,
        frame_rates,
        sizes,
        births,
        wraps,
        overdraw,
        bounds,
        time_budget,
    )
}


def check_particle_type(
    particle_type: ParticleType | str,
    *,
    config: Mapping[str, Any] | None = None,
    seconds: float = 4.0,
    budget: float = 2.0,
    checks: Iterable[str] = tuple(CHECKS),
) -> Report:
    """Check a particle type, or the registered type of that name.

    ``config`` holds settings for the checks, ``seconds`` is the length of compared runs, ``budget`` the time per
    particle and frame in microseconds, ``checks`` the names of the checks to run (see ``CHECKS``).

    Raises:
        ValueError: ``seconds`` is less than 1, too short to compare runs.
        ConformanceError: checks failed; the message says for each what was observed and how to fix it.
        SceneError: no type of that name, or an invalid ``config``.
    """
    if seconds < 1:
        raise ValueError(f"seconds must be 1 or more, not {seconds}")
    kind = named(particle_type) if isinstance(particle_type, str) else particle_type
    subject = Subject(kind, dict(config or {}), seconds, budget)
    subject.settings()
    found: list[Problem] = []
    raised: dict[str, tuple[str, list[str]]] = {}  # what, and when; by which checks
    unjudged: dict[str, str] = {}
    took: dict[str, float] = {}
    for name in checks:
        began = time.perf_counter()
        try:
            found += CHECKS[name](subject)
        except TypeFailedError as failure:
            raised.setdefault(failure.what, (failure.when, []))[1].append(name)
        except UnjudgedError as reason:
            unjudged[name] = str(reason)
        took[name] = time.perf_counter() - began
    crashes = [Problem(", ".join(names), f"{what} ({when}).") for what, (when, names) in raised.items()]
    report = Report(kind.name, (*crashes, *found), took, unjudged)
    if report.problems:
        raise ConformanceError(report)
    return report
