"""The cap on what one run of retention deletes: of each kind a tenth, or a hundred where that is more.

A clock, a setting or a query that is wrong could otherwise delete everything at once, before anybody notices.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from dataclasses import dataclass, field

from services.observability import metrics

_log = logging.getLogger("motes.retention")
_ALWAYS, _SHARE = 100, 0.1  # number of items of a kind, and share of all


@dataclass
class Cap:
    """The cap on one run, and what it holds back, by kind; ``lifted`` by an operator's word."""

    lifted: bool = False
    held_back: Counter[str] = field(default_factory=Counter)

    def most(self, number: int) -> int:
        """How many of so many items of a kind may go."""
        return sys.maxsize if self.lifted else max(_ALWAYS, int(number * _SHARE))

    def count(self, kind: str, number: int) -> None:
        """Count items of a kind that are due and stay."""
        if number:
            self.held_back[kind] += number

    def report(self) -> None:
        """Say loudly what stays."""
        for kind, number in sorted(self.held_back.items()):
            metrics.retention_held_back(kind, number)
            _log.warning(
                "%d more %s were due than one run of retention deletes, and wait for the next run; if that many should "
                "not be due, look at the MOTES_KEEP_… settings and at the database's clock; `motes storage gc --all` "
                "deletes them at once",
                *(number, kind),
            )
