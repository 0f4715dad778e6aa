"""The table: rows in order of birth, columns that are views of them, no changes while frozen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pytest

from ecs_core.arrays import F32
from ecs_core.ecs.components import Lifetime, Position
from ecs_core.ecs.table import Column, Table
from ecs_core.errors import StructuralChangeError


@pytest.fixture
def position() -> Position:
    return Position()


@pytest.fixture
def table(position: Position) -> Table:
    return Table([position, Lifetime()])


def dead(table: Table, *rows: int) -> np.ndarray:
    mask = np.zeros(len(table), bool)
    mask[list(rows)] = True
    return mask


def test_column_knows_its_fields_in_order() -> None:
    assert Position.fields == ("x", "y")
    assert Lifetime.fields == ("age", "span")


def test_replacing_a_column_array_is_refused(table: Table, position: Position) -> None:
    table.spawn(2)
    position.x += 3
    position.x *= np.array([1.0, 2.0])
    assert position.x.tolist() == [3, 6]
    with pytest.raises(AttributeError, match=r"Position.x is a view of the table: write into it, as with \[:\] ="):
        position.x = position.x + 1
    with pytest.raises(AttributeError, match=r"Position has no field 'z'; it has: x, y"):
        position.z = 1
    assert table.snapshot().values[0].tolist() == [3, 6]


def test_new_rows_are_zero_at_the_end_and_numbered_by_birth(table: Table, position: Position) -> None:
    assert table.spawn(3) == slice(0, 3)
    position.x[:] = 7
    assert table.spawn(2) == slice(3, 5)
    assert position.x.tolist() == [7, 7, 7, 0, 0]
    assert table.birth.tolist() == [0, 1, 2, 3, 4]


def test_reused_rows_are_zero(table: Table, position: Position) -> None:
    table.spawn(4)
    position.x[:] = 9
    table.remove(dead(table, 2, 3))
    table.spawn(2)
    assert position.x.tolist() == [9, 9, 0, 0]


def test_removal_keeps_the_order_of_birth(table: Table, position: Position) -> None:
    table.spawn(6)
    position.x[:] = np.arange(6)
    table.remove(dead(table, 0, 3, 4))
    assert table.birth.tolist() == [1, 2, 5]
    assert position.x.tolist() == [1, 2, 5]


def test_birth_ids_are_never_used_again(table: Table) -> None:
    table.spawn(3)
    table.remove(dead(table, 0, 1, 2))
    table.spawn(1)
    assert table.birth.tolist() == [3]
    table.remove(np.arange(len(table)) < 2)
    for _ in range(3):  # after a removal there are fewer rows than births
        table.spawn(2)
    assert len(set(table.birth.tolist())) == len(table)


def test_columns_are_contiguous_float32_views_after_every_change(table: Table, position: Position) -> None:
    for n in (1, 63, 1, 1000):
        table.spawn(n)
        assert position.x.shape == (len(table),)
        assert position.x.dtype == np.float32
        assert position.x.flags["C_CONTIGUOUS"]
    table.remove(dead(table, 5))
    assert position.x.shape == position.y.shape == (len(table),) == table.birth.shape


def test_growing_keeps_values(table: Table, position: Position) -> None:
    table.spawn(64)
    position.y[:] = np.arange(64)
    table.spawn(1000)
    assert position.y[:64].tolist() == list(range(64))


def test_columns_never_share_memory(table: Table, position: Position) -> None:
    table.spawn(100)
    assert not np.shares_memory(position.x, position.y)


def test_removing_nothing_changes_nothing(table: Table, position: Position) -> None:
    table.spawn(3)
    before = position.x
    table.remove(dead(table))
    assert len(table) == 3
    assert position.x is before


def test_removing_everything_leaves_an_empty_table(table: Table, position: Position) -> None:
    table.spawn(3)
    table.remove(np.ones(3, bool))
    assert len(table) == 0
    assert position.x.shape == (0,)


def test_find_returns_rows_and_minus_one_for_unknown_births(table: Table) -> None:
    table.spawn(5)
    table.remove(dead(table, 1, 4))
    assert table.find(np.array([[0, 1, 2], [3, 4, 99]])).tolist() == [[0, -1, 1], [2, -1, -1]]


def test_find_in_an_empty_table_finds_nothing(table: Table) -> None:
    assert table.find(np.array([0, 1])).tolist() == [-1, -1]


def test_frozen_rows_cannot_be_added(table: Table) -> None:
    table.frozen = True
    with pytest.raises(StructuralChangeError, match="REAP and EMIT"):
        table.spawn(1)


def test_frozen_rows_cannot_be_removed(table: Table) -> None:
    table.spawn(1)
    table.frozen = True
    with pytest.raises(StructuralChangeError, match="REAP and EMIT"):
        table.remove(np.ones(1, bool))


def test_snapshot_is_independent_of_later_changes(table: Table, position: Position) -> None:
    table.spawn(3)
    rows = table.snapshot()
    position.x[:] = 5
    table.remove(dead(table, 0))
    assert rows.values[0].tolist() == [0, 0, 0]
    assert rows.birth.tolist() == [0, 1, 2]


def test_restore_brings_back_values_births_and_the_next_birth(table: Table, position: Position) -> None:
    table.spawn(70)
    position.x[:] = np.arange(70)
    table.remove(dead(table, 0))
    rows = table.snapshot()
    other = Position()
    fresh = Table([other, Lifetime()])
    fresh.restore(rows)
    assert other.x.tolist() == position.x.tolist()
    assert fresh.birth.tolist() == table.birth.tolist()
    fresh.spawn(1)
    assert fresh.birth[-1] == 70


def test_restored_rows_are_independent_of_their_snapshot(table: Table, position: Position) -> None:
    table.spawn(3)
    rows = table.snapshot()
    table.restore(rows)
    position.x[:] = 4
    assert rows.values[0].tolist() == [0, 0, 0]


def test_negative_number_of_births_is_refused_and_changes_nothing(table: Table) -> None:
    table.spawn(3)
    with pytest.raises(ValueError, match="-2"):
        table.spawn(-2)
    assert table.birth.tolist() == [0, 1, 2]
    assert table.next_birth == 3


def test_column_inherits_the_fields_of_its_base() -> None:
    class Position3(Position, z=5.0):
        z: F32

    assert Position3.fields == ("x", "y", "z")
    column = Position3()
    Table([column]).spawn(2)
    assert (column.x.tolist(), column.z.tolist()) == ([0, 0], [5, 5])


def test_annotated_class_variables_are_no_columns() -> None:
    class Heat(Column):
        limits: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType({"value": (0.0, 1.0)})

        value: F32

    assert Heat.fields == ("value",)


def test_mask_of_another_length_is_refused(table: Table) -> None:
    table.spawn(3)
    with pytest.raises(ValueError, match=r"cannot remove from 3 rows by a mask of shape \(4,\)"):
        table.remove(np.zeros(4, bool))


def test_mask_may_be_a_view(table: Table, position: Position) -> None:
    table.spawn(4)
    position.x[:] = [0, 1, 2, 3]
    table.remove(np.array([True, False, False, False, True, False, False, False])[::2])
    assert position.x.tolist() == [1, 3]
    assert table.birth.tolist() == [1, 3]
