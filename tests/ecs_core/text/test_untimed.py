"""Lyrics without times get them from sections, beats and the lengths of lines."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.errors import SceneError
from ecs_core.text.untimed import set_times

SONG = "[Verse]\nOne two three\nfour five\n\n[Chorus]\nla la la la\nla la\n\nbye bye"
STANZAS = st.lists(
    st.lists(st.text("ab c", min_size=1, max_size=20).filter(str.strip), min_size=1, max_size=5), min_size=1, max_size=7
)


def test_stanzas_are_laid_over_sections_without_intro_and_outro() -> None:
    beats = [each / 2 for each in range(200)]
    found = set_times(SONG, sections=[0, 10, 30, 50, 70], beats=beats, duration=80)
    assert [line.text for line in found.lines] == ["One two three", "four five", "la la la la", "la la", "bye bye"]
    starts = [line.start for line in found.lines]
    assert (starts[0], starts[2], starts[4]) == (10, 30, 50)
    assert all(2 * start == int(2 * start) for start in starts)
    assert found.lines[-1].end == 70


def test_stanzas_share_sections_where_they_are_more() -> None:
    found = set_times(SONG, sections=[0, 40], beats=[], duration=60)
    assert next(line.start for line in found.lines) == 0
    assert 40 in [line.start for line in found.lines]


@settings(deadline=None)
@given(stanzas=STANZAS, sections=st.lists(st.floats(0, 200), max_size=8), tempo=st.floats(0.3, 1.0))
def test_lines_and_words_are_in_order_within_the_song(
    stanzas: list[list[str]], sections: list[float], tempo: float
) -> None:
    text = "\n\n".join("\n".join(stanza) for stanza in stanzas)
    beats = [each * tempo for each in range(700)]
    lines = set_times(text, sections=sorted(sections), beats=beats, duration=200).lines
    assert [line.text.split() for line in lines] == [line.split() for stanza in stanzas for line in stanza]
    for before, after in itertools.pairwise(lines):
        assert before.start < after.start == before.end
    for line in lines:
        assert line.start < line.end <= 200 + 1e-9
        times = [time for word in line.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert (times[0], times[-1]) == pytest.approx((line.start, line.end))
        assert all(line.text[word.at : word.at + len(word.text)] == word.text for word in line.words)


def test_equal_input_gives_equal_times() -> None:
    first, second = (set_times(SONG, sections=[0, 10, 30], beats=[1, 2, 3], duration=60) for _ in range(2))
    assert first == second


def test_no_lines_and_short_songs_are_refused() -> None:
    with pytest.raises(SceneError, match=r"^lyrics: there is no line; one line of text at least$"):
        set_times("[Chorus]\n\n", sections=[], beats=[], duration=60)
    with pytest.raises(SceneError, match=r"^lyrics: 9 lines in 1 seconds; allowed: 5 lines a second$"):
        set_times("a\n" * 9, sections=[], beats=[], duration=1)
