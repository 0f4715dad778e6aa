"""zen and no_music: never react, even when a song is loaded."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from ecs_core import Scene, render
from tests.media import SMALL
from tests.plugins.simulate import BUILT_IN, loud, play, silence

DEAF = ("no_music", "zen")


@pytest.mark.parametrize("kind", DEAF)
def test_draws_the_same_with_and_without_a_song(kind: str) -> None:
    for quiet, noisy in zip(play(kind, silence, 5), play(kind, loud, 5), strict=True):
        for field in fields(quiet.seen):
            np.testing.assert_array_equal(getattr(quiet.seen, field.name), getattr(noisy.seen, field.name))


@pytest.mark.parametrize("kind", DEAF)
def test_rendered_frames_are_the_same_with_and_without_a_song(kind: str, demo_song: Path, tmp_path: Path) -> None:
    config = {**SMALL, "duration": 1.0}
    scenes = Scene(kind, None, config), Scene(kind, demo_song, config)
    one, other = (render(scene, tmp_path / "out.mp4", frame_hashes=True).frame_hashes for scene in scenes)
    assert len(set(one)) == 30
    assert one == other


@pytest.mark.parametrize("kind", [kind for kind in BUILT_IN if kind not in (*DEAF, "petals")])  # these feel gusts alone
def test_all_other_types_react(kind: str) -> None:
    pairs = zip(play(kind, silence, 1), play(kind, loud, 1), strict=True)
    assert all(len(one.seen) != len(other.seen) or (one.seen.red != other.seen.red).any() for one, other in pairs)
