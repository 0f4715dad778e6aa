"""``bench/encoder_floor.py``: what is compared is the same, and verdicts say what was reached."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from bench.encoder_floor import SCENE, Bench, verdicts
from ecs_core import Scene
from ecs_core.video.format import Quality
from services.cli.demo_song import write_wav


@pytest.mark.parametrize(
    ("quality", "count", "ratio", "ends"),
    [
        ("standard", 200, 0.79, ["limit + 0.06 = 0.800: reached"]),
        ("standard", 10000, 0.81, ["limit + 0.06 = 0.800: MISSED"]),
        ("draft", 10000, 1.10, ["at most 1.10: reached"]),
        ("draft", 10000, 1.11, ["at most 1.10: MISSED"]),
        ("draft", 200, 9.0, []),
    ],
)
def test_verdicts(quality: Quality, count: int, ratio: float, ends: list[str]) -> None:
    found = verdicts(quality, count, ratio=ratio, limit=0.74)
    assert len(found) == len(ends)
    assert all(line.endswith(end) for line, end in zip(found, ends, strict=True))


@pytest.mark.campaign
def test_floor_limit_and_render_have_the_same_frames_and_the_same_sound(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    write_wav(song, 1.5)
    config = {**SCENE, "width": 128, "height": 72, "duration": 1.0, "particle_count": 20}
    bench = Bench.of(Scene("enhanced", audio=song, config=config))
    assert bench.is_rendered(tmp_path)
    assert bench.song.samples.shape[1] == bench.song.rate  # of the part that is played
    assert sum(bench.song.share(n, 2).samples.shape[1] for n in range(2)) == bench.song.rate
    turns = bench.in_turns(1, tmp_path)
    assert turns.ratio > 0
    assert turns.limit > 0
    assert (tmp_path / "share0.mp4").exists()
    assert bench.plan.video.gop == 2 * Fraction(config["fps"])
