"""Qualities: presets, bit rates and sizes; and files that are never larger than asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ecs_core import Scene, SceneError, render
from ecs_core.formats import Form
from ecs_core.video.quality import Wanted, rates_for, wanted
from tests.media import SMALL, noise, tagged_mp3, write_song


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("draft", Wanted("draft")),
        ("8M", Wanted("standard", bit_rate=8_000_000)),
        ("2.5M", Wanted("standard", bit_rate=2_500_000)),
        ("800k", Wanted("standard", bit_rate=800_000)),
        ({"max_bytes": 8_000_000}, Wanted("standard", max_bytes=8_000_000)),
        ("max_bytes=8000000", Wanted("standard", max_bytes=8_000_000)),
        ("max_bytes=8M", Wanted("standard", max_bytes=8_000_000)),
    ],
)
def test_what_can_be_asked_for(value: Any, found: Wanted) -> None:
    assert wanted(value) == found
    assert wanted(found.to_json()) == found


@pytest.mark.parametrize(
    "value", ["best", "", "8", "8G", "M", "-8M", "max_bytes", "max_bytes=", "size=8M", {}, {"max_bytes": "8"}, 8, None]
)
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(SceneError, match=r"unknown quality .*; allowed: draft, standard, high, a bit rate such as"):
        wanted(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1k", r"quality '1k': bits/s = 1000: must be between 50000 and 500000000"),
        ({"max_bytes": 0}, r"max_bytes = 0: must be between 1 and"),
    ],
)
def test_limits(value: Any, said: str) -> None:
    with pytest.raises(SceneError, match=said):
        wanted(value)


@pytest.mark.parametrize("form", ["mov", "png", "webp", "gif"])
def test_formats_without_a_rate(form: Form) -> None:
    with pytest.raises(SceneError, match=rf"quality '8M': {form} has no bit rate; use draft, standard, high, or"):
        rates_for(wanted("8M"), form, pixels=1, fps=30, seconds=1, has_sound=False)
    with pytest.raises(SceneError, match=rf"{form} has no max_bytes"):
        rates_for(wanted({"max_bytes": 1}), form, pixels=1, fps=30, seconds=1, has_sound=False)


@pytest.mark.parametrize("has_sound", [False, True])
@pytest.mark.parametrize("seconds", [0.5, 10.0, 3600.0])
def test_the_smallest_size_that_is_named_is_accepted(seconds: float, has_sound: bool) -> None:
    def rates(size: int) -> object:
        asked = wanted({"max_bytes": size})
        return rates_for(asked, "mp4", pixels=1920 * 1080, fps=30.0, seconds=seconds, has_sound=has_sound)

    with pytest.raises(SceneError, match=r"too few for .* s of this size and frame rate; at least") as refused:
        rates(1000)
    least = int(str(refused.value).rpartition(" ")[2])
    rates(least)
    with pytest.raises(SceneError):
        rates(int(0.97 * least))


BUSY = {**SMALL, "particle_count": 3000, "finish": {"grain": 1.0}}  # which takes 3 Mbit/s where it may


@pytest.mark.parametrize(
    ("form", "seconds", "size"), [("mp4", 3.0, 250_000), ("mp4", 3.0, 60_000), ("webm", 0.5, 150_000)]
)
def test_a_file_has_at_most_max_bytes(tmp_path: Path, form: str, seconds: float, size: int) -> None:
    cover = b"\xff\xd8\xff" + bytes(40_000)  # too large a cover is left out
    song = tagged_mp3(tmp_path / "song.mp3", pictures=[(3, cover)], seconds=seconds)
    scene = Scene("snow", song, {**BUSY, "duration": seconds})
    path = tmp_path / f"out.{form}"
    free = render(scene, path, workers=2, frame_hashes=True)
    assert path.stat().st_size > size, path.stat().st_size
    capped = render(scene, path, workers=2, quality={"max_bytes": size}, frame_hashes=True)
    assert path.stat().st_size <= size
    assert capped.frame_hashes == free.frame_hashes


def test_the_sound_of_a_small_file_is_small(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.m4a", noise(6.0, rate=44_100))
    path = tmp_path / "out.mp4"
    result = render(Scene("snow", song, {**SMALL, "duration": "audio"}), path, quality={"max_bytes": 120_000})
    assert result.sound == "encoded"  # its own is larger
    assert path.stat().st_size <= 120_000


def test_what_cannot_be_made_small_enough_says_so(tmp_path: Path) -> None:
    scene = Scene("snow", config={**BUSY, "duration": 2.0})
    with pytest.raises(SceneError, match="max_bytes = 5000: too few for 2 s"):
        render(scene, tmp_path / "out.mp4", quality={"max_bytes": 5000})
    assert [*tmp_path.iterdir()] == []


def test_a_bit_rate_is_kept_about(tmp_path: Path) -> None:
    rates = []
    for asked in ("300k", "1M"):
        path = tmp_path / "out.mp4"
        render(Scene("snow", config={**BUSY, "duration": 4.0}), path, workers=2, quality=asked)
        rates.append(path.stat().st_size * 8 / 4.0)
    assert rates[0] == pytest.approx(300_000, rel=0.35)
    assert rates[1] == pytest.approx(1_000_000, rel=0.35)
