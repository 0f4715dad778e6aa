"""Surroundings of a run that a particle type must not depend on: no two runs have the same."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

_CLOCKS = ("time", "monotonic", "perf_counter")
_runs = itertools.count(1)


@contextmanager
def elsewhere() -> Iterator[None]:
    """Other global random numbers and another day than any run before; afterwards everything is as it was."""
    run = next(_runs)
    pythons, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - what must not be used is what is shifted
    clocks = {name: getattr(time, name) for name in _CLOCKS}
    random.seed(run)
    np.random.seed(run)  # noqa: NPY002
    for name, clock in clocks.items():
        # Not whole seconds, minutes or days: whatever is cut off a time, it is another.
        setattr(time, name, _shifted(clock, 94_261.37 * run))
    try:
        yield
    finally:
        for name, clock in clocks.items():
            setattr(time, name, clock)
        random.setstate(pythons)
        np.random.set_state(numpys)  # noqa: NPY002


def _shifted(clock: Callable[[], float], by: float) -> Callable[[], float]:
    return lambda: clock() + by
