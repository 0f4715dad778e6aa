"""Characters to glyphs: runs shaped by HarfBuzz, put into the order in which lines are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import uharfbuzz as hb

from ecs_core.errors import SceneError
from ecs_core.text import icu
from ecs_core.text.fonts import Font, outline
from ecs_core.text.itemising import Paragraph, Run, itemise
from ecs_core.text.style import Style
from ecs_core.text.typefaces import Typeface, typeface

# Scripts whose letters are joined, which spaces would tear.
_JOINED = frozenset({"Arab", "Syrc", "Mong", "Nkoo", "Mand", "Phag", "Adlm", "Rohg", "Deva", "Beng", "Guru"})


@dataclass(frozen=True, slots=True)
class Glyph:
    """A glyph of a font, at ``x``, ``y`` from its letter's origin on the baseline, in ems, y upwards."""

    font: Font
    number: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Letter:
    """What is drawn for the characters ``start`` to ``end``: a letter, a ligature, or letters that share a glyph.

    ``advance`` is the distance to the next letter, in ems; ``space`` says that nothing is seen of it.
    """

    start: int
    end: int
    rtl: bool
    advance: float
    glyphs: tuple[Glyph, ...]
    space: bool


@dataclass(frozen=True, slots=True)
class Shaped:
    """A text whose paragraphs are itemised: what layout measures and cuts into lines.

    ``ends`` holds for each character the width from the start of its paragraph to the end of its letter, in ems, when
    the paragraph is one line.
    """

    text: str
    style: Style
    paragraphs: tuple[Paragraph, ...]
    ends: tuple[float, ...]


def shape(text: str, style: Style) -> Shaped:
    """Itemise and measure a text. Equal texts and styles are shaped once, unless the file of a font changes.

    Raises:
        SceneError: no typeface has a character, or the style's typeface, weight or a feature does not exist.
    """
    return _measured(text, style, typeface(style.family))


@lru_cache(256)
def _measured(text: str, style: Style, own: Typeface) -> Shaped:
    paragraphs = itemise(text, style, own)
    ends = [0.0] * len(text)
    for paragraph in paragraphs:
        letters = line_letters(text, style, paragraph, paragraph.start, paragraph.end)
        at = 0.0
        for letter in sorted(letters, key=lambda each: each.start):
            at += letter.advance
            ends[letter.start : letter.end] = [at] * (letter.end - letter.start)
    return Shaped(text, style, paragraphs, tuple(ends))


@lru_cache(2048)
def line_letters(text: str, style: Style, paragraph: Paragraph, start: int, end: int) -> tuple[Letter, ...]:
    """The letters of a line from left to right: characters ``start`` to ``end`` of a paragraph."""
    runs = [
        Run(max(run.start, start), min(run.end, end), run.level, run.script, run.font)
        for run in paragraph.runs
        if run.start < end and run.end > start
    ]
    order = icu.visual_order([run.level for run in runs])
    return tuple(letter for number in order for letter in _shaped(text, style, runs[number]))


def _shaped(text: str, style: Style, run: Run) -> Iterator[Letter]:
    """The letters of a run from left to right."""
    buffer = hb.Buffer()
    buffer.cluster_level = hb.BufferClusterLevel.MONOTONE_GRAPHEMES
    buffer.add_codepoints([ord(each) for each in text], run.start, run.end - run.start)
    rtl = bool(run.level & 1)
    buffer.direction = "rtl" if rtl else "ltr"
    buffer.script = run.script
    buffer.language = style.language or "und"
    hb.shape(run.font.hb, buffer, _features(style))
    scale = 1 / run.font.upem
    spacing = 0.0 if run.script in _JOINED else style.letter_spacing
    infos, places = buffer.glyph_infos, buffer.glyph_positions
    starts = sorted({info.cluster for info in infos})
    ends = dict(zip(starts, (*starts[1:], run.end), strict=True))
    at = 0
    while at < len(infos):
        cluster, x, y, glyphs = infos[at].cluster, 0.0, 0.0, list[Glyph]()
        while at < len(infos) and infos[at].cluster == cluster:
            place, number = places[at], infos[at].codepoint
            _check(text, cluster, ends[cluster], number, run.font)
            if outline(run.font, number).size:
                glyphs.append(Glyph(run.font, number, x + place.x_offset * scale, y + place.y_offset * scale))
            x, y, at = x + place.x_advance * scale, y + place.y_advance * scale, at + 1
        space = not glyphs
        characters = text[cluster : ends[cluster]]
        if space and not all(each.isspace() or icu.ignorable(each) for each in characters):
            raise SceneError(f"text: {run.font.typeface.name} has {characters!r} only as a picture, not as an outline")
        yield Letter(cluster, ends[cluster], rtl, x + spacing, tuple(glyphs), space)


def _check(text: str, start: int, end: int, number: int, font: Font) -> None:
    if number == 0 and not text[start:end].isspace():
        raise SceneError(f"text: {font.typeface.name} has no glyph for {text[start:end]!r}")


def _features(style: Style) -> dict[str, bool | int]:
    """Features for HarfBuzz. Spaced letters form no ligatures."""
    found: dict[str, bool | int] = {"liga": False, "clig": False} if style.letter_spacing else {}
    for each in style.features:
        name = each.lstrip("+-")
        if len(name) != 4 or not name.isascii() or not name.isalnum():
            raise SceneError(f"features: {each!r} must be four letters or digits, such as 'ss01' or '-liga'")
        found[name] = not each.startswith("-")
    return found
