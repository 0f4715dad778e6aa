"""The sound of a video, made by a task of its own: the client's own AAC where that is the whole song, and encoded
samples otherwise; the same packets as if they had gone into the video at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
import pytest

from ecs_core.errors import AudioError
from ecs_core.rendering.plan import RenderPlan
from ecs_core.rendering.song_sound import SongSound, sound_pieces
from ecs_core.video import format as video_format
from ecs_core.video.join import VideoFile
from ecs_core.video.output import picture_for, segment_writer
from services.worker import sound_files
from services.worker.sound_files import add_sound, save_sound
from tests.ecs_core.rendering.test_copied_sound import plan_of, samples_of
from tests.media import Video, noise, read_video, tone, write_song


def joined(plan: RenderPlan, path: Path, add: Callable[[VideoFile, ExitStack], object]) -> Path:
    """A video of black pictures, to which ``add`` adds the sound."""
    with ExitStack() as closing:
        video = VideoFile(path, plan.video, frames=plan.frames)
        closing.callback(video.abandon)
        add(video, closing)
        picture, segment = picture_for(plan.video), path.with_name(f"segment{plan.video.segment_suffix}")
        for each in plan.segments:
            with segment_writer(segment, plan.video) as writer:
                for _ in range(each.stop - each.start):
                    writer.write(picture)  # type: ignore[arg-type]  # of the same format
            video.append(segment)
        video.close()
    return path


def saved(plan: RenderPlan, song: Path, folder: Path) -> list[Path]:
    """The files of the tasks of the sound."""
    files, told = [folder / f"sound-{piece}.zip" for piece in range(sound_pieces(plan))], list[int]()
    for piece, target in enumerate(files):
        save_sound(plan, song, target, piece=piece, name="the song", required=False, on_progress=told.append)
    assert told == sorted(told)
    assert 1 <= told[0] <= told[-1] <= 100
    return files


def join(song: Path, folder: Path, *, seconds: float | None = None) -> tuple[Video, str]:
    """The video of a song, and how its sound was made."""
    plan, how = plan_of(song, seconds=seconds), list[str]()
    files = saved(plan, song, folder)
    joined(plan, folder / "out.mp4", lambda video, closing: how.append(add_sound(video, files, closing=closing)))
    return read_video(folder / "out.mp4"), how[0]


def packets_of(path: Path) -> list[tuple[object, ...]]:
    """Every packet of a file's sound."""
    with av.open(str(path)) as file:
        return [
            (each.pts, each.dts, each.duration, bytes(each), [(side.data_type, bytes(side)) for side in sides])
            for each in file.demux(audio=0)
            for sides in [list(each.iter_sidedata())]
        ]


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


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("song.wav", {}),
        ("song.m4a", {}),
        ("song.wav", {"seconds": 0.7, "fade_in": 0.2}),
        ("song.wav", {"seconds": 3.0}),
        ("song.wav", {"format": "mov"}),
        ("song.wav", {"format": "webm"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("piece", [90.0, 0.5])
def test_packets_are_the_same_as_if_they_were_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, more: dict[str, object], piece: float
) -> None:
    monkeypatch.setattr(video_format, "SOUND_SECONDS", piece)
    song = write_song(tmp_path / name, tone(2.1) + 0.1 * noise(2.1, rate=44_100))
    plan = plan_of(song, **more)  # type: ignore[arg-type]
    files = saved(plan, song, tmp_path)
    assert len(files) == (1 if plan.video.form == "webm" else max(1, round(plan.part.duration / piece)))

    def at_once(video: VideoFile, closing: ExitStack) -> None:
        sound = SongSound(song, plan)
        closing.callback(sound.close)
        video.add_sound(sound.packets, rate=sound.rate, channels=sound.channels)

    suffix = plan.video.form
    through = joined(plan, tmp_path / f"a.{suffix}", lambda video, closing: add_sound(video, files, closing=closing))
    straight = joined(plan, tmp_path / f"b.{suffix}", at_once)
    assert len(packets_of(straight)) > 20
    assert packets_of(through) == packets_of(straight)
    if suffix != "webm":  # which has a random name
        assert through.read_bytes() == straight.read_bytes()


def test_song_that_cannot_be_compared_in_time_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path, *, name: str, **options: object) -> None:
        raise AudioError(f"{name}: takes more than 120 s of CPU time to decode")

    monkeypatch.setattr(sound_files, "OwnPackets", fails)
    song = write_song(tmp_path / "song.m4a", tone(1.0))
    assert join(song, tmp_path)[1] == "encoded"
