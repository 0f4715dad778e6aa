"""Layout: lines within their box, the largest size that fits, where words stand, and errors that name what does not."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.errors import SceneError
from ecs_core.text.layout import check_text, fit, lay_out
from ecs_core.text.placed import Layout
from ecs_core.text.style import Style

ALL = {"width": 600.0, "height": 300.0}
HEBREW = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"
WORDS = st.lists(st.text("abgjlmqwyÅ", min_size=1, max_size=9), min_size=1, max_size=12).map(" ".join)


def lines(layout: Layout) -> list[str]:
    return [layout.text[each.start : each.end] for each in layout.lines]


def test_line_is_as_wide_as_its_letters_and_in_the_middle() -> None:
    found = lay_out("Hello", Style(), **ALL, size=50)
    line = found.lines[0]
    assert line.right - line.left == pytest.approx(sum(each.right - each.left for each in found.letters))
    assert line.left == pytest.approx(600 - line.right)
    assert [each.start for each in found.letters] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("align", "left", "right"), [("left", 0, None), ("right", None, 600), ("start", 0, None)])
def test_align_moves_lines_to_an_edge(align: str, left: float | None, right: float | None) -> None:
    line = lay_out("Hello", Style(align=align), **ALL, size=50).lines[0]  # type: ignore[arg-type]
    assert left is None or line.left == pytest.approx(left, abs=1)
    assert right is None or line.right == pytest.approx(right, abs=1)


def test_start_is_at_the_right_of_text_from_right_to_left() -> None:
    assert lay_out(HEBREW, Style(align="start"), **ALL, size=50).lines[0].right == pytest.approx(600, abs=2)


def test_place_moves_lines_up_and_down() -> None:
    top, middle, bottom = (
        lay_out("HELLO", Style(place=each), **ALL, size=50).lines[0]  # type: ignore[arg-type]
        for each in ("top", "middle", "bottom")
    )
    assert top.top == pytest.approx(0)
    assert bottom.bottom == pytest.approx(300)
    assert top.baseline < middle.baseline < bottom.baseline


def test_capitals_stand_in_the_middle() -> None:
    bounds = lay_out("HIH", Style(), **ALL, size=100).bounds
    assert (bounds.top + bounds.bottom) / 2 == pytest.approx(150, abs=0.5)


def test_lines_of_a_balanced_text_are_about_equally_long() -> None:
    text = "one two three four five six seven"
    greedy, balanced = (
        lines(lay_out(text, Style(balance=each), width=560, height=300, size=50)) for each in (False, True)
    )
    assert len(greedy) == len(balanced)
    assert max(map(len, balanced)) - min(map(len, balanced)) < max(map(len, greedy)) - min(map(len, greedy))


def test_given_line_breaks_stay() -> None:
    assert lines(lay_out("a\n\nb", Style(), **ALL, size=40)) == ["a", "", "b"]


def test_thai_breaks_between_words() -> None:
    found = lay_out("สวัสดีชาวโลก", Style(), width=150, height=300, size=40)
    assert lines(found) == ["สวัสดี", "ชาวโลก"]


@settings(max_examples=60, deadline=None)
@given(text=WORDS, width=st.floats(150, 900), height=st.floats(60, 500), outline=st.sampled_from([0.0, 0.1]))
def test_fit_is_the_largest_size_within_the_box(text: str, width: float, height: float, outline: float) -> None:
    style = Style(outline=outline)
    try:
        found = fit(text, style, width=width, height=height, least=12)
    except SceneError:
        with pytest.raises(SceneError):
            lay_out(text, style, width=width, height=height, size=12)
        return
    assert 12 <= found.size <= height
    assert -0.01 <= found.bounds.left <= found.bounds.right <= width + 0.01
    assert -0.01 <= found.bounds.top <= found.bounds.bottom <= height + 0.01
    assert "".join(lines(found)).replace(" ", "") == text.replace(" ", "")
    if found.size < height - 1:
        with pytest.raises(SceneError, match=r"use a smaller size or a larger box$"):
            lay_out(text, style, width=width, height=height, size=found.size + 1)


@settings(max_examples=40, deadline=None)
@given(text=WORDS, size=st.floats(10, 40))
def test_letters_follow_one_another(text: str, size: float) -> None:
    found = lay_out(text, Style(), width=900, height=4000, size=size)
    for line in range(len(found.lines)):
        placed = [each for each in found.letters if each.line == line]
        assert all(a.right == pytest.approx(b.left) for a, b in itertools.pairwise(placed))


def test_fit_keeps_to_the_number_of_lines() -> None:
    text = "one two three four five six"
    assert len(fit(text, Style(), **ALL, least=10).lines) > 1
    assert len(fit(text, Style(), **ALL, least=10, lines=1).lines) == 1


def test_fit_is_no_larger_than_asked() -> None:
    assert fit("a", Style(), **ALL, least=10, most=20).size == 20


def test_text_that_fits_nowhere_is_named() -> None:
    expected = (
        r"^text: 'Incomprehensibilities' at 30 pixels, the smallest size that can be read, is \d+ pixels wide, "
        r"and its box 80; use a shorter text, a larger box or a narrower typeface$"
    )
    with pytest.raises(SceneError, match=expected):
        fit("Incomprehensibilities", Style(), width=80, height=80, least=30)


def test_too_many_lines_are_named() -> None:
    with pytest.raises(SceneError, match=r"is 3 lines, of 2 that are allowed"):
        fit("a\nb\nc", Style(), **ALL, least=10, lines=2)


@pytest.mark.parametrize("text", ["", "  ", "\n", "\u200d"])
def test_text_without_letters_is_refused(text: str) -> None:
    with pytest.raises(SceneError, match=r"^text: there is nothing to draw; it must have at least one letter$"):
        check_text(text, Style())


def test_sizes_and_boxes_must_be_positive() -> None:
    with pytest.raises(SceneError, match=r"^size: 0 pixels; must be greater than 0$"):
        lay_out("a", Style(), **ALL, size=0)
    with pytest.raises(SceneError, match=r"^box: 0 × 10 pixels; both must be greater than 0$"):
        fit("a", Style(), width=0, height=10, least=1)


def test_words_span_from_their_first_to_their_last_letter() -> None:
    found = lay_out("one two\nthree", Style(), **ALL, size=40)
    spans = [found.spans(*word) for word in found.words]
    assert [[each.line for each in word] for word in spans] == [[0], [0], [1]]
    assert spans[0][0].right < spans[1][0].left
    assert spans[0][0].left == found.letters[0].left


def test_word_from_right_to_left_says_so() -> None:
    found = lay_out(f"{HEBREW} ab", Style(), **ALL, size=40)
    first, second, third = (found.spans(*word)[0] for word in found.words)
    assert first.left > second.right > third.right
    assert (first.rtl, second.rtl, third.rtl) == (True, True, False)


def test_word_that_is_broken_has_a_span_in_each_line() -> None:
    found = lay_out("one two", Style(), width=120, height=300, size=50)
    assert [each.line for each in found.spans(0, 7)] == [0, 1]


def test_part_of_a_ligature_is_a_part_of_its_width() -> None:
    found = lay_out("office", Style(family="EB Garamond"), **ALL, size=40)
    whole = next(each for each in found.letters if each.end - each.start > 1)
    first, last = found.spans(whole.start, whole.start + 1)[0], found.spans(whole.end - 1, whole.end)[0]
    assert first.left == pytest.approx(whole.left)
    assert last.right == pytest.approx(whole.right)
    assert first.right <= last.left + 1e-9


def test_size_of_all_is_in_proportion() -> None:
    small = lay_out("Hello you", Style(), width=300, height=150, size=20)
    large = lay_out("Hello you", Style(), width=600, height=300, size=40)
    assert [2 * each.left for each in small.letters] == pytest.approx([each.left for each in large.letters])
