"""The table against a list of dicts, through any sequence of births, deaths, writes and restored snapshots."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ecs_core.ecs.components import Lifetime, Position
from ecs_core.ecs.table import Rows, Table

FIELDS = ("x", "y", "age", "span")
AT_BIRTH = dict.fromkeys(FIELDS, 0.0) | {"span": float("inf")}
NUMBERS = st.floats(-1e6, 1e6, width=32)

Row = dict[str, Any]


class TableModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.position, self.life = Position(), Lifetime()
        self.table = Table([self.position, self.life])
        self.rows: list[Row] = []
        self.next_birth = 0
        self.saved: list[tuple[Rows, list[Row], int]] = []

    @property
    def columns(self) -> dict[str, np.ndarray]:
        return {"x": self.position.x, "y": self.position.y, "age": self.life.age, "span": self.life.span}

    @rule(n=st.one_of(st.integers(0, 5), st.integers(60, 200)))
    def spawn(self, n: int) -> None:
        new = self.table.spawn(n)
        assert new == slice(len(self.rows), len(self.rows) + n)
        self.rows += [{"birth": self.next_birth + i, **AT_BIRTH} for i in range(n)]
        self.next_birth += n

    @rule(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0]))
    def remove(self, seed: int, share: float) -> None:
        dead = np.random.Generator(np.random.Philox(seed)).uniform(size=len(self.rows)) < share
        self.table.remove(dead)
        self.rows = [row for row, gone in zip(self.rows, dead, strict=True) if not gone]

    @precondition(lambda self: self.rows)
    @rule(field=st.sampled_from(FIELDS), value=NUMBERS, data=st.data())
    def write_one(self, field: str, value: float, data: st.DataObject) -> None:
        row = data.draw(st.integers(0, len(self.rows) - 1))
        self.columns[field][row] = value
        self.rows[row][field] = value

    @rule(field=st.sampled_from(FIELDS), value=NUMBERS)
    def write_all(self, field: str, value: float) -> None:
        self.columns[field][:] = value
        for row in self.rows:
            row[field] = value

    @rule(births=st.lists(st.integers(0, 400), max_size=8))
    def find(self, births: list[int]) -> None:
        row_of = {row["birth"]: i for i, row in enumerate(self.rows)}
        found = self.table.find(np.array(births, np.int64))
        assert found.tolist() == [row_of.get(birth, -1) for birth in births]

    @rule()
    def snapshot(self) -> None:
        self.saved.append((self.table.snapshot(), [dict(row) for row in self.rows], self.next_birth))

    @precondition(lambda self: self.saved)
    @rule(data=st.data(), afresh=st.booleans())
    def restore(self, data: st.DataObject, afresh: bool) -> None:
        saved, rows, next_birth = data.draw(st.sampled_from(self.saved))
        if afresh:
            self.position, self.life = Position(), Lifetime()
            self.table = Table([self.position, self.life])
        self.table.restore(saved)
        self.rows, self.next_birth = [dict(row) for row in rows], next_birth

    @invariant()
    def equal(self) -> None:
        assert len(self.table) == len(self.rows)
        assert self.table.birth.tolist() == [row["birth"] for row in self.rows]
        for field, column in self.columns.items():
            assert column.dtype == np.float32
            assert column.tolist() == [row[field] for row in self.rows]


TestTable = TableModel.TestCase
TestTable.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
