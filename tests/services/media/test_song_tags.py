"""Tags and artwork of an untrusted song come from the sandboxed process, and what it sends is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecs_core import AudioError
from ecs_core.song_file.tags import MOST_BYTES, SongTags
from services.media.song_tags import read_tags
from tests.media import tagged_mp3, tone, write_song

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 5000  # more than one write to a socket
FRONT = 3


def read(path: Path, decoder: str | None = None) -> SongTags:
    return read_tags(path, name="the song", **({} if decoder is None else {"decoder": decoder}))


def test_tags_are_those_of_the_file(tmp_path: Path) -> None:
    song = tagged_mp3(tmp_path / "song.mp3", {"TIT2": "Lied 🎵", "TPE1": "Ärzte"}, [(FRONT, JPEG)])
    assert read(song) == SongTags({"title": "Lied 🎵", "artist": "Ärzte"}, JPEG)


def test_lyrics_are_those_of_the_file(tmp_path: Path) -> None:
    words = "\n".join(f"Zeile {number} ♪" for number in range(5000))
    song = tagged_mp3(tmp_path / "song.mp3", {"TIT2": "Lied"}, [(FRONT, JPEG)], lyrics=[words])
    assert read(song) == SongTags({"title": "Lied"}, JPEG, lyrics=words)


def test_song_without_tags(tmp_path: Path) -> None:
    assert read(write_song(tmp_path / "song.wav", tone(0.3))) == SongTags()


def test_warnings_and_errors_show_no_path(tmp_path: Path) -> None:
    song = tagged_mp3(tmp_path / "song.mp3", pictures=[(FRONT, b"\xff\xd8\xff" + bytes(13 << 20))])
    left_out = f"the song: artwork of {3 + (13 << 20)} bytes was left out; allowed: {MOST_BYTES}"
    assert read(song) == SongTags(warnings=(left_out,))
    song.write_text("no song")
    with pytest.raises(AudioError, match="the song: not audio") as error:
        read(song)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize(
    "lie",
    [
        "channel.send(b'tags')",
        "channel.say(texts={'title': 'x'}, artwork=0)",
        "channel.say(texts={'lyrics': 'x'}, artwork=0, warnings=[])",
        "channel.say(texts={'title': 'x' * 1000}, artwork=0, warnings=[])",
        "channel.say(texts={}, artwork=20 << 20, warnings=[])",
        "channel.say(texts={}, artwork=0, warnings=['\\x1b[2J'])",
        "channel.say(texts={}, artwork=4, warnings=[]); channel.send(b'GIF8')",
        "channel.say(texts={}, artwork=3, warnings=[]); channel.send(b'\\xff\\xd8\\xff\\xe0')",
        "channel.say(texts={}, artwork=3, warnings=[]); channel.say(texts={}, artwork=0, warnings=[])",
        "channel.say(texts={}, artwork=0, lyrics=500_000, warnings=[])",
        "channel.say(texts={}, artwork=0, lyrics=3, warnings=[]); channel.send(b'four')",
        "channel.say(texts={}, artwork=0, lyrics=3, warnings=[]); channel.say(texts={}, artwork=0, warnings=[])",
    ],
)
def test_nonsense_is_refused(tmp_path: Path, lie: str) -> None:
    (tmp_path / "lie").write_text(lie)
    with pytest.raises(AudioError, match="the song: the decoder sent invalid data"):
        read(tmp_path / "lie", "tests.services.media.trial_decoders:execute")


def test_texts_are_cleaned_again(tmp_path: Path) -> None:
    (tmp_path / "lie").write_text("channel.say(texts={'title': 'a\\x07b'}, artwork=0, warnings=[])")
    assert read(tmp_path / "lie", "tests.services.media.trial_decoders:execute").texts == {"title": "a b"}
    (tmp_path / "lie").write_text(
        "channel.say(texts={}, artwork=0, lyrics=6, warnings=[]); channel.send(b'a\\x07\\xff\\n\\nb')"
    )
    assert read(tmp_path / "lie", "tests.services.media.trial_decoders:execute").lyrics == "a \ufffd\n\nb"
