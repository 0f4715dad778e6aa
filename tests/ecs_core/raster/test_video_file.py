"""Videos in files: any frame at any time is the same, whatever was asked for before; what is no video is named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.kernels.curve import linear_shown_as
from ecs_core.raster.light_pictures import LightPicture
from ecs_core.raster.video_file import Cut, MovingPicture, VideoDecoder, VideoIndex, video_index
from tests.media.moving import numbered, write_sound, write_video

WIDTH, HEIGHT = 64, 48


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, VideoIndex]:
    folder = tmp_path_factory.mktemp("clips")
    return {
        suffix: video_index(write_video(folder / f"clip{suffix}", numbered(30), gop=7))
        for suffix in (".mp4", ".webm", ".mov", ".mkv")
    }


def luma(decoder: VideoDecoder, number: int) -> bytes:
    return bytes(memoryview(decoder.frame(number).planes[0]))


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mov", ".mkv"])
def test_frames_in_order_differ_and_have_their_times(clips: dict[str, VideoIndex], suffix: str) -> None:
    index = clips[suffix]
    assert len(index.times) == 30
    assert float(index.seconds) == pytest.approx(30 / 24, abs=0.02)
    assert (index.width, index.height, index.turns) == (WIDTH, HEIGHT, 0)
    decoder = VideoDecoder(index)
    assert len({luma(decoder, number) for number in range(30)}) == 30
    assert [decoder.frame(number).pts for number in range(30)] == list(index.times)


@given(suffix=st.sampled_from([".mp4", ".webm", ".mov"]), asked=st.lists(st.integers(0, 29), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_frame_does_not_depend_on_those_before(clips: dict[str, VideoIndex], suffix: str, asked: list[int]) -> None:
    decoder = VideoDecoder(clips[suffix])
    for number in asked:
        assert luma(decoder, number) == luma(VideoDecoder(clips[suffix]), number)


def test_time_alone_decides_which_frame_is_shown_and_it_begins_anew_at_the_end(clips: dict[str, VideoIndex]) -> None:
    for index in clips.values():
        for number in range(60):  # also where times are rounded to thousandths
            assert index.frame_at(Fraction(number, 24) % index.seconds) == number % 30
        assert [index.frame_at(Fraction(number, 48)) for number in range(4)] == [0, 0, 1, 1]
        assert index.frame_at(index.seconds) == 0


def test_frames_of_any_length_are_shown_by_their_times(tmp_path: Path) -> None:
    index = video_index(write_video(tmp_path / "v.mp4", numbered(4), times=[0, 100, 500, 600]))
    shown = [index.frame_at(Fraction(at, 1000)) for at in (0, 90, 100, 490, 500, 590, 600)]
    assert shown == [0, 0, 1, 1, 2, 2, 3]


def test_colours_of_a_video_are_those_of_a_picture(tmp_path: Path) -> None:
    pixels = numbered(2)[1]
    for suffix, bt709 in ((".mp4", True), (".mp4", False), (".mov", True), (".mkv", False)):
        file = write_video(tmp_path / f"v{bt709}{suffix}", [pixels], bt709=bt709)
        moving = MovingPicture(video_index(file), Cut((WIDTH, HEIGHT), 0, 0, WIDTH, HEIGHT))
        fine, half, solid = moving.level(0, 0)
        expected_fine, expected_half, _ = LightPicture.of(pixels).level(0)
        assert solid
        inside = np.s_[:, 6:-6, 6:-6]
        far = np.abs(fine - expected_fine)[inside]
        assert np.quantile(far, 0.9) < 0.02
        assert np.abs(np.median(half[:, 14:22, 20:30] - expected_half[:, 14:22, 20:30])) < 0.02


def test_share_of_white_is_that_of_the_tone_curve(tmp_path: Path) -> None:
    for level in (0, 3, 40, 128, 200, 255):
        file = write_video(tmp_path / "grey.mp4", [np.full((16, 16, 3), level, np.uint8)])
        fine, _, _ = MovingPicture(video_index(file), Cut((16, 16), 0, 0, 16, 16)).level(0, 0)
        light = float(linear_shown_as(min(level / 255, 0.9996)))
        assert float(fine[1, 8, 8]) == pytest.approx(light / (light + 0.19), abs=0.006)


def test_frames_are_scaled_and_cut(clips: dict[str, VideoIndex]) -> None:
    whole, _, _ = MovingPicture(clips[".mp4"], Cut((32, 24), 0, 0, 32, 24)).level(9, 0)
    part, _, _ = MovingPicture(clips[".mp4"], Cut((32, 24), 8, 4, 12, 10)).level(9, 0)
    np.testing.assert_array_equal(part[1, 1:-1, 1:-1], whole[1, 5:15, 9:21])


def test_coarser_levels_are_means_of_finer_ones(clips: dict[str, VideoIndex]) -> None:
    moving = MovingPicture(clips[".mp4"], Cut((WIDTH, HEIGHT), 0, 0, WIDTH, HEIGHT))
    fine, half, _ = moving.level(3, 0)
    coarse, _, _ = moving.level(3, 1)
    assert coarse.shape == (2, HEIGHT // 2 + 2, WIDTH // 2 + 2)
    assert coarse[1, 1:-1, 1:-1].mean() == pytest.approx(fine[1, 1:-1, 1:-1].mean(), rel=1e-4)
    np.testing.assert_allclose(coarse[0, 1:-1, 1:-1], half[0, 1:-1, 1:-1])


def test_grey_and_blurred_frames_have_less_of_what_was_taken(clips: dict[str, VideoIndex]) -> None:
    size = (WIDTH, HEIGHT)
    _, plain, _ = MovingPicture(clips[".mp4"], Cut(size, 0, 0, *size)).level(3, 0)
    _, grey, _ = MovingPicture(clips[".mp4"], Cut(size, 0, 0, *size, saturation=0.0)).level(3, 0)
    soft, _, _ = MovingPicture(clips[".mp4"], Cut(size, 0, 0, *size, softness=5.0)).level(3, 0)
    sharp, _, _ = MovingPicture(clips[".mp4"], Cut(size, 0, 0, *size)).level(3, 0)
    assert np.ptp(plain[1:, 5, 5]) > 0.2
    assert np.ptp(grey[1:, 5, 5]) < 1e-6
    steepest = [np.abs(np.diff(each[1, 12, 1:-1])).max() for each in (sharp, soft)]
    assert steepest[1] < steepest[0] / 4
    assert soft[1, 1:-1, 1:-1].mean() == pytest.approx(sharp[1, 1:-1, 1:-1].mean(), rel=0.1)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_video_that_says_that_it_lies_on_its_side_is_turned(tmp_path: Path, degrees: int) -> None:
    upright = write_video(tmp_path / "v.mp4", numbered(2))
    turned = tmp_path / f"v{degrees}.mp4"
    turned.write_bytes(_with_matrix(upright.read_bytes(), degrees))
    index = video_index(turned)
    assert index.turns == degrees // 90
    assert (index.width, index.height) == ((HEIGHT, WIDTH) if degrees % 180 else (WIDTH, HEIGHT))
    size = index.width, index.height
    fine, half, _ = MovingPicture(index, Cut(size, 0, 0, *size)).level(0, 0)
    straight, _, _ = MovingPicture(video_index(upright), Cut((WIDTH, HEIGHT), 0, 0, WIDTH, HEIGHT)).level(0, 0)
    np.testing.assert_array_equal(fine[1], np.rot90(straight[1], -index.turns))
    red = {90: (5, -6), 180: (-6, -6), 270: (-6, 5)}[degrees]  # the upper left corner, clockwise
    assert half[1][red] > half[3][red] + 0.2


def _with_matrix(data: bytes, degrees: int) -> bytes:
    """An MP4 file whose track is shown turned clockwise."""
    one = 1 << 16
    turns = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[degrees]
    a, b, c, d = (value.to_bytes(4, "big", signed=True) for value in turns)
    zero, last = bytes(4), (1 << 30).to_bytes(4, "big")
    at = data.index(b"tkhd") + 4 + 40
    matrix = a + b + zero + c + d + zero + zero + zero + last
    return data[:at] + matrix + data[at + 36 :]


def test_damaged_frames_are_left_out(tmp_path: Path) -> None:
    file = write_video(tmp_path / "v.mp4", numbered(30), gop=10)
    data = bytearray(file.read_bytes())
    start = data.index(b"mdat") + 4
    third = start + (data.index(b"moov") - start) * 2 // 3
    data[third : third + 40] = bytes(40)
    file.write_bytes(data)
    index = video_index(file)
    decoder = VideoDecoder(index)
    in_order = [luma(decoder, number) for number in range(30)]
    assert [luma(VideoDecoder(index), number) for number in (29, 3, 15, 22)] == [in_order[n] for n in (29, 3, 15, 22)]


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    def refused(name: str, content: bytes = b"") -> str:
        path = tmp_path / name
        if content:
            path.write_bytes(content)
        with pytest.raises(ValueError, match=r"\S") as caught:
            video_index(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    whole = write_video(tmp_path / "v.mp4", numbered(5)).read_bytes()
    assert refused("none.mp4") == "cannot be read: No such file or directory"
    (tmp_path / "empty.mp4").touch()
    assert refused("empty.mp4") == "is empty"
    (tmp_path / "folder").mkdir()
    assert refused("folder") == "is no file"
    assert refused("text.mp4", b"not a video at all\n" * 50).startswith("cannot be read as a video (")
    assert refused("cut.mp4", whole[: len(whole) // 2]).startswith("cannot be read as a video (")
    write_sound(tmp_path / "sound.mp4")
    assert refused("sound.mp4") == "holds no moving picture"
