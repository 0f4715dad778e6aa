"""Joining segments: exact timestamps whatever the cut, and segments of another make refused."""

from __future__ import annotations

import errno
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ecs_core import RenderError
from ecs_core.ahead import Ahead
from ecs_core.video.aac import encoded
from ecs_core.video.encoding import Picture, SegmentWriter
from ecs_core.video.format import QUALITIES, Quality, VideoFormat
from ecs_core.video.join import VideoFile
from tests.media import read_video

FORMAT = VideoFormat(64, 48, Fraction(30000, 1001), "standard", gop=30)


def segment(path: Path, frames: int, video: VideoFormat = FORMAT) -> Path:
    picture = Picture(video)
    with SegmentWriter(path, video) as writer:
        for number in range(frames):
            picture.planes.luma[:] = 16 + number * 7 % 200
            picture.planes.cb[:] = picture.planes.cr[:] = 128
            writer.write(picture)
    return path


def join(folder: Path, lengths: list[int], video: VideoFormat = FORMAT) -> Path:
    file = VideoFile(folder / "out.mp4", video, frames=sum(lengths))
    for number, frames in enumerate(lengths):
        file.append(segment(folder / f"{number}.mp4", frames, video))
    file.close()
    return folder / "out.mp4"


@pytest.mark.parametrize("limit", [1, 1000])
def test_sound_made_ahead_by_a_thread_is_the_same(tmp_path: Path, limit: int) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 48_000)).astype(np.float32)

    def joined(path: Path, *, ahead: bool) -> bytes:
        video = VideoFile(path, FORMAT, frames=90)
        packets = encoded([noise] * 3, rate=48_000, channels=2, duration=Fraction(3), quality="standard")
        video.add_sound(Ahead(packets, limit=limit) if ahead else packets, rate=48_000, channels=2)
        for _ in range(3):
            video.append(segment(tmp_path / "segment.mp4", 30))
        video.close()
        return path.read_bytes()

    assert joined(tmp_path / "now.mp4", ahead=False) == joined(tmp_path / "ahead.mp4", ahead=True)


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("lengths", [[1], [2], [3], [8, 1], [8, 2], [2, 8, 3], [1, 1, 1], [5, 4, 3, 2, 1]])
def test_frames_follow_one_another_evenly(tmp_path: Path, quality: Quality, lengths: list[int]) -> None:
    rate = FORMAT.fps
    video = read_video(join(tmp_path, lengths, replace(FORMAT, quality=quality)))
    assert video.pts == [frame / rate for frame in range(sum(lengths))]
    assert video.fps == rate
    assert abs(video.video_duration - sum(lengths) / rate) <= Fraction(1, 1000)  # MP4 states it in milliseconds


def test_decoding_times_have_no_gap(tmp_path: Path) -> None:
    with av.open(str(join(tmp_path, [8, 2, 7, 1]))) as container:
        track = container.streams.video[0]
        dts = [packet.dts * track.time_base * FORMAT.fps for packet in container.demux(track) if packet.dts is not None]
    assert dts == list(range(int(dts[0]), int(dts[0]) + 18))


@pytest.mark.parametrize(
    "other", [{"width": 96}, {"quality": "draft"}, {"quality": "high"}], ids=["size", "draft", "high"]
)
def test_segments_of_other_settings_are_refused(tmp_path: Path, other: dict[str, object]) -> None:
    file = VideoFile(tmp_path / "out.mp4", FORMAT, frames=20)
    file.append(segment(tmp_path / "first.mp4", 10))
    with pytest.raises(RenderError, match=r"second\.mp4 was encoded with other settings"):
        file.append(segment(tmp_path / "second.mp4", 10, replace(FORMAT, **other)))
    file.abandon()


def test_abandoning_a_file_on_a_full_disk_raises_no_second_error(tmp_path: Path) -> None:
    # What is raised while tidying up would hide the error that says why.
    class Full:
        def close(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    file = VideoFile(tmp_path / "out.mp4", FORMAT, frames=20)
    file._container = Full()
    file.abandon()


def test_missing_frames_are_noticed(tmp_path: Path) -> None:
    file = VideoFile(tmp_path / "out.mp4", FORMAT, frames=20)
    file.append(segment(tmp_path / "first.mp4", 10))
    with pytest.raises(RenderError, match="hold 10 frames, but 20 were planned"):
        file.close()
    file.abandon()
