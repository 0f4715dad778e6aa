"""How much CPU time a frame takes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from ecs_core.testing import songs
from ecs_core.testing.report import Problem
from ecs_core.testing.simulate import staged
from ecs_core.testing.subject import Subject

_FEW = 300  # a frame has a cost however few particles there are; it is shared out among no fewer than these
_FRAMES = 40
_PATIENCE = 1.0  # seconds


def time_budget(subject: Subject) -> Iterator[Problem]:
    """The time per particle and frame is within the budget; the fastest of many frames counts."""
    settings = subject.settings(many=True, duration=_FRAMES / 30, fps=30)
    fastest, slowest_system, particles = np.inf, "", 0
    with staged(subject.particle_type, settings, songs.loud) as stage:
        stage.world.step()  # kernels are compiled, or fetched
        began = time.thread_time()
        for _ in range(_FRAMES - 1):
            stage.world.measure()
            stage.world.step()
            spent = stage.world.timings()
            count = sum(map(len, stage.world.tables))
            each = sum(spent.values()) / 1000 / max(count, _FEW)
            if each < fastest:
                name = max(spent, key=spent.__getitem__)
                fastest, particles = each, count
                slowest_system = f"{name} takes {spent[name] / sum(spent.values()):.0%} of that"
            if time.thread_time() - began > _PATIENCE:
                break
    if fastest > subject.budget:
        yield Problem(
            "time_budget",
            f"a frame takes {fastest:.2f} µs per particle with {particles} particles; the budget is "
            f"{subject.budget:g} µs. {slowest_system}.",
            "Work on whole columns with numpy (velocity.x += …), not on one particle after the other in Python.",
        )
