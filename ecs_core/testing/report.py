"""Report: the problems that the checks of a particle type found, in words."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem: the failed ``check``, what it ``saw``, and how to fix it (``advice``)."""

    check: str
    saw: str
    advice: str = ""

    def __str__(self) -> str:
        wrapped = textwrap.fill(f"{self.check}: {self.saw}", 116, subsequent_indent="   ", break_on_hyphens=False)
        if not self.advice:
            return wrapped
        advice = textwrap.fill(self.advice, 116, initial_indent="   → ", subsequent_indent="     ")
        return f"{wrapped}\n{advice}"


@dataclass(frozen=True, slots=True)
class Report:
    """The problems of a particle type, and the ``seconds`` that each check took, by its name.

    ``unjudged`` are checks that say nothing as long as there is another problem, and why.
    """

    particle_type: str
    problems: tuple[Problem, ...]
    seconds: Mapping[str, float]
    unjudged: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that found problems."""
        return tuple(dict.fromkeys(name for problem in self.problems for name in problem.check.split(", ")))

    @property
    def passed(self) -> tuple[str, ...]:
        """Names of the checks that found no problem."""
        return tuple(name for name in self.seconds if name not in {*self.failed, *self.unjudged})

    def __str__(self) -> str:
        if not self.problems:
            return f"particle type {self.particle_type!r} passes: {', '.join(self.passed)}"
        many = "a problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        listed = "\n".join(f"{number}. {problem}" for number, problem in enumerate(self.problems, 1))
        lines = [f"particle type {self.particle_type!r} has {many}:", listed]
        lines += [f"Not judged: {name}, as {why}." for name, why in self.unjudged.items()]
        return "\n".join((*lines, f"Passed: {', '.join(self.passed) or 'nothing'}."))


class UnjudgedError(Exception):
    """A check has no result, for a reason that another check reports."""


class ConformanceError(AssertionError):
    """A particle type breaks its contract; ``report`` holds the problems."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report
