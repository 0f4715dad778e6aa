"""Directions, breaks and scripts are those of Unicode, counted in characters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.text import icu

HEBREW = "\u05d0\u05d1\u05d2"


def test_paragraph_takes_the_direction_of_its_first_letter() -> None:
    assert icu.levels(f"1 {HEBREW} abc")[0]
    assert not icu.levels(f"abc {HEBREW}")[0]
    assert icu.levels("abc", rtl=True) == (True, (2, 2, 2))


def test_numbers_and_latin_run_to_the_right_in_hebrew() -> None:
    assert icu.levels(f"{HEBREW} 12 (ab)") == (True, (1, 1, 1, 1, 2, 2, 1, 1, 2, 2, 1))


def test_characters_of_two_code_units_count_once() -> None:
    assert icu.levels(f"\U0001f3b5{HEBREW}b", rtl=False)[1] == (0, 1, 1, 1, 0)
    assert icu.graphemes("\U0001f3b5a") == (1, 2)


def test_runs_are_ordered_by_levels() -> None:
    assert icu.visual_order((0, 1, 2, 1, 0)) == (0, 3, 2, 1, 4)
    assert icu.visual_order(()) == ()


@settings(deadline=None)
@given(st.text(max_size=40).filter(lambda text: "\n" not in text))
def test_every_character_has_a_level_and_belongs_to_one_piece(text: str) -> None:
    assert len(icu.levels(text)[1]) == len(text)
    for ends in (icu.graphemes(text), icu.line_breaks(text)):
        assert (ends[-1] if ends else 0) == len(text)
        assert list(ends) == sorted(set(ends))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello world-wide web", ["Hello ", "world-", "wide ", "web"]),
        ("日本語の歌詞、です。", ["日", "本", "語", "の", "歌", "詞、", "で", "す。"]),
        ("สวัสดีชาวโลก", ["สวัสดี", "ชาว", "โลก"]),
    ],
)
def test_lines_break_where_the_script_allows_it(text: str, pieces: list[str]) -> None:
    ends = icu.line_breaks(text)
    assert [text[a:b] for a, b in zip((0, *ends), ends, strict=False)] == pieces


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  Hello, wide world! ", ["Hello,", "wide", "world!"]),
        ("สวัสดีชาวโลก ok", ["สวัสดี", "ชาว", "โลก", "ok"]),
        ("歌詞、です。", ["歌詞、", "です。"]),
        ("", []),
    ],
)
def test_words_have_their_punctuation(text: str, words: list[str]) -> None:
    assert [text[a:b] for a, b in icu.words(text)] == words


def test_scripts_have_codes_and_names() -> None:
    assert [icu.script(each) for each in "aЖあ1"] == ["Latn", "Cyrl", "Hira", "Zyyy"]
    assert icu.script_name("\u0905") == "Devanagari"
    assert icu.ignorable("\u200d")
    assert not icu.ignorable("a")
