"""Drawing: masks of letters, outline, shadow and glow, whole or in parts that make up the whole."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from ecs_core.text.drawing import Mask, Part, draw
from ecs_core.text.layout import lay_out
from ecs_core.text.placed import Layout
from ecs_core.text.style import Shadow, Style

HEBREW = "\u05e9\u05dc\u05d5\u05dd"
DIGEST = """
import hashlib
from ecs_core.text.drawing import draw
from ecs_core.text.layout import fit
from ecs_core.text.style import Style
(part,) = draw(fit("Night Drive 1984", Style(weight=650, outline=0.05, glow=0.1), width=500, height=200, least=10))
masks = [part.fill, part.outline, part.glow]
print(hashlib.sha256(b"".join(mask.values.tobytes() for mask in masks)).hexdigest())
"""


def laid(text: str = "Hey you", size: float = 60.0, **style: object) -> Layout:
    return lay_out(text, Style(**style), width=500, height=200, size=size)  # type: ignore[arg-type]


def on_canvas(*masks: Mask | None) -> np.ndarray:
    """Masks added up on a canvas of 700 by 400 whose middle is the box."""
    canvas = np.zeros((400, 700), np.float32)
    for mask in masks:
        assert mask is not None
        rows, columns = mask.values.shape
        canvas[100 + mask.top : 100 + mask.top + rows, 100 + mask.left : 100 + mask.left + columns] += mask.values
    return canvas


def whole(layout: Layout) -> Part:
    (part,) = draw(layout)
    return part


def test_mask_covers_its_bounds_with_values_from_0_to_1() -> None:
    layout = laid()
    part = whole(layout)
    values = part.fill.values
    assert (values.dtype, values.min(), values.max()) == (np.float32, 0.0, 1.0)
    rows, columns = np.nonzero(values)
    assert part.fill.top + rows.min() >= np.floor(layout.bounds.top)
    assert part.fill.left + columns.max() <= np.ceil(layout.bounds.right)
    assert part.bounds == layout.bounds


def test_square_letter_has_sharp_edges() -> None:
    layout = laid("\u25a0")  # a black square
    assert np.isin(whole(layout).fill.values[8:-8, 8:-8], (0.0, 1.0)).all()


def test_larger_text_covers_more_in_proportion() -> None:
    small, large = (whole(laid(size=size)).fill.values.sum() for size in (30, 90))
    assert large / small == pytest.approx(9, rel=0.01)


@pytest.mark.parametrize("by", ["line", "word", "letter"])
@pytest.mark.parametrize("text", ["Hey you\nthere", f"{HEBREW} a b"])
def test_parts_make_up_the_whole(by: str, text: str) -> None:
    layout = laid(text, size=50)
    parts = draw(layout, by)  # type: ignore[arg-type]
    np.testing.assert_allclose(on_canvas(*(each.fill for each in parts)), on_canvas(whole(layout).fill), atol=1e-3)


def test_letters_are_in_the_order_of_reading_and_know_their_line() -> None:
    parts = draw(laid("ab c\nd"), "letter")
    assert [(each.start, each.line) for each in parts] == [(0, 0), (1, 0), (3, 0), (5, 1)]
    assert [(each.start, each.end) for each in draw(laid("ab c\nd"), "word")] == [(0, 2), (3, 4), (5, 6)]


def test_parts_can_be_syllables() -> None:
    layout = laid("today we")
    parts = draw(layout, [(0, 2), (2, 5), (5, 6), (6, 8)])
    assert [(each.start, each.end) for each in parts] == [(0, 2), (2, 5), (6, 8)]
    np.testing.assert_allclose(on_canvas(*(each.fill for each in parts)), on_canvas(whole(layout).fill), atol=1e-3)


def test_texts_are_checked_and_laid_out_without_a_compiler() -> None:
    code = "import sys; from ecs_core.text import drawing, layout, lyrics; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_letters_of_arabic_are_as_they_are_within_their_word() -> None:
    layout = laid("\u0633\u0644\u0627\u0645", size=80)
    added = np.minimum(on_canvas(*(each.fill for each in draw(layout, "letter"))), 1)
    assert np.abs(added - on_canvas(whole(layout).fill)).mean() < 1e-3


def test_outline_lies_around_the_letters() -> None:
    part = whole(laid(outline=0.05))
    assert part.outline is not None
    fill, wide = on_canvas(part.fill), on_canvas(part.outline)
    assert (wide >= fill).all()
    grown = np.maximum.reduce([np.roll(fill, (y, x), (0, 1)) for y in (-2, 0, 2) for x in (-2, 0, 2)])
    assert (wide[grown > 0.99] > 0.9).all()
    far = np.maximum.reduce([np.roll(fill > 0, (y, x), (0, 1)) for y in range(-5, 6) for x in range(-5, 6)])
    assert wide[~far].max() == 0.0  # 3 pixels, and half a pixel of soft edge


def test_without_them_there_is_no_outline_shadow_or_glow() -> None:
    part = whole(laid())
    assert (part.outline, part.shadow, part.glow) == (None, None, None)


def test_shadow_is_a_moved_copy() -> None:
    part = whole(laid(shadow=Shadow(dx=0.1, dy=0.2, blur=0)))
    np.testing.assert_array_equal(on_canvas(part.shadow), np.roll(on_canvas(part.fill), (12, 6), (0, 1)))


def test_blur_keeps_the_light_and_spreads_it() -> None:
    part = whole(laid(shadow=Shadow(dx=0, dy=0, blur=0.1), glow=0.1))
    fill, shadow = on_canvas(part.fill), on_canvas(part.shadow)
    assert shadow.sum() == pytest.approx(fill.sum(), rel=1e-3)
    assert shadow.max() < 1
    np.testing.assert_array_equal(shadow, on_canvas(part.glow))
    x = np.arange(700)
    spreads = [np.average((x - 350) ** 2, weights=each.sum(axis=0)) for each in (fill, shadow)]
    assert spreads[1] - spreads[0] == pytest.approx(6.0**2, rel=0.02)


def test_weight_covers_more() -> None:
    light, heavy = (whole(laid(weight=weight)).fill.values.sum() for weight in (200, 800))
    assert heavy > 1.5 * light


def test_pixels_are_the_same_in_every_process() -> None:
    first, second = (
        subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first == second
    assert len(first.strip()) == hashlib.sha256().digest_size * 2
