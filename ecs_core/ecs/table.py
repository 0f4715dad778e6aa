"""Table: the rows of one population, one contiguous float32 column per scalar field.

Rows are appended at the end and removed by a stable compaction, so they stay in order of birth and the draw order never
flickers. Birth ids are never reused.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.arrays import F32, I64
from ecs_core.errors import StructuralChangeError

T = TypeVar("T", bound=np.generic)

_FIRST_CAPACITY = 64


def _is_class_var(hint: object) -> bool:
    # Annotations are strings where a module postpones their evaluation.
    text = hint if isinstance(hint, str) else str(hint)
    return text.removeprefix("typing.").startswith("ClassVar")


class Column:
    """A component whose fields are arrays with one value per row; subclasses annotate them as ``F32``.

    In a table, each field is a float32 view of shape (rows,), valid until rows are added or removed. Write into it
    (``position.x[new] = …``, ``position.x += …``); do not keep it across frames.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    at_birth: ClassVar[Mapping[str, float]] = MappingProxyType({})
    limits: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType({})

    def __init_subclass__(cls, **at_birth: float) -> None:
        """Keywords give initial values other than 0: ``class Size(Column, value=2.0)``."""
        own = (name for name, hint in inspect.get_annotations(cls).items() if not _is_class_var(hint))
        cls.fields = tuple(dict.fromkeys((*cls.fields, *own)))
        cls.at_birth = MappingProxyType({**cls.at_birth, **at_birth})

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse to replace a field's array, as nothing would be written into the table.

        ``position.x += 1`` is fine: it writes into the array and then assigns the same array.
        """
        if vars(self).get(name) is not value:
            kind, known = type(self).__name__, ", ".join(self.fields)
            if name not in self.fields:
                raise AttributeError(f"{kind} has no field {name!r}; it has: {known}")
            raise AttributeError(f"{kind}.{name} is a view of the table: write into it, as with [:] =")


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """A copy of a table's rows: values (fields, rows) float32, birth ids (rows,), and the next birth id."""

    values: F32
    birth: I64
    next_birth: int


class Table:
    """Rows of the given columns, kept aligned. While ``frozen``, rows cannot be added or removed."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        begin = [column.at_birth.get(name, 0.0) for column in columns for name in column.fields]
        self._at_birth = np.array(begin, np.float32)[:, None]
        self._values = np.zeros((len(begin), _FIRST_CAPACITY), np.float32)
        self._birth = np.zeros(_FIRST_CAPACITY, np.int64)
        self._rows = 0
        self.next_birth = 0
        self.frozen = False
        self._refresh()

    def __len__(self) -> int:
        return self._rows

    @property
    def birth(self) -> I64:
        """The birth ids of the rows, ascending, (rows,) int64."""
        return self._birth[: self._rows]

    @property
    def values(self) -> F32:
        """All fields, (fields, capacity) float32, for kernels; only the first rows are in use."""
        return self._values

    def row_of(self, kind: type[Column], field: str) -> int:
        """The row of ``values`` that holds a field of a column; -1 if the table lacks it."""
        names = [(type(column), name) for column in self._columns for name in column.fields]
        return names.index((kind, field)) if (kind, field) in names else -1

    def add(self, column: Column) -> None:
        """Add a column; rows that there are have its initial values."""
        begin = np.array([column.at_birth.get(name, 0.0) for name in column.fields], np.float32)[:, None]
        self._columns = (*self._columns, column)
        self._at_birth = np.concatenate([self._at_birth, begin])
        more = np.broadcast_to(begin, (len(begin), self._values.shape[1]))
        self._values = np.concatenate([self._values, more])
        self._refresh()

    def spawn(self, n: int) -> slice:
        """Append ``n`` >= 0 rows with the initial values of their columns; returns their slice.

        Raises:
            StructuralChangeError: rows are frozen.
            ValueError: ``n`` is negative, which would drop rows and reuse their birth ids.
        """
        self._check_not_frozen()
        if n < 0:
            raise ValueError(f"cannot spawn {n} rows")
        first, last = self._rows, self._rows + n
        if last > self._birth.size:
            capacity = max(last, 2 * self._birth.size)
            self._values = _grown(self._values, capacity)
            self._birth = _grown(self._birth[None], capacity)[0]
        self._values[:, first:last] = self._at_birth
        self._birth[first:last] = np.arange(self.next_birth, self.next_birth + n)
        self.next_birth += n
        self._rows = last
        self._refresh()
        return slice(first, last)

    def remove(self, dead: NDArray[np.bool_]) -> None:
        """Remove the rows where ``dead``, (rows,) bool, is true; the rest keep their order.

        Raises:
            StructuralChangeError: rows are frozen.
            ValueError: ``dead`` has another shape.
        """
        self._check_not_frozen()
        if dead.shape != (self._rows,):
            raise ValueError(f"cannot remove from {self._rows} rows by a mask of shape {dead.shape}")
        dead = np.ascontiguousarray(dead, np.bool_)
        left = kernels.lifetime.compact(self._values, self._birth, dead)
        if left != self._rows:
            self._rows = left
            self._refresh()

    def find(self, births: I64) -> I64:
        """The row of each birth id, -1 where that particle is dead or not yet born; any shape, int64."""
        if self._rows == 0:
            return np.full_like(births, -1)
        rows = np.minimum(np.searchsorted(self.birth, births), self._rows - 1)
        return np.where(self.birth[rows] == births, rows, -1)

    def snapshot(self) -> Rows:
        """A copy of the current rows."""
        return Rows(self._values[:, : self._rows].copy(), self.birth.copy(), self.next_birth)

    def restore(self, rows: Rows) -> None:
        """Replace the rows by those of a snapshot."""
        self._rows = rows.birth.size
        capacity = max(self._birth.size, self._rows)
        self._values = _grown(rows.values, capacity)
        self._birth = _grown(rows.birth[None], capacity)[0]
        self.next_birth = rows.next_birth
        self._refresh()

    def _check_not_frozen(self) -> None:
        if self.frozen:
            raise StructuralChangeError("rows can be added and removed only in the phases REAP and EMIT")

    def _refresh(self) -> None:
        field = 0
        for column in self._columns:
            for name in column.fields:
                vars(column)[name] = self._values[field, : self._rows]
                field += 1


def _grown(values: NDArray[T], capacity: int) -> NDArray[T]:
    grown = np.zeros((values.shape[0], capacity), values.dtype)
    grown[:, : values.shape[1]] = values
    return grown
