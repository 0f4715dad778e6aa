"""Surroundings that a particle type must not depend on: global random state and the clock differ in every run."""

from __future__ import annotations

import builtins
import datetime as days
import itertools
import random
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from types import ModuleType
from typing import Any

import numpy as np

_runs = itertools.count(1)


@contextmanager
def elsewhere(packages: Collection[str] = ()) -> Iterator[None]:
    """Other global random numbers and another day than any run before; afterwards everything is as it was.

    In the modules of ``packages`` that holds of clocks that they imported by name, too, and of ``hash``, which is
    another one for texts in every process.
    """
    run = next(_runs)
    pythons, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - what must not be used is what is shifted
    # Not whole seconds, minutes, hours or days: whatever is cut off a time, it is another.
    clocks, dates = _clocks(94_261.37 * run), _dates(94_261.37 * run)
    random.seed(run)
    np.random.seed(run)  # noqa: NPY002 - likewise
    before: list[tuple[Any, str, Any]] = []
    for module, others in ((time, clocks), (days, dates)):
        before += [(module, name, getattr(module, name)) for name in others]
    others_of = {id(value): (clocks | dates)[name] for _, name, value in before}
    theirs = [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in packages and isinstance(module, ModuleType)
    ]
    for module in theirs:
        before += [(module, name, value) for name, value in vars(module).items() if id(value) in others_of]
    salted = [module for module in theirs if "hash" not in vars(module)]
    try:
        for module, name, value in before:
            setattr(module, name, others_of[id(value)])
        for module in salted:
            module.hash = _hash(run)  # type: ignore[attr-defined]  # in place of the builtin
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        for module in salted:
            del module.hash
        random.setstate(pythons)
        np.random.set_state(numpys)  # noqa: NPY002 - likewise


def _clocks(by: float) -> dict[str, Any]:
    """Replacements for functions of ``time``."""
    real = {name: getattr(time, name) for name in ("localtime", "gmtime", "ctime", "strftime")}
    now = time.time

    def shifted(name: str) -> Any:
        clock, shift = getattr(time, name), round(by * 1e9) if name.endswith("_ns") else by
        return lambda: clock() + shift

    def at(name: str) -> Any:
        return lambda seconds=None: real[name](now() + by if seconds is None else seconds)

    def strftime(form: str, when: Any = None) -> Any:
        return real["strftime"](form, real["localtime"](now() + by) if when is None else when)

    told = ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns")
    return (
        {name: shifted(name) for name in told}
        | {name: at(name) for name in ("localtime", "gmtime", "ctime")}
        | {"strftime": strftime}
    )


def _dates(by: float) -> dict[str, Any]:
    """What replaces classes of ``datetime``: the same but for what day it is."""
    shift = timedelta(seconds=by)

    class Same(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, cls.__bases__[0])

    class Moment(datetime, metaclass=Same):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + shift

        @classmethod
        def today(cls) -> Any:
            return datetime.now() + shift

        @classmethod
        def utcnow(cls) -> Any:
            return datetime.now(UTC).replace(tzinfo=None) + shift

    class Day(date, metaclass=Same):
        @classmethod
        def today(cls) -> Any:
            return (datetime.now() + shift).date()

    return {"datetime": Moment, "date": Day}


def _hash(run: int) -> Any:
    def salted(what: object) -> int:
        found = builtins.hash(what)
        return builtins.hash((run, found)) if isinstance(what, str | bytes) else found

    return salted
