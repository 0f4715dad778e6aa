"""Tables on standard output, as wide as the terminal or, in a pipe, as their content."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

_UNBOUNDED = 10_000  # columns


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under headings; None is shown as a dash."""
    from rich.console import Console  # slow to load, and most commands print no table
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(Text(heading), overflow="fold")
    for row in rows:
        table.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else _UNBOUNDED)
    with console.capture() as drawn:
        console.print(table)
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()))
