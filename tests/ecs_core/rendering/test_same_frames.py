"""A frame is a function of the scene and its number: not of workers, segments, quality, or how it was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from ecs_core import RenderResult, Scene, render, render_frame
from tests.media import SMALL

SECONDS = 2.2
Hashes = Callable[..., tuple[str, ...]]


@pytest.fixture(scope="module")
def hashes(demo_song: Path, tmp_path_factory: pytest.TempPathFactory) -> Hashes:
    """Renders the demo song, once for each set of arguments, and returns the hashes of the raw frames."""
    folder = tmp_path_factory.mktemp("same")
    known: dict[str, RenderResult] = {}

    def of(kind: str, config: dict[str, Any] | None = None, **options: Any) -> tuple[str, ...]:
        key = repr((kind, config, sorted(options.items())))
        if key not in known:
            scene = Scene(kind, demo_song, {**SMALL, "duration": SECONDS, **(config or {})})
            known[key] = render(scene, folder / "out.mp4", frame_hashes=True, **options)
        return known[key].frame_hashes

    return of


@pytest.mark.parametrize("kind", ["snow", "enhanced"])
class TestSameFrames:
    @pytest.mark.parametrize("workers", [2, 3])
    def test_for_any_number_of_workers(self, hashes: Hashes, kind: str, workers: int) -> None:
        alone = hashes(kind, workers=1)
        assert len(alone) == 66
        assert hashes(kind, workers=workers) == alone

    @pytest.mark.parametrize("segment_seconds", [0.5, 1.0])
    def test_for_any_segment_length(self, hashes: Hashes, kind: str, segment_seconds: float) -> None:
        assert hashes(kind, workers=2, segment_seconds=segment_seconds) == hashes(kind, workers=2)  # of 2 s

    def test_for_the_single_frame(self, hashes: Hashes, kind: str, demo_song: Path, tmp_path: Path) -> None:
        scene = Scene(kind, demo_song, {**SMALL, "duration": SECONDS})
        for frame in (0, 31, 60, 65):
            assert render_frame(scene, frame / 30, tmp_path / "frame.png") == hashes(kind, workers=1)[frame]

    def test_frames_differ_from_one_another(self, hashes: Hashes, kind: str) -> None:
        # Or everything above would hold for a black video.
        assert len(set(hashes(kind, workers=1))) == 66


def test_encoded_pictures_do_not_depend_on_earlier_segments(tmp_path: Path) -> None:
    scene = Scene("snow", config={"width": 320, "height": 180, "duration": 7.0, "particle_count": 200, "seed": 1})

    def packets(workers: int) -> list[str]:
        render(scene, tmp_path / "video.mp4", workers=workers)
        with av.open(str(tmp_path / "video.mp4")) as video:
            return [hashlib.sha256(bytes(packet)).hexdigest() for packet in video.demux(video=0)]

    alone = packets(1)
    assert packets(2) == alone
    assert packets(1) == alone


def test_same_seed_same_frames(hashes: Hashes) -> None:
    assert hashes("snow", {"seed": 1}, workers=2) == hashes("snow", {"seed": 1}, workers=1)


def test_another_seed_other_frames(hashes: Hashes) -> None:
    assert set(hashes("snow", {"seed": 1}, workers=2)).isdisjoint(hashes("snow", workers=2))


@pytest.mark.parametrize("quality", ["draft", "high"])
def test_quality_does_not_change_raw_frames(hashes: Hashes, quality: str) -> None:
    assert hashes("snow", workers=2, quality=quality) == hashes("snow", workers=2)


def test_song_moves_the_picture(hashes: Hashes, tmp_path: Path) -> None:
    silent = render(Scene("enhanced", config={**SMALL, "duration": SECONDS}), tmp_path / "out.mp4", frame_hashes=True)
    assert silent.frame_hashes != hashes("enhanced", workers=1)
