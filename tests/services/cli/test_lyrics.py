"""``motes lyrics``: LRC from tags, from subtitles, and from words without times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media import tagged_mp3, tone, write_song
from tests.services.cli.conftest import Run

WORDS = "One two three\nfour\n\n[Chorus]\nla la la\nla la\n"
SRT = "1\n00:00:01,000 --> 00:00:02,500\none two\n\n2\n00:00:03,000 --> 00:00:04,000\nthree\n"


def test_of_tags_are_printed_with_what_the_tags_say(run: Run, tmp_path: Path) -> None:
    song = tagged_mp3(
        tmp_path / "song.mp3", {"TIT2": "Lied", "TPE1": "Ärzte"}, lyrics=["[00:00.10]eins\n[00:00.2]zwei"]
    )
    outcome = run("lyrics", song)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("[ti:Lied]\n[ar:Ärzte]\n[00:00.10]eins\n[00:00.20]zwei\n")


def test_of_subtitles_are_written_as_lrc(run: Run, tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", tone(5.0))
    (tmp_path / "words.srt").write_text(SRT)
    outcome = run("lyrics", song, "--lyrics", tmp_path / "words.srt", "--offset", "-0.5", "-o", tmp_path / "song.lrc")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
    lines = ["[00:00.50]one two", "[00:02.00]", "[00:02.50]three", "[00:03.50]"]
    assert (tmp_path / "song.lrc").read_text().splitlines() == lines
    assert run("lyrics", song, "--lyrics", tmp_path / "song.lrc").stdout.splitlines() == lines


def test_of_words_without_times_follow_the_song(run: Run, tmp_path: Path, demo_song: Path) -> None:
    (tmp_path / "words.txt").write_text(WORDS)
    outcome = run("lyrics", demo_song, "--text", tmp_path / "words.txt", "-o", tmp_path / "song.lrc")
    assert outcome.code == 0
    again = run("lyrics", demo_song, "--lyrics", tmp_path / "song.lrc").stdout
    assert again == (tmp_path / "song.lrc").read_text()
    lines = [line.partition("]") for line in again.splitlines()]
    assert [text for _, _, text in lines if text] == ["One two three", "four", "la la la", "la la"]
    times = [time for time, _, _ in lines]
    assert times == sorted(set(times))


def test_of_tags_without_times_follow_the_song(run: Run, tmp_path: Path) -> None:
    song = tagged_mp3(tmp_path / "song.mp3", seconds=4.0, lyrics=["one\ntwo"])
    outcome = run("lyrics", song)
    assert outcome.code == 0
    assert [line.partition("]")[2] for line in outcome.stdout.splitlines() if line[-1] != "]"] == ["one", "two"]


@pytest.mark.parametrize(
    ("files", "arguments", "said"),
    [
        ({}, [], "its tags hold no lyrics; give them as a text, or as .lrc, .srt or .vtt"),
        ({"a.lrc": "[00:01]a\nb"}, ["--lyrics", "a.lrc"], "lyrics: a.lrc: line 2: 'b': has no time; allowed: "),
        ({"a.srt": "1\nx"}, ["--lyrics", "a.srt"], "lyrics: a.srt: line 2: 'x': allowed: "),
        ({}, ["--lyrics", "a.vtt"], "lyrics: a.vtt: No such file or directory"),
        ({"a.lrc": "b"}, ["--text", "b.lrc"], "lyrics: b.lrc: No such file or directory"),
        ({"a.txt": "a"}, ["--lyrics", "a.txt"], "lyrics: a.txt: has no times; allowed: LRC, SRT or WebVTT"),
        ({"a.lrc": "[00:01]a"}, ["--text", "a.lrc"], "a.lrc: lyrics: the words have times already; give them as LRC"),
        ({"a.txt": " \n"}, ["--text", "a.txt"], "a.txt: lyrics: there is no line; one line of text at least"),
        ({"a.lrc": "[00:01]a"}, ["--lyrics", "a.lrc", "-o", "a.txt"], "a.txt: Motes writes LRC here"),
        ({"a.lrc": "[00:01]a"}, ["--lyrics", "a.lrc", "--offset", "nan"], "--offset nan: must be seconds from -3600"),
        ({"a.lrc": "[00:01]a"}, ["--lyrics", "a.lrc", "--offset=-60"], "--offset -60: all lines would end before"),
    ],
)
def test_what_cannot_be_used_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_song(tmp_path / "song.wav", tone(0.5))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    outcome = run("lyrics", "song.wav", *arguments)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert said in outcome.error
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["song.wav", *files])


def test_broken_line_of_tags_is_named_by_its_number(run: Run, tmp_path: Path) -> None:
    song = tagged_mp3(tmp_path / "song.mp3", lyrics=["[00:00.10]eins\nzwei"])
    assert run("lyrics", song).error.startswith(
        f"{song}: the lyrics in its tags: line 2: 'zwei': has no time; allowed:"
    )
