"""Tags and artwork of songs: taken from every container, cleaned, limited, and never decoded."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from ecs_core.song_file import tags
from ecs_core.song_file.audio_file import AudioFile
from ecs_core.song_file.lyrics_in_tags import MOST_OF_LYRICS
from ecs_core.song_file.tags import MOST_BYTES, MOST_LETTERS, SongTags, clean
from tests.media import tagged_mp3, tone, write_song

TEXTS = {"title": "Lied", "artist": "Ärzte & 音楽 🎵", "album": "Album", "date": "2021", "genre": "Pop"}
JPEG, PNG = b"\xff\xd8\xff\xe0 not a whole picture", b"\x89PNG\r\n\x1a\n neither"
FRONT, BACK = 3, 4  # types of pictures in ID3


def read(path: Path) -> SongTags:
    with AudioFile(path) as song:
        return song.tags()


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a", ".ogg", ".mka"])
def test_texts_of_every_container(tmp_path: Path, suffix: str) -> None:
    song = write_song(
        tmp_path / f"song{suffix}", tone(0.3, rate=48_000), rate=48_000, tags={**TEXTS, "comment": "not copied"}
    )
    assert read(song) == SongTags(TEXTS)


def test_song_without_tags(tmp_path: Path) -> None:
    assert read(write_song(tmp_path / "song.wav", tone(0.3))) == SongTags()


def test_title_of_a_track_is_not_the_title_of_the_song(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mka"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        stream.metadata["title"] = "Stereo"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert read(tmp_path / "song.mka") == SongTags()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x00\x07\x1b[31mb", "a [31mb"),
        ("two\r\nlines\u2028and\x85more", "two lines and more"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("half \ud83d", "half"),
        ("  spaces \t", "spaces"),
        ("x" * 100_000, "x" * MOST_LETTERS),
        ("\x00\x01", ""),
    ],
)
def test_texts_are_one_clean_line(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_texts_of_a_file_are_cleaned(tmp_path: Path) -> None:
    song = tagged_mp3(tmp_path / "song.mp3", {"TIT2": "bad\x1b[2J\x07" + 1000 * "!", "TPE1": "\x01\x02"})
    assert read(song).texts == {"title": ("bad [2J " + 1000 * "!")[:MOST_LETTERS]}


class TestLyrics:
    @pytest.mark.parametrize("suffix", [".flac", ".m4a", ".ogg", ".mka"])
    def test_of_every_container(self, tmp_path: Path, suffix: str) -> None:
        words = {"lyrics": "[00:01.00]one\n\ntwö"}
        song = write_song(tmp_path / f"song{suffix}", tone(0.3, rate=48_000), rate=48_000, tags=words)
        assert read(song) == SongTags(lyrics="[00:01.00]one\n\ntwö")

    def test_of_id3_are_those_with_times(self, tmp_path: Path) -> None:
        assert read(tagged_mp3(tmp_path / "a.mp3", lyrics=["one\r\ntwo"])) == SongTags(lyrics="one\ntwo")
        song = tagged_mp3(tmp_path / "b.mp3", lyrics=["one\ntwo", " \n", "[00:01.00]one\n[00:02.00]two"])
        assert read(song).lyrics == "[00:01.00]one\n[00:02.00]two"

    def test_are_cleaned_line_by_line(self, tmp_path: Path) -> None:
        song = tagged_mp3(tmp_path / "song.mp3", lyrics=["\n\na\x1b[2J\x07 \t b\r\u202ec\n\n"])
        assert read(song).lyrics == "a [2J b\nc"

    def test_that_are_too_long_are_left_out_with_a_warning(self, tmp_path: Path) -> None:
        song = tagged_mp3(tmp_path / "song.mp3", lyrics=["a" * (MOST_OF_LYRICS + 1)])
        what = f"{song}: lyrics of {MOST_OF_LYRICS + 1} characters were left out; allowed: {MOST_OF_LYRICS}"
        assert read(song) == SongTags(warnings=(what,))


class TestArtwork:
    @pytest.mark.parametrize("picture", [JPEG, PNG])
    def test_is_copied_byte_for_byte(self, tmp_path: Path, picture: bytes) -> None:
        assert read(tagged_mp3(tmp_path / "song.mp3", pictures=[(FRONT, picture)])) == SongTags(artwork=picture)

    def test_is_the_front_cover_wherever_that_is(self, tmp_path: Path) -> None:
        pictures = [(BACK, JPEG), (FRONT, PNG), (BACK, JPEG + b"2")]
        assert read(tagged_mp3(tmp_path / "song.mp3", pictures=pictures)).artwork == PNG

    def test_is_any_other_picture_if_there_is_no_front_cover(self, tmp_path: Path) -> None:
        pictures = [(BACK, b"GIF89a"), (BACK, PNG), (5, JPEG)]
        assert read(tagged_mp3(tmp_path / "song.mp3", pictures=pictures)) == SongTags(artwork=PNG)

    def test_that_is_another_format_is_left_out_with_a_warning(self, tmp_path: Path) -> None:
        song = tagged_mp3(tmp_path / "song.mp3", pictures=[(FRONT, b"GIF89a no JPEG")])
        warning = f"{song}: artwork was left out that is neither JPEG nor PNG"
        assert read(song) == SongTags(warnings=(warning,))

    def test_that_is_too_large_is_left_out_with_a_warning(self, tmp_path: Path) -> None:
        song = tagged_mp3(tmp_path / "song.mp3", pictures=[(FRONT, JPEG + bytes(13 << 20))])
        size = len(JPEG) + (13 << 20)
        assert read(song).warnings == (f"{song}: artwork of {size} bytes was left out; allowed: {MOST_BYTES}",)
        assert read(song).artwork is None

    def test_limit_is_exact(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        song = tagged_mp3(tmp_path / "song.mp3", pictures=[(FRONT, PNG)])
        monkeypatch.setattr(tags, "MOST_BYTES", len(PNG))
        assert read(song).artwork == PNG
        monkeypatch.setattr(tags, "MOST_BYTES", len(PNG) - 1)
        assert read(song).artwork is None

    def test_picture_track_of_a_video_is_none(self, tmp_path: Path) -> None:
        assert read(write_song(tmp_path / "clip.mp4", tone(0.5), picture=True)) == SongTags()
