"""Shaping: glyphs of every script in the order in which they are seen, and errors that say what is missing."""

from __future__ import annotations

import pytest

from ecs_core.errors import SceneError
from ecs_core.text import itemising, typefaces
from ecs_core.text.shaping import Letter, line_letters, shape
from ecs_core.text.style import Style

ARABIC, HEBREW, DEVANAGARI = (
    "\u0633\u0644\u0627\u0645",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u0928\u092e\u0938\u094d\u0924\u0947",
)
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def letters(text: str, **style: object) -> tuple[Letter, ...]:
    shaped = shape(text, Style(**style))  # type: ignore[arg-type]
    first = shaped.paragraphs[0]
    return line_letters(text, shaped.style, first, first.start, first.end)


def texts(text: str, **style: object) -> list[str]:
    return [text[each.start : each.end] for each in letters(text, **style)]


def test_kerning_brings_letters_together() -> None:
    apart, together = letters("A"), letters("AV")
    assert together[0].advance < apart[0].advance


def test_letter_spacing_is_added_to_each_letter() -> None:
    plain, spaced = letters("abc"), letters("abc", letter_spacing=0.2)
    assert [b.advance - a.advance for a, b in zip(plain, spaced, strict=True)] == pytest.approx([0.2] * 3)


def test_spaced_letters_form_no_ligature() -> None:
    assert texts("office", family="EB Garamond") != list("office")
    assert texts("office", family="EB Garamond", letter_spacing=0.1) == list("office")


def test_arabic_letters_are_joined_from_right_to_left() -> None:
    found = letters(ARABIC)
    assert [each.start for each in found] == sorted((each.start for each in found), reverse=True)
    assert all(each.rtl for each in found)
    alone, joined = letters(ARABIC[0])[0].glyphs[0], next(each for each in found if each.start == 0).glyphs[0]
    assert alone.number != joined.number


def test_spacing_does_not_tear_arabic() -> None:
    assert letters(ARABIC, letter_spacing=0.5) == letters(ARABIC)


def test_hebrew_with_a_number_and_latin_is_in_the_order_of_reading() -> None:
    assert "".join(texts(f"{HEBREW} 12 ab")) == f"ab 12 {HEBREW[::-1]}"


def test_devanagari_forms_syllables() -> None:
    assert len(texts(DEVANAGARI)) == 4


def test_marks_above_thai_belong_to_their_letters() -> None:
    assert texts("\u0e27\u0e31\u0e14\u0e35") == ["\u0e27\u0e31", "\u0e14\u0e35"]


@pytest.mark.parametrize(
    "text", ["日本語", "한국어", "カラオケ", "\U0001f3b5", FAMILY, "\u2764\ufe0f", "e\u0301", "\u266b"]
)
def test_outlines_are_there(text: str) -> None:
    assert all(each.glyphs for each in letters(text))


def test_emoji_of_a_family_is_one_letter() -> None:
    assert texts(f"a{FAMILY}") == ["a", FAMILY]


def test_spaces_are_as_wide_as_in_the_chosen_typeface() -> None:
    assert letters("\U0001f3b5 a")[1].advance == letters("a a")[1].advance


def test_japanese_letters_make_chinese_characters_japanese() -> None:
    numbers = [
        each.font.typeface.number
        for text in ("歌", "歌う", "노래歌")
        for each in shape(text, Style()).paragraphs[0].runs
    ]
    assert numbers == [2, 0, 0, 1, 1]


def test_features_choose_other_glyphs() -> None:
    assert letters("1", features=("tnum",))[0].advance != letters("1")[0].advance
    with pytest.raises(SceneError, match=r"^features: 'small' must be four letters or digits, such as"):
        letters("a", features=("small",))


def test_missing_letters_name_families_that_have_them() -> None:
    expected = r"^text: Bebas Neue has no Ж \(U\+0416, Cyrillic\): Caveat, .*, Inter, .* can be used$"
    with pytest.raises(SceneError, match=expected):
        shape("aЖ", Style(family="Bebas Neue"))


def test_missing_scripts_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(itemising, "noto", lambda script, language=None: None)
    expected = r"^text: Inter has no あ \(U\+3042, Hiragana\): pip install 'motes\[noto\]' brings Noto fonts"
    with pytest.raises(SceneError, match=expected):
        shape("あ ", Style())
    with pytest.raises(SceneError, match=r"no \U0001f3b5 \(U\+1F3B5, Common\): pip install"):
        shape("\U0001f3b5 ", Style())


def test_letters_that_no_font_has_ask_for_a_file() -> None:
    with pytest.raises(SceneError, match=r"\(U\+10330, Gothic\): no Noto font has it either; give a font's file"):
        shape("\U00010330", Style())


def test_many_missing_letters_are_counted() -> None:
    with pytest.raises(SceneError, match=r" and 5 more: "):
        shape("".join(map(chr, range(0x10330, 0x1033D))), Style())


def test_long_texts_are_refused() -> None:
    with pytest.raises(SceneError, match=r"^text has 4001 characters; allowed: 4000$"):
        shape("a" * 4001, Style())


def test_equal_texts_are_shaped_once() -> None:
    assert shape("once", Style()) is shape("once", Style())


def test_fonts_of_the_machine_are_not_looked_at() -> None:
    runs = shape(f"a{HEBREW}歌\U0001f3b5", Style()).paragraphs[0].runs
    folders = {run.font.typeface.path.parent.name for run in runs}
    assert folders == {typefaces.FOLDER.name, "manimgx_fonts", "manimgx_fonts_cjk"}
