"""SRT and WebVTT: cues as lines, without styles, with times of words where a file has them."""

from __future__ import annotations

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.errors import SceneError
from ecs_core.text.lyrics import Line, read_lyrics
from ecs_core.text.subtitles import parse

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hi</i>
there {\\an8}

2
00:00:03,000 --> 00:00:04,000
at 12:30:10,100 or 12:31:10,100
"""
VTT = """WEBVTT - of a song

NOTE a remark
over two lines

STYLE
::cue { color: red }

first
00:01.000 --> 00:02.500 align:left
<v Bob>Hi <00:00:01.500><c>the</c><00:00:02.000>re &amp; all

01:00:00.000 --> 01:00:01.000
Late
"""


def test_cues_of_srt_are_lines() -> None:
    assert parse(SRT, "srt").lines == (
        Line("Hi there", 1.0, 2.5),
        Line("at 12:30:10,100 or 12:31:10,100", 3.0, 4.0),
    )


def test_cues_of_vtt_have_times_of_words() -> None:
    first, second = parse(VTT, "vtt").lines
    assert first.text == "Hi there & all"
    assert [(word.text, word.start, word.end) for word in first.words] == [
        ("Hi", 1.0, 1.5),
        ("the", 1.5, 2.0),
        ("re & all", 2.0, 2.5),
    ]
    assert (second.text, second.start) == ("Late", 3600.0)


def test_what_lies_after_the_song_is_cut_off() -> None:
    assert parse(SRT, "srt", duration=3.5).lines[1].end == 3.5


CUES = st.lists(
    st.tuples(st.integers(0, 10**7), st.integers(0, 10**4), st.text("abc1 é", min_size=1, max_size=20)),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(cues=CUES, kind=st.sampled_from(["srt", "vtt"]))
def test_cues_that_pysubs2_writes_are_read_in_order(cues: list[tuple[int, int, str]], kind: str) -> None:
    file = pysubs2.SSAFile()
    kept = [(start, length, " ".join(text.split())) for start, length, text in cues if text.strip()]
    file.events = [pysubs2.SSAEvent(start, start + length, text) for start, length, text in kept]
    if not kept:
        return
    found = read_lyrics(file.to_string(kind), f"song.{kind}").lines
    expected = sorted((start / 1000, (start + length) / 1000, text) for start, length, text in kept)
    assert sorted((line.start, line.end, line.text) for line in found) == expected
    assert [line.start for line in found] == sorted(line.start for line in found)


@pytest.mark.parametrize(
    ("file", "kind", "said"),
    [
        ("1\n00:00:01,000 -> 00:00:02,500\na", "srt", r"^lyrics: line 2: '00:00:01,000 -> .*': allowed: hh:mm:ss,mmm"),
        ("1\n00:01,000 --> 00:00:02,500\na", "srt", r"^lyrics: line 2: .*: allowed: hh:mm:ss,mmm --> hh:mm:ss,mmm$"),
        ("1\n00:00:03,000 --> 00:00:02,500\na", "srt", r"^lyrics: line 2: .*: ends before it begins$"),
        ("a\n00:00:01,000 --> 00:00:02,500\na", "srt", r"^lyrics: line 1: 'a': allowed: the number of a cue, or hh"),
        (
            "00:00:01,000 --> 00:00:02,500\na\n00:00:03,000 --> 00:00:04,000\nb",
            "srt",
            r"line 3: .*: an empty line must",
        ),
        ("", "srt", r"^lyrics: there is no cue with a text; allowed: hh:mm:ss,mmm --> hh:mm:ss,mmm, and its text"),
        ("00:01.000 --> 00:02.000\na", "vtt", r"^lyrics: line 1: .*: a .vtt file must begin with WEBVTT$"),
        ("WEBVTT\n\n00:01 --> 00:02\na", "vtt", r"^lyrics: line 3: .*: allowed: hh:mm:ss.mmm --> hh:mm:ss.mmm$"),
    ],
)
def test_broken_lines_are_named(file: str, kind: str, said: str) -> None:
    with pytest.raises(SceneError, match=said):
        parse(file, kind)


@settings(deadline=None)
@given(st.text("0123:,.-> <>a\n", max_size=60), st.sampled_from(["srt", "vtt"]))
def test_any_text_is_read_or_refused_in_a_line(file: str, kind: str) -> None:
    try:
        said = str(parse(("WEBVTT\n\n" if kind == "vtt" else "") + file, kind))
    except SceneError as error:
        said = str(error)
    assert "\n" not in said
