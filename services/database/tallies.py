"""Tallies: how many rows there are, and their bytes, without counting them.

Triggers of the database write down every change as a row of its own, so nobody waits for anybody else who counts the
same. ``fold`` adds the changes up now and then; whoever reads adds what is left.

Of jobs, ``kind`` is that of the job, or "whole" if its outputs are jobs; ``state`` its status, or "expired"; the bytes
are those of its result, or while it is open what it may need. Of systems there is only the number. Of artefacts,
``kind`` is the name of the file in its scene's folder, without what follows the first slash.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, select, text, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.engine import Sessions
from services.database.models import TallyChangeRow, TallyRow

_BATCH_SIZE = 5000  # changes folded in a transaction
_TRIES, _CONFLICTS = 10, ("40001", "40P01")  # to count afresh; SQLSTATEs of what others changed meanwhile
_KEY = ("owner", "what", "kind", "state")


class Tally(NamedTuple):
    """Number and bytes of rows of an owner."""

    owner: str
    kind: str
    state: str
    number: int
    bytes: int


async def tallies(session: AsyncSession, what: str, owner: str | None = None) -> list[Tally]:
    """The tallies of ``what``, "jobs", "systems" or "artefacts": of an owner, or of each."""
    mine = union_all(*(_of(table, what, owner) for table in (TallyRow, TallyChangeRow))).subquery()
    key = mine.c.owner, mine.c.kind, mine.c.state
    sums = select(*key, func.sum(mine.c.number), func.sum(mine.c.bytes)).group_by(*key)
    return [Tally(of, kind, state, int(n), int(size)) for of, kind, state, n, size in await session.execute(sums) if n]


async def totals(session: AsyncSession, what: str) -> list[Tally]:
    """The tallies of ``what`` of all owners together, whose name is empty."""
    mine = union_all(_of(TallyRow, _of_all(what), ""), _of(TallyChangeRow, what, None)).subquery()
    key = mine.c.kind, mine.c.state
    sums = select(*key, func.sum(mine.c.number), func.sum(mine.c.bytes)).group_by(*key)
    return [Tally("", kind, state, int(n), int(size)) for kind, state, n, size in await session.execute(sums) if n]


def _of(table: Any, what: str, owner: str | None) -> Select[Any]:
    found = select(table.owner, table.kind, table.state, table.number, table.bytes).where(table.what == what)
    return found if owner is None else found.where(table.owner == owner)


def _of_all(what: str) -> str:
    """What the tallies of all owners together are of: there is a row of them beside those of each."""
    return f"all {what}"


async def fold(sessions: Sessions) -> int:
    """Add all changes to the tallies; returns how many there were. Several processes may do so at a time."""
    folded = 0
    while True:
        async with sessions.begin() as session:
            some = select(TallyChangeRow.id).order_by(TallyChangeRow.id).limit(_BATCH_SIZE)
            some = some.with_for_update(skip_locked=True)
            ids = list(await session.scalars(some))
            columns = [getattr(TallyChangeRow, name) for name in (*_KEY, "number", "bytes")]
            gone = delete(TallyChangeRow).where(TallyChangeRow.id.in_(ids)).returning(*columns)
            sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
            for row in await session.execute(gone) if ids else ():
                owner, what, kind, state, number, size = row
                for whose in ((owner, what), ("", _of_all(what))):
                    sums[*whose, kind, state][0] += number
                    sums[*whose, kind, state][1] += size
            for key in sorted(sums):  # in this order, so that no two processes wait for each other
                await _add(session, dict(zip(_KEY, key, strict=True)), *sums[key])
        folded += len(ids)
        if len(ids) < _BATCH_SIZE:
            return folded


async def _add(session: AsyncSession, key: dict[str, str], number: int, size: int) -> None:
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = insert(TallyRow).values(**key, number=number, bytes=size)
    more = {"number": TallyRow.number + row.excluded.number, "bytes": TallyRow.bytes + row.excluded.bytes}
    await session.execute(row.on_conflict_do_update(index_elements=list(_KEY), set_=more))


# What triggers write, and what is counted afresh: SQL that both databases know, for a row that is called ``r``.
_JOB = (
    "r.owner, 'jobs', CASE WHEN r.status = 'completed' AND r.size IS NULL THEN 'whole' ELSE r.kind END,"
    " CASE WHEN r.expired_at IS NOT NULL THEN 'expired' ELSE r.status END",
    "CASE WHEN r.status IN ('queued', 'rendering') THEN r.promised"
    " WHEN r.status = 'completed' AND r.expired_at IS NULL THEN coalesce(r.size, 0) ELSE 0 END",
)
_SYSTEM = ("r.owner, 'systems', '', ''", "0")
_FILE = "substr(r.key, 73)"  # after scenes/, 64 characters and /
_ARTEFACT = (
    f"'', 'artefacts', CASE WHEN {_FILE} LIKE 'segments/%' THEN 'segments' ELSE {_FILE} END, ''",
    "r.size",
)
_COUNTED = {"jobs": _JOB, "systems": _SYSTEM, "artefacts": _ARTEFACT}
_CHANGING = {
    "jobs": ("owner", "kind", "status", "size", "promised", "expired_at"),
    "systems": ("owner",),
    "artefacts": ("key", "size"),
}


def trigger_statements(dialect: str) -> list[str]:
    """The statements that create all triggers."""
    return [each for table in _COUNTED for each in _triggers(table, dialect)]


def trigger_names() -> list[str]:
    """The triggers of SQLite."""
    return [f"tally_{table}_{name}" for table in _COUNTED for name in ("insert", "delete", "update")]


def _triggers(table: str, dialect: str) -> list[str]:
    what, size = _COUNTED[table]

    def change(row: str, sign: str) -> str:
        values = f"{what}, {sign}1, {sign}({size})".replace("r.", f"{row}.")
        return f"INSERT INTO tally_changes (owner, what, kind, state, number, bytes) VALUES ({values});"

    differs = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in _CHANGING[table])
    if dialect == "postgresql":
        return [
            f"CREATE OR REPLACE FUNCTION tally_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF TG_OP <> 'INSERT' THEN {change('OLD', '-')} END IF;"
            f" IF TG_OP <> 'DELETE' THEN {change('NEW', '')} END IF;"
            " RETURN NULL; END $$",
            f"DROP TRIGGER IF EXISTS tally_{table} ON {table}",
            f"DROP TRIGGER IF EXISTS tally_{table}_update ON {table}",
            f"CREATE TRIGGER tally_{table} AFTER INSERT OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION tally_{table}()",
            f"CREATE TRIGGER tally_{table}_update AFTER UPDATE OF {', '.join(_CHANGING[table])} ON {table}"
            f" FOR EACH ROW WHEN ({differs}) EXECUTE FUNCTION tally_{table}()",
        ]
    differs = differs.replace("IS DISTINCT FROM", "IS NOT")
    when = {
        "insert": ("INSERT", "1", change("NEW", "")),
        "delete": ("DELETE", "1", change("OLD", "-")),
        "update": (f"UPDATE OF {', '.join(_CHANGING[table])}", differs, change("OLD", "-") + change("NEW", "")),
    }
    return [
        f"CREATE TRIGGER IF NOT EXISTS tally_{table}_{name} AFTER {event} ON {table} WHEN {condition} BEGIN {does} END"
        for name, (event, condition, does) in when.items()
    ]


def recount_statements() -> list[str]:
    """The statements that count everything afresh, in one transaction that sees one state of the database."""
    fresh = [
        "INSERT INTO tallies (owner, what, kind, state, number, bytes)"
        f" SELECT owner, what, kind, state, count(*), sum(bytes) FROM (SELECT {_named(what)}, {size} AS bytes"
        f" FROM {table} r) counted GROUP BY owner, what, kind, state"
        for table, (what, size) in _COUNTED.items()
    ]
    together = (
        "INSERT INTO tallies (owner, what, kind, state, number, bytes)"
        f" SELECT '', '{_of_all('')}' || what, kind, state, sum(number), sum(bytes) FROM tallies"
        " GROUP BY what, kind, state"
    )
    return ["DELETE FROM tally_changes", "DELETE FROM tallies", *fresh, together]


def _named(values: str) -> str:
    """The values with the names of their columns; only those within a CASE contain commas that do not count."""
    parts, depth = [""], 0
    for word in values.split(", "):
        depth += word.count("(") - word.count(")")
        parts[-1] += word if not parts[-1] else f", {word}"
        if not depth:
            parts.append("")
    return ", ".join(f"{value} AS {name}" for value, name in zip(parts[:-1], _KEY, strict=True))


async def recount(sessions: Sessions) -> None:
    """Count everything afresh, for instance after somebody changed rows by hand.

    Raises:
        DBAPIError: others added changes to the tallies each time that it was tried.
    """
    for number in range(_TRIES):
        try:
            return await _recount(sessions)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _CONFLICTS or number == _TRIES - 1:
                raise


async def _recount(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        if session.get_bind().dialect.name == "postgresql":
            await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        for statement in recount_statements():
            await session.execute(text(statement))
