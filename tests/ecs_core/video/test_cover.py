"""The cover picture and the tags of finished videos: there for libraries of music, out of the way for players."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from ecs_core import RenderResult, Scene, render
from ecs_core.video.cover import jpeg_of
from tests.media import SMALL, read_video, tagged_mp3, tone, write_song

FRONT = 3


def covers(path: Path) -> list[bytes]:
    """The cover pictures of a file."""
    with av.open(str(path)) as container:
        attached = [each for each in container.streams.video if each.disposition & Disposition.attached_pic]
        return [bytes(packet) for packet in container.demux(attached) if packet.size] if attached else []


def decoded(picture: bytes, path: Path) -> np.ndarray:
    path.write_bytes(picture)
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)


@pytest.fixture(scope="module")
def artwork(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A JPEG."""
    picture = np.random.Generator(np.random.Philox(1)).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    return jpeg_of(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p"))


def of(folder: Path, song: Path | None, workers: int = 1, **config: object) -> RenderResult:
    scene = Scene("snow", song, {**SMALL, "duration": 1.0, **config})
    return render(scene, folder / "out.mp4", workers=workers, segment_seconds=0.5, poster=folder / "poster.png")


def test_artwork_and_tags_of_the_song_are_those_of_the_video(tmp_path: Path, artwork: bytes) -> None:
    song = tagged_mp3(tmp_path / "song.mp3", {"TIT2": "Lied 🎵", "TPE1": "Ärzte", "TALB": "A"}, [(FRONT, artwork)])
    assert of(tmp_path, song).warnings == ()
    assert covers(tmp_path / "out.mp4") == [artwork]
    with av.open(str(tmp_path / "out.mp4")) as video:
        found = video.metadata
    assert (found["title"], found["artist"], found["album"]) == ("Lied 🎵", "Ärzte", "A")


@pytest.mark.parametrize("heard", [True, False], ids=["song", "silence"])
def test_cover_is_the_poster_without_artwork(tmp_path: Path, heard: bool) -> None:
    of(tmp_path, write_song(tmp_path / "song.wav", tone(1.0)) if heard else None)
    [cover] = covers(tmp_path / "out.mp4")
    poster = decoded((tmp_path / "poster.png").read_bytes(), tmp_path / "poster.png")
    shown = decoded(cover, tmp_path / "cover.jpg")
    assert shown.shape == (180, 320, 3)
    assert np.abs(shown - poster).mean() < 2
    assert poster.max() > 100


def test_covers_are_limited_in_size(tmp_path: Path) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((1080, 1920, 3), 200, np.uint8), format="rgb24")
    shown = decoded(jpeg_of(frame.reformat(format="yuv420p", dst_colorspace="ITU709")), tmp_path / "cover.jpg")
    assert shown.shape == (720, 1280, 3)


@pytest.mark.parametrize("red", [(255, 0, 0), (0, 128, 255), (20, 20, 20)])
def test_covers_have_the_colours_of_the_video(tmp_path: Path, red: tuple[int, int, int]) -> None:
    picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), red, np.uint8), format="rgb24")
    frame = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    frame.colorspace, frame.color_range = 1, 1
    assert np.abs(decoded(jpeg_of(frame), tmp_path / "cover.jpg") - red).max() < 10


@pytest.mark.parametrize("song", ["tagged.mp3", "plain.wav"])
def test_players_see_one_video_track_first(tmp_path: Path, artwork: bytes, song: str) -> None:
    path = tmp_path / song
    if song == "tagged.mp3":
        tagged_mp3(path, {"TIT2": "x"}, [(FRONT, artwork)])
    else:
        write_song(path, tone(1.0))
    of(tmp_path, path)
    with av.open(str(tmp_path / "out.mp4")) as video:
        first, cover = video.streams.video
        assert first.codec_context.name == "h264"
        assert first.disposition & Disposition.default
        assert cover.disposition == Disposition.attached_pic
        assert video.streams.best("video") is first
    assert set(read_video(tmp_path / "out.mp4").codecs) == {"h264", "aac"}
    assert len(read_video(tmp_path / "out.mp4").pts) == 30
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"covr") < data.index(b"mdat")


def test_file_is_the_same_for_any_number_of_workers(tmp_path: Path, artwork: bytes) -> None:
    song = tagged_mp3(tmp_path / "song.mp3", {"TIT2": "x"}, [(FRONT, artwork)], seconds=1.0)
    files = []
    for workers in (1, 2):
        of(tmp_path, song, workers)
        files.append((tmp_path / "out.mp4").read_bytes())
    assert files[0] == files[1]


def test_artwork_that_is_no_picture_does_no_harm(tmp_path: Path) -> None:
    broken = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
    song = tagged_mp3(tmp_path / "song.mp3", {}, [(FRONT, broken)])
    of(tmp_path, song)
    assert covers(tmp_path / "out.mp4") == [broken]
    assert len(read_video(tmp_path / "out.mp4").pts) == 30


def test_artwork_of_13_mb_is_left_out_with_a_warning(tmp_path: Path) -> None:
    song = tagged_mp3(tmp_path / "song.mp3", {"TIT2": "Lied"}, [(FRONT, b"\xff\xd8\xff" + bytes(13 << 20))])
    result = of(tmp_path, song)
    assert result.warnings == (f"{song}: artwork of {3 + (13 << 20)} bytes was left out; allowed: 10485760",)
    assert len(covers(tmp_path / "out.mp4")) == 1  # the poster
    assert (tmp_path / "out.mp4").stat().st_size < 1 << 20
