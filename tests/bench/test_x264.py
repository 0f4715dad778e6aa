"""``bench/x264.py``: a candidate is compared at equal size, and wins only if no scene loses."""

from __future__ import annotations

import pytest

from bench.x264 import Encoded, Row, Setup, _row, measure, options_of, table, verdict

REFERENCE = {"preset": "veryfast", "crf": "20"}
SETUP = Setup("standard", 128, 72, 0.2)


def test_options_are_the_references_with_the_candidates_instead() -> None:
    assert options_of("", REFERENCE, crf=20) == {"preset": "veryfast", "crf": "20.000"}
    found = options_of("preset=faster:subme=1:me=dia", REFERENCE, crf=21.5)
    assert found == {"preset": "faster", "crf": "21.500", "x264-params": "subme=1:me=dia"}


def test_values_at_equal_size_lie_between_two_encodings() -> None:
    row = _row("s", "c", Encoded(2000, 8.0, 20.0), Encoded(500, 6.0, 18.0), 12.0, Encoded(1000, 10.0, 20.0))
    assert (row.crf, row.cpu, row.ssim) == (pytest.approx(6.0), pytest.approx(0.7), pytest.approx(-1.0))
    same = _row("s", "c", Encoded(1000, 8.0, 20.0), Encoded(1000, 8.0, 20.0), 0.0, Encoded(1000, 10.0, 20.0))
    assert (same.crf, same.cpu, same.ssim) == (0.0, 0.8, 0.0)


@pytest.mark.parametrize(
    ("cpu", "losses", "wins"),
    [(0.9, (0.0, -0.1), True), (0.98, (0.0, 0.0), False), (0.9, (0.2, -0.25), False), (0.9, (-0.1, -0.1), False)],
)
def test_winner_is_cheaper_and_loses_nowhere(cpu: float, losses: tuple[float, ...], wins: bool) -> None:
    rows = [Row(f"snow/{n}", "subme=1", 1.0, cpu, 0.0, 0.0, cpu, loss) for n, loss in enumerate(losses)]
    assert (verdict(rows) == "wins") is wins
    assert table(rows).endswith("equal size and SSIM: `subme=1`." if wins else "equal size and SSIM: none.")


def test_scene_is_drawn_and_encoded() -> None:
    [one, delayed] = measure("zen/dusk", SETUP, ["subme=1", "bframes=0"])
    assert (one.candidate, delayed.candidate) == ("subme=1", "bframes=0")
    assert 0.3 < one.size_at_crf < 3
    assert abs(one.ssim) < 10
    assert "`bframes=0`†" in table([one, delayed])
