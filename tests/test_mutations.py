"""What ``make mutate`` changes is still there: a mutation of code that has gone proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutate import MUTATIONS, Mutation

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[each.name for each in MUTATIONS])
def test_what_a_mutation_changes_is_there_once(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert mutation.old != mutation.new
    assert [path for path in mutation.tests.split() if path.startswith("tests/") and (ROOT / path).exists()]
