"""bench/dispatch.py measures what it says, in short; how fast that is depends on the machine."""

from __future__ import annotations

import re

import pytest

from bench import dispatch

pytestmark = pytest.mark.debian("redis-server")


@pytest.mark.campaign
def test_every_figure_is_printed_with_its_goal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOTES_DATABASE_URL", raising=False)
    dispatch.main(["--idle", "3", "--slots", "4", "--rounds", "2", "--seconds", "2", "--settle", "4"])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 5
    for line in said:
        assert re.search(r" \d+\.\d +(/s|ms) +\(goal \d+\)", line), line


def test_p99_is_the_greatest_of_few() -> None:
    assert dispatch.p99([3.0, 1.0, 2.0]) == 3.0
    assert dispatch.p99([float(number) for number in range(1000)]) == 990.0
