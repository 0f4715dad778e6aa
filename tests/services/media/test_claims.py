"""Every claim of docs/untrusted-media.md names tests, and every test of the sandbox belongs to a claim."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/untrusted-media.md").read_text(encoding="utf-8")
TESTS = list(ROOT.glob("tests/**/test_*.py"))
# What lets the sandbox work, rather than a claim of what it denies.
OTHERS = {
    "test_nothing_is_missing_here",
    "test_threads_would_escape",
    "test_unlinked_song_is_readable",
    "test_memory_limit_counts_from_current_use",
    "test_what_the_kernel_lacks_is_reported",
}


def rows() -> list[list[str]]:
    """The cells of each row of a table whose last column is called Tests."""
    tables = re.findall(r"^\|[^\n]*\| Tests \|\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [line.strip("|\n ").split(" | ") for table in tables for line in table.splitlines()]


def named() -> set[str]:
    return {test for row in rows() for test in re.findall(r"`(test_\w+)`", row[-1])}


def test_every_claim_names_a_test() -> None:
    assert len(rows()) > 15
    assert [row[0] for row in rows() if "`test_" not in row[-1] and row[-1].strip() != "the table below"] == []


def test_named_tests_exist() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in TESTS)
    assert named() - set(re.findall(r"^ *(?:async )?def (test_\w+)\(", code, re.MULTILINE)) == set()


def test_every_test_of_the_sandbox_belongs_to_a_claim() -> None:
    code = (ROOT / "tests/services/media/test_sandbox.py").read_text(encoding="utf-8")
    assert set(re.findall(r"^def (test_\w+)\(", code, re.MULTILINE)) - OTHERS - named() == set()
