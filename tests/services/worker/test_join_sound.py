"""The sound of a joined video: the client's own AAC where that is the whole song, and encoded samples otherwise."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from ecs_core.errors import AudioError
from ecs_core.video.encoding import Picture, SegmentWriter
from ecs_core.video.join import VideoFile
from services.worker import join_sound
from tests.ecs_core.rendering.test_copied_sound import plan_of, samples_of
from tests.media import Video, noise, read_video, tone, write_song


def join(song: Path, folder: Path, *, seconds: float | None = None) -> tuple[Video, str]:
    """The video of a song, and how its sound was made."""
    plan = plan_of(song, seconds=seconds)
    with ExitStack() as closing:
        video = VideoFile(folder / "out.mp4", plan.video, frames=plan.frames)
        closing.callback(video.abandon)
        sound = join_sound.add_song(video, plan, song, name="the song", required=False, closing=closing)
        picture = Picture(plan.video)
        for segment in plan.segments:
            with SegmentWriter(folder / "segment.mp4", plan.video) as writer:
                for _ in range(segment.stop - segment.start):
                    writer.write(picture)
            video.append(folder / "segment.mp4")
        video.close()
    return read_video(folder / "out.mp4"), sound


@pytest.mark.parametrize("name", ["song.m4a", "song.aac"])
def test_own_aac_of_a_whole_song_is_copied(tmp_path: Path, name: str) -> None:
    song = write_song(tmp_path / name, noise(1.3, rate=44_100))
    video, sound = join(song, tmp_path)
    assert sound == "copied"
    assert video.sound_start == 0
    assert np.array_equal(video.sound, samples_of(song))


@pytest.mark.parametrize(("name", "seconds"), [("song.m4a", 0.5), ("song.flac", None)])
def test_everything_else_is_encoded(tmp_path: Path, name: str, seconds: float | None) -> None:
    song = write_song(tmp_path / name, tone(1.0))
    video, sound = join(song, tmp_path, seconds=seconds)
    assert sound == "encoded"
    n = round((seconds or 1.0) * video.rate)
    heard, expected = video.sound[:, 2000 : n - 2000], samples_of(song)[:, 2000 : n - 2000]
    assert np.abs(heard - expected).max() < 0.01


def test_song_that_cannot_be_compared_in_time_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path, *, name: str, **options: object) -> None:
        raise AudioError(f"{name}: takes more than 120 s of CPU time to decode")

    monkeypatch.setattr(join_sound, "OwnPackets", fails)
    song = write_song(tmp_path / "song.m4a", tone(1.0))
    assert join(song, tmp_path)[1] == "encoded"
