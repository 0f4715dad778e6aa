"""check_particle_type(): all checks of a particle type, and one report of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ecs_core.plugin_api import ParticleType
from ecs_core.plugin_api import particle_type as named
from ecs_core.testing.endurance import bounds, empty, finite, loud, silence
from ecs_core.testing.invariance import frame_rates, sizes
from ecs_core.testing.repeatable import determinism, resume
from ecs_core.testing.report import ConformanceError, Problem, Report, UnjudgedError
from ecs_core.testing.schema import presets, schema
from ecs_core.testing.simulate import TypeFailedError
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
        determinism,
        resume,
        frame_rates,
        sizes,
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
    """Check a particle type, or the registered one of that name.

    ``config`` are settings to check it with; ``seconds`` is how long the runs are that are compared; ``budget`` how
    many microseconds a particle may take in a frame; ``checks`` are the names of those to run (see ``CHECKS``).

    Raises:
        ValueError: ``seconds`` is under 1: nothing could be compared.
        ConformanceError: a check failed; says what was seen and how to put it right, for all that failed.
        SceneError: no type of that name, or ``config`` is not valid.
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
