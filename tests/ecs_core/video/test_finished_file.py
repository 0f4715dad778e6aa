"""Read back from finished files, as a player would: timestamps, lengths, tags, layout, sound in step with picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ecs_core import Scene, render
from tests.media import SMALL, Video, clicks, read_video, tone, write_layout, write_song

AAC_FRAME = 1024
BT709, LIMITED = 1, 1


@pytest.mark.parametrize(
    ("fps", "seconds", "frames"),
    [
        ("24", 1.5, 36),
        ("25", 1.3, 33),  # 32.5, half up
        ("30", 2.2, 66),  # the last segment has two frames, which x264 numbers in another way
        ("60", 1.01, 61),
        ("30000/1001", 2.1, 63),
        ("24000/1001", 2.0, 48),
        ("29.97", 1.0, 30),
    ],
)
def test_exact_frames_and_timestamps(tmp_path: Path, fps: str, seconds: float, frames: int) -> None:
    scene = Scene("snow", config={**SMALL, "fps": fps, "duration": seconds})
    render(scene, tmp_path / "out.mp4", workers=1, segment_seconds=0.5)
    video = read_video(tmp_path / "out.mp4")
    rate = Fraction(30000, 1001) if fps == "29.97" else Fraction(fps)
    assert video.fps == rate
    assert video.pts == [frame / rate for frame in range(frames)]
    assert abs(video.video_duration - frames / rate) <= Fraction(1, 1000)  # MP4 states it in milliseconds


@pytest.fixture(scope="module")
def finished(demo_song: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "out.mp4"
    render(Scene("snow", demo_song, {**SMALL, "duration": 2.0}), path, workers=2)
    return path


@pytest.fixture(scope="module")
def video(finished: Path) -> Video:
    return read_video(finished)


def test_h264_and_aac(video: Video) -> None:
    assert set(video.codecs) == {"h264", "aac"}


def test_colours_are_tagged_bt709_limited(video: Video) -> None:
    assert video.tags == (BT709, BT709, BT709, LIMITED)


def test_size(video: Video) -> None:
    assert (video.width, video.height) == (320, 180)


def test_index_precedes_the_frames(finished: Path) -> None:
    data = finished.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_sound_is_as_long_as_the_picture(video: Video) -> None:
    assert abs(video.sound_duration - video.video_duration) <= Fraction(AAC_FRAME, video.rate)
    assert abs(video.sound.shape[1] - 2 * video.rate) <= AAC_FRAME


def test_no_other_files_are_left(finished: Path) -> None:
    assert [path.name for path in finished.parent.iterdir()] == ["out.mp4"]


def test_silence_has_no_sound_track(tmp_path: Path) -> None:
    render(Scene("snow", config={**SMALL, "duration": 0.5}), tmp_path / "out.mp4", workers=1)
    assert read_video(tmp_path / "out.mp4").codecs == ("h264",)


TIMES = [0.25, 0.9, 1.5, 1.8]


def heard_at(video: Video) -> list[float]:
    """When the sound of a video rises from silence, seconds."""
    level = np.abs(video.sound).max(axis=0)
    loud = np.flatnonzero(level > 0.3)
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-(10**6)) > video.rate // 10)]
    return [float(video.sound_start) + start / video.rate for start in starts]


@pytest.mark.parametrize(
    ("name", "rate", "channels", "fps"),
    [
        ("song.wav", 44_100, 2, "30"),
        ("song.wav", 44_100, 2, "30000/1001"),
        ("song.mp3", 44_100, 2, "30"),
        ("song.m4a", 44_100, 2, "25"),
        ("song.wav", 48_000, 1, "30"),
        ("song.wav", 48_000, 6, "30"),
        ("song.wav", 8_000, 1, "30"),
        ("song.wav", 96_000, 2, "24000/1001"),
    ],
)
def test_clicks_stay_where_they_were(tmp_path: Path, name: str, rate: int, channels: int, fps: str) -> None:
    song = write_song(tmp_path / name, clicks(2.0, TIMES, rate=rate, channels=channels), rate=rate)
    render(Scene("snow", song, {**SMALL, "fps": fps, "duration": 2.0}), tmp_path / "out.mp4", workers=1)
    video = read_video(tmp_path / "out.mp4")
    assert len(video.sound) == min(channels, 2)
    heard = heard_at(video)
    assert len(heard) == len(TIMES)
    assert np.abs(np.subtract(heard, TIMES)).max() <= AAC_FRAME / video.rate
    assert video.pts[0] == 0


def test_centre_of_three_channels_is_heard_3_db_down(tmp_path: Path) -> None:
    song = tone(1.0, rate=48_000, channels=3)
    song[:2] = 0
    render(
        Scene("snow", write_layout(tmp_path / "song.flac", song, "3.0"), {**SMALL, "duration": 1.0}),
        tmp_path / "out.mp4",
        workers=1,
    )
    level = np.std(read_video(tmp_path / "out.mp4").sound[:, 9600:38_400], axis=1)
    np.testing.assert_allclose(level, np.std(song[2]) * 0.5**0.5, rtol=0.05)


def test_loud_mix_of_six_channels_is_cut_and_not_clipped(tmp_path: Path) -> None:
    song = write_layout(tmp_path / "song.flac", 2.4 * tone(1.0, rate=48_000, channels=6), "5.1")
    result = render(Scene("snow", song, {**SMALL, "duration": 1.0}), tmp_path / "out.mp4", workers=1)
    assert any("it is 7.3 dB quieter" in warning for warning in result.warnings)
    sound = read_video(tmp_path / "out.mp4").sound[:, 9600:38_400]
    assert np.std(sound) <= 0.5**0.5 * 1.02  # that of a sine at full scale; clipped, it would have more


def test_sample_rate_unsupported_by_aac_becomes_48_khz(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", tone(0.5, rate=96_000), rate=96_000)
    render(Scene("snow", song, {**SMALL, "duration": 0.5}), tmp_path / "out.mp4", workers=1)
    assert read_video(tmp_path / "out.mp4").rate == 48_000


def test_silence_follows_a_short_song(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", tone(0.5))
    render(Scene("snow", song, {**SMALL, "duration": 1.5}), tmp_path / "out.mp4", workers=1)
    video = read_video(tmp_path / "out.mp4")
    assert abs(video.sound.shape[1] - round(1.5 * video.rate)) <= AAC_FRAME
    assert np.abs(video.sound[:, round(0.1 * video.rate) : round(0.4 * video.rate)]).max() > 0.3
    assert np.abs(video.sound[:, round(0.6 * video.rate) :]).max() < 0.01


def test_long_song_is_cut(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", tone(3.0))
    render(Scene("snow", song, {**SMALL, "duration": 0.7}), tmp_path / "out.mp4", workers=1)
    video = read_video(tmp_path / "out.mp4")
    assert len(video.pts) == 21
    assert abs(video.sound.shape[1] - round(0.7 * video.rate)) <= AAC_FRAME


def test_sound_of_a_video(tmp_path: Path) -> None:
    song = write_song(tmp_path / "clip.mp4", clicks(2.0, TIMES), picture=True)
    render(Scene("snow", song, {**SMALL, "duration": "audio"}), tmp_path / "out.mp4", workers=1)
    video = read_video(tmp_path / "out.mp4")
    assert set(video.codecs) == {"h264", "aac"}
    assert np.abs(np.subtract(heard_at(video), TIMES)).max() <= AAC_FRAME / video.rate


@pytest.mark.parametrize(("seconds", "frames"), [(1.5, 45), (0.71, 21), (1.25, 38)])
def test_duration_audio_is_the_length_of_the_song(tmp_path: Path, seconds: float, frames: int) -> None:
    song = write_song(tmp_path / "song.wav", tone(seconds))
    result = render(Scene("snow", song, {**SMALL, "duration": "audio"}), tmp_path / "out.mp4", workers=1)
    assert result.frames == frames
    assert len(read_video(tmp_path / "out.mp4").pts) == frames


def test_song_shorter_than_a_frame_is_named(tmp_path: Path) -> None:
    from ecs_core import SceneError

    song = write_song(tmp_path / "song.wav", tone(0.01))
    with pytest.raises(SceneError, match="shorter than one frame"):
        render(Scene("snow", song, {**SMALL, "duration": "audio"}), tmp_path / "out.mp4", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]
