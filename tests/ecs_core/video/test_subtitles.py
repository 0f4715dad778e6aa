"""Soft subtitles: a track of timed text beside the picture, which others read as it was written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from ecs_core import Scene, SceneError, render
from ecs_core.video.subtitles import Cue, cues_of
from tests.media import read_video, tone, write_song

SMALL = {"width": 64, "height": 48, "particle_count": 5}
LRC = "[00:00.50]Hällo 世界 🎵\n[00:01.25]two\n[00:01.75]\n[00:02.50]three\n[00:09.00]after the end\n"


def shown(path: Path) -> list[tuple[Fraction, Fraction, str]]:
    """Start, end and text of each sample that is not empty."""
    with av.open(str(path)) as video:
        (track,) = video.streams.subtitles
        assert (track.codec_context.name, track.metadata.get("language", "und")) == ("mov_text", "und")
        found = []
        for packet in video.demux(track):
            data = bytes(packet)
            if len(data) > 2:
                assert int.from_bytes(data[:2], "big") == len(data) - 2
                start = packet.pts * packet.time_base
                found.append((start, start + packet.duration * packet.time_base, data[2:].decode()))
                (decoded,) = packet.decode()
                assert decoded.dialogue.decode() == found[-1][2]
        return found


@pytest.mark.parametrize("form", ["mp4", "mov"])
def test_are_what_is_sung_while_the_video_plays(tmp_path: Path, form: str) -> None:
    (tmp_path / "words.lrc").write_text(LRC)
    song = write_song(tmp_path / "song.wav", tone(6.0))
    config = {**SMALL, "duration": 3.0, "subtitles": str(tmp_path / "words.lrc")}
    render(Scene("snow", song, config), tmp_path / f"out.{form}", workers=2, segment_seconds=0.5)
    half = Fraction(1, 2)
    assert shown(tmp_path / f"out.{form}") == [
        (half, half * 5 / 2, "Hällo 世界 🎵"),
        (half * 5 / 2, half * 7 / 2, "two"),
        (half * 5, Fraction(3), "three"),
    ]
    video = read_video(tmp_path / f"out.{form}")
    assert video.pts == [frame / Fraction(30) for frame in range(90)]


def test_follow_the_part_of_the_song(tmp_path: Path) -> None:
    (tmp_path / "words.lrc").write_text(LRC)
    song = write_song(tmp_path / "song.wav", tone(6.0))
    config = {**SMALL, "start": 1.5, "duration": 1.0, "subtitles": str(tmp_path / "words.lrc")}
    render(Scene("snow", song, config), tmp_path / "out.mp4", workers=1)
    assert shown(tmp_path / "out.mp4") == [(Fraction(0), Fraction(1, 4), "two")]


def test_there_is_no_track_where_nothing_is_sung(tmp_path: Path) -> None:
    (tmp_path / "words.lrc").write_text("[00:05.00]later")
    config = {**SMALL, "duration": 0.5, "subtitles": str(tmp_path / "words.lrc")}
    render(Scene("snow", config=config), tmp_path / "out.mp4", workers=1)
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert not video.streams.subtitles


def test_frames_are_those_without(tmp_path: Path) -> None:
    (tmp_path / "words.lrc").write_text(LRC)
    hashes = [
        render(
            Scene("snow", config={**SMALL, "duration": 1.0, **more}), tmp_path / "out.mp4", workers=1, frame_hashes=True
        ).frame_hashes
        for more in ({}, {"subtitles": str(tmp_path / "words.lrc")})
    ]
    assert hashes[0] == hashes[1]


def test_count_towards_the_size_of_the_file(tmp_path: Path) -> None:
    lines = "".join(f"[00:{number // 50:02d}.{2 * number % 100:02d}]{'words ' * 20}\n" for number in range(100))
    (tmp_path / "words.lrc").write_text(lines)
    config = {**SMALL, "duration": 2.0, "subtitles": str(tmp_path / "words.lrc")}
    with pytest.raises(SceneError, match="max_bytes = 25000: too few for 2 s"):
        render(Scene("snow", config=config), tmp_path / "out.mp4", quality={"max_bytes": 25_000})
    render(Scene("snow", config=config), tmp_path / "out.mp4", quality={"max_bytes": 40_000})
    assert (tmp_path / "out.mp4").stat().st_size <= 40_000
    assert len(shown(tmp_path / "out.mp4")) == 100


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"format": "webm"}, "subtitles with format = webm: it holds none; formats that do: mp4, mov"),
        ({"format": "gif"}, "subtitles with format = gif: it holds none; formats that do: mp4, mov"),
        ({"subtitles": "missing.srt"}, "subtitles = 'missing.srt': No such file or directory"),
        ({"subtitles": "broken.lrc"}, "subtitles = 'broken.lrc': line 2: 'b': has no time; allowed: "),
    ],
)
def test_what_cannot_be_shown_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.lrc").write_text(LRC)
    Path("broken.lrc").write_text("[00:01]a\nb")
    with pytest.raises(SceneError) as error:
        Scene("snow", config={"subtitles": "words.lrc", **config}).resolve()
    assert said in str(error.value)


class TestCues:
    def test_at_the_same_time_are_one(self) -> None:
        lines = [(0.0, 2.0, "a"), (1.0, 3.0, "b"), (1.5, 1.5, "nothing"), (4.0, 5.0, "c")]
        assert cues_of(lines, Fraction(10)) == (
            Cue(0, 1000, "a"),
            Cue(1000, 2000, "a\nb"),
            Cue(2000, 3000, "b"),
            Cue(4000, 5000, "c"),
        )

    def test_end_with_the_video(self) -> None:
        assert cues_of([(-1.0, 0.5, "a"), (-2.0, -1.0, "b"), (1.0, 9.0, "c")], Fraction(3, 2)) == (
            Cue(0, 500, "a"),
            Cue(1000, 1500, "c"),
        )

    def test_that_are_too_long_are_refused(self) -> None:
        with pytest.raises(SceneError, match=r"subtitles: 70000 bytes at 1 s; allowed: 65535"):
            cues_of([(1.0, 2.0, "ä" * 35_000)], Fraction(3))
