"""How long a video will be, as far as that is known when it is submitted."""

from __future__ import annotations

from typing import Any

import pytest

from ecs_core import SceneError
from services.jobs.render_spec import build_spec, known_start, segment_count, video_seconds

SONG = "0" * 64


def spec(**config: Any) -> dict[str, Any]:
    return build_spec("snow", config, SONG, "draft")


@pytest.mark.parametrize(
    ("config", "seconds", "start"),
    [
        ({"duration": "audio"}, 183.5, 0.0),
        ({"duration": None, "start": 83.5}, 100.0, 83.5),
        ({"duration": 30.0, "start": 170.0}, 30.0, 170.0),  # silence follows the song
        ({"duration": "audio", "start": "drop"}, 183.5, None),  # at most
        ({"duration": 15.0, "start": "drop"}, 15.0, None),
    ],
)
def test_video_lasts_from_its_start_to_the_end_of_the_song(
    config: dict[str, Any], seconds: float, start: float | None
) -> None:
    assert video_seconds(spec(**config), 183.5) == seconds
    assert known_start(spec(**config)) == start


def test_part_has_fewer_segments() -> None:
    assert segment_count(spec(duration="audio"), 100.0) == 50
    assert segment_count(spec(duration="audio", start=80.0), 100.0) == 10


def test_specs_from_before_begin_with_the_song() -> None:
    old = spec(duration="audio")
    del old["config"]["start"]
    assert (video_seconds(old, 10.0), known_start(old)) == (10.0, 0.0)


@pytest.mark.parametrize("duration", ["audio", 5.0])
def test_start_after_the_end_of_the_song_is_refused(duration: object) -> None:
    with pytest.raises(SceneError, match=r"^start = 183\.5: must be under 183\.5 seconds, the length of the song$"):
        video_seconds(spec(duration=duration, start=183.5), 183.5)
