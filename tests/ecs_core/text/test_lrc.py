"""LRC: with and without times of words, tags, offsets and several times a line; read, written and read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.errors import SceneError
from ecs_core.text.lrc import parse, write
from ecs_core.text.lyrics import Line, Lyrics, Word, load_lyrics, load_text, read_lyrics, shifted

TEXTS = st.text("abc äß歌", min_size=1, max_size=12).map(lambda text: " ".join(text.split())).filter(bool)


@st.composite
def lyrics(draw: st.DrawFn) -> Lyrics:
    """Lines that do not overlap, with times in milliseconds; some have times of words."""
    lines, at = [], 0
    for text in draw(st.lists(TEXTS, min_size=1, max_size=6)):
        start = at + draw(st.integers(0, 3000))
        parts = text.split(" ") if draw(st.booleans()) else []
        words, place, now = [], 0, start
        for part in parts:
            begin = now + draw(st.integers(0, 500))
            now = begin + draw(st.integers(1, 900))
            words.append(Word(part, begin / 1000, now / 1000, text.index(part, place)))
            place = words[-1].at + len(part)
        at = max(now, start + draw(st.integers(1, 4000)))
        lines.append(Line(text, start / 1000, at / 1000, tuple(words)))
    tags = draw(st.lists(st.tuples(st.sampled_from(["ti", "ar", "al", "by"]), TEXTS), max_size=3))
    return Lyrics(tuple(lines), tuple(tags))


@settings(deadline=None)
@given(lyrics())
def test_written_lyrics_read_the_same(given_lyrics: Lyrics) -> None:
    assert parse(write(given_lyrics)) == given_lyrics


@settings(deadline=None)
@given(lyrics(), st.integers(-5000, 5000))
def test_offset_moves_everything_earlier(given_lyrics: Lyrics, offset: int) -> None:
    plain = parse(write(given_lyrics))
    moved = parse(f"[offset:{offset}]\n{write(given_lyrics)}")
    for a, b in zip(plain.lines, moved.lines, strict=False):
        if round(a.start * 1000) >= offset:
            assert b.start == pytest.approx(a.start - offset / 1000, abs=1e-9)
            assert [word.start for word in b.words] == pytest.approx([word.start - offset / 1000 for word in a.words])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 599_990), TEXTS), min_size=1, max_size=8))
def test_lines_are_in_the_order_of_their_times(stamped: list[tuple[int, str]]) -> None:
    file = "\n".join(f"[{at // 60_000}:{at // 1000 % 60:02d}.{at % 1000:03d}]{text}" for at, text in stamped)
    found = parse(file, duration=700).lines
    starts = [line.start for line in found]
    assert starts == sorted(starts)
    assert sorted(round(1000 * start) for start in starts) == sorted(at for at, _ in stamped)
    assert all(line.start < line.end for line in found)


def test_line_lasts_until_the_next_one() -> None:
    first, second = parse("[00:01.5]one\n[00:03]two\n", duration=9).lines
    assert (first, second) == (Line("one", 1.5, 3.0), Line("two", 3.0, 9.0))


def test_time_without_text_ends_a_line() -> None:
    assert parse("[00:01.00]one\n[00:02.00]\n[00:05.00]two").lines[0].end == 2.0


def test_last_line_without_an_end_stays_a_while() -> None:
    assert parse("[00:01.00]one").lines[0].end == 5.0


def test_lines_of_one_time_have_the_same_end() -> None:
    assert [line.end for line in parse("[00:01]hello\n[00:01]bonjour\n[00:04]").lines] == [4.0, 4.0]


def test_several_times_repeat_a_line_with_its_words() -> None:
    first, second = parse("[00:10][00:20.50]<00:10>la <00:11>la<00:12>", duration=30).lines
    assert [(word.text, word.start, word.end, word.at) for word in first.words] == [
        ("la", 10, 11, 0),
        ("la", 11, 12, 3),
    ]
    assert [(word.start, word.end) for word in second.words] == [(20.5, 21.5), (21.5, 22.5)]


def test_syllables_make_up_words() -> None:
    line = parse("[00:01]<00:01>to<00:02>day <00:03>we<00:04>").lines[0]
    assert line.text == "today we"
    assert [line.text[word.at : word.at + len(word.text)] for word in line.words] == ["to", "day", "we"]


def test_tags_are_kept_and_colons_of_hundredths_read() -> None:
    found = parse("\ufeff[ti: A: B ]\n[AR:C]\n[00:01:50]x")
    assert found.tags == (("ti", "A: B"), ("ar", "C"))
    assert found.lines[0].start == 1.5


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("[00:01]a\nb", r"^lyrics: line 2: 'b': has no time; allowed: \[mm:ss.xx\]text, .*\[tag:value\]$"),
        ("[00:61.00]a", r"^lyrics: line 1: '\[00:61.00\]a': has no time; allowed: "),
        ("[00:01]<00:0x>a", r"^lyrics: line 1: .*: <00:0x> is no time of a word; allowed: <mm:ss.xx>$"),
        ("[00:05]<00:04>a", r"^lyrics: line 1: .*: the times of its words must not go back, nor before that of the"),
        (
            "[offset:soon]\n[00:01]a",
            r"^lyrics: line 1: '\[offset:soon\]': the offset must be milliseconds from -600000",
        ),
        ("[ti:x]", r"^lyrics: no line has a time; allowed: "),
        (
            "[00:01]a\n" * 5001,
            r"^lyrics: 5001 lines with 45009 characters; allowed: 5000 lines with 500000 characters$",
        ),
    ],
)
def test_broken_lines_are_named(file: str, said: str) -> None:
    with pytest.raises(SceneError, match=said):
        parse(file)


@settings(deadline=None)
@given(st.text("[]<>:.0123a \n", max_size=60))
def test_any_text_is_read_or_refused_in_a_line(file: str) -> None:
    try:
        said = str(parse(file))
    except SceneError as error:
        said = str(error)
    assert "\n" not in said


def test_kind_follows_from_the_name_or_else_from_the_text() -> None:
    assert read_lyrics("[00:01]a", "song.LRC").lines[0].text == "a"
    assert read_lyrics("[00:01]a", "0f3c").lines[0].text == "a"
    assert read_lyrics("1\n00:00:01,000 --> 00:00:02,000\na", "0f3c").lines[0].end == 2
    assert read_lyrics("WEBVTT\n\n00:01.000 --> 00:02.000\na", "song.txt").lines[0].end == 2
    with pytest.raises(SceneError, match=r"^lyrics: song.txt: has no times; allowed: LRC, SRT or WebVTT$"):
        read_lyrics("a", "song.txt")


def test_shifted_lyrics_keep_their_lengths_and_lose_what_lies_before_the_song() -> None:
    first, second = Line("a", 1.0, 2.0), Line("b c", 2.0, 4.0, (Word("b", 2.0, 3.0, 0), Word("c", 3.0, 4.0, 2)))
    later = Line("b c", 2.5, 4.5, (Word("b", 2.5, 3.5, 0), Word("c", 3.5, 4.5, 2)))
    assert shifted(Lyrics((first, second)), 0.5) == Lyrics((Line("a", 1.5, 2.5), later))
    cut = Line("b c", 0.0, 1.5, (Word("b", 0.0, 0.5, 0), Word("c", 0.5, 1.5, 2)))
    assert shifted(Lyrics((first, second)), -2.5) == Lyrics((cut,))


def test_files_are_read_and_named_in_errors(tmp_path: Path) -> None:
    file = tmp_path / "song.lrc"
    file.write_bytes(b"\xef\xbb\xbf[00:01.00]\xc3\xa4\r\n")
    assert load_lyrics(file).lines[0].text == "ä"
    for data, said in [
        (b"[00:01.00]a\nb", "line 2: 'b': has no time"),
        (b"\xff", "is not UTF-8 (at byte 0); save it as UTF-8"),
        (b"\xef" * 2_000_001, "has more than 2000000 bytes; allowed: 500000 characters"),
    ]:
        file.write_bytes(data)
        with pytest.raises(SceneError) as error:
            load_lyrics(file)
        assert str(error.value).startswith(f"lyrics: {file}: {said}")
    with pytest.raises(SceneError, match=r"missing.srt: No such file or directory$"):
        load_lyrics(tmp_path / "missing.srt")


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "song.lrc")
    for each in (pipe, Path("/dev/null"), tmp_path):
        with pytest.raises(SceneError, match=f"^lyrics: {each}: is no file$"):
            load_lyrics(each)


def test_words_that_are_read_but_once_may_come_from_a_device() -> None:
    assert load_text(Path("/dev/null"), pipes=True) == ""
