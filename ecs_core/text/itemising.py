"""A text cut into runs that are shaped at once: of one paragraph, direction, script and font."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ecs_core.errors import SceneError
from ecs_core.text import icu
from ecs_core.text.fonts import Font, check_weight, font
from ecs_core.text.style import Style
from ecs_core.text.typefaces import NOTO_EXTRA, Typeface, families, in_noto, noto

LONGEST = 4000  # characters of a text
_COMMON = ("Zyyy", "Zinh", "Zzzz")
_NAMED = 8  # missing characters that an error names


@dataclass(frozen=True, slots=True)
class Run:
    """Characters ``start`` to ``end`` (excluded) of a text that are shaped together."""

    start: int
    end: int
    level: int
    script: str
    font: Font


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Characters ``start`` to ``end`` of a text without a line break; ``rtl`` from right to left; its runs in order."""

    start: int
    end: int
    rtl: bool
    runs: tuple[Run, ...]


def itemise(text: str, style: Style, own: Typeface) -> tuple[Paragraph, ...]:
    """The paragraphs of a text and their runs; ``own`` is the style's typeface.

    A letter is drawn in the style's typeface, or else in the Noto font of its script, of symbols or of emoji.

    Raises:
        SceneError: the style's weight does not exist, or no typeface has a character.
    """
    if len(text) > LONGEST:
        raise SceneError(f"text has {len(text)} characters; allowed: {LONGEST}")
    check_weight(own, style.weight)
    missing = dict[str, None]()
    written = style if style.language else replace(style, language=_language(text))
    found = tuple(
        _paragraph(text, start, end, written, font(own, style.weight), missing) for start, end in _paragraphs(text)
    )
    if missing:
        raise SceneError(_said(tuple(missing), own.name, style))
    return found


def _language(text: str) -> str | None:
    """The language that some scripts tell: that of Chinese characters beside Japanese or Korean letters."""
    scripts = {icu.script(each) for each in text}
    return "ja" if scripts & {"Hira", "Kana"} else "ko" if "Hang" in scripts else None


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for line in text.split("\n"):
        yield at, at + len(line)
        at += len(line) + 1


def _paragraph(text: str, start: int, end: int, style: Style, own: Font, missing: dict[str, None]) -> Paragraph:
    line = text[start:end]
    rtl, levels = icu.levels(line, rtl=style.rtl)
    scripts = _scripts(line)
    ends = icu.graphemes(line)
    fonts, before = list[Font](), own
    for first, last in zip((0, *ends), ends, strict=False):
        before = _font_for(line[first:last], scripts[first], style, own, before, missing)
        fonts += [before] * (last - first)
    runs, at = list[Run](), start
    for (level, script, used), group in itertools.groupby(zip(levels, scripts, fonts, strict=True)):
        runs.append(Run(at, at + len(list(group)), level, script, used))
        at = runs[-1].end
    return Paragraph(start, end, rtl, tuple(runs))


def _scripts(line: str) -> list[str]:
    """The script of each character. Those that many scripts share have that of the letter before, or else after."""
    found = [icu.script(each) for each in line]
    known = next((each for each in found if each not in _COMMON), "Zyyy")
    for at, each in enumerate(found):
        known = found[at] = known if each in _COMMON else each
    return found


def _font_for(letter: str, script: str, style: Style, own: Font, before: Font, missing: dict[str, None]) -> Font:
    if own.has(letter):
        return own
    if all(each.isspace() or icu.ignorable(each) for each in letter):
        return before
    for each in (script, "Symbols", "Emoji"):
        other = noto(each, style.language)
        if other is not None and (found := font(other, style.weight)).has(letter):
            return found
    missing.update(dict.fromkeys(each for each in letter if not own.has(each)))
    return before


def _said(missing: tuple[str, ...], name: str, style: Style) -> str:
    named = ", ".join(
        f"{each if each.isprintable() else repr(each)} (U+{ord(each):04X}, {icu.script_name(each)})"
        for each in missing[:_NAMED]
    )
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    able = [family for family, each in families().items() if all(font(each, None).has(letter) for letter in missing)]
    scripts = {icu.script(each) for each in missing}
    scripts = {"Emoji" if each in _COMMON else each for each in scripts}
    if able:
        what = f"{', '.join(able)} can be used" if len(able) > 1 else f"{able[0]} can be used"
    elif any(noto(each) is None and (each == "Emoji" or in_noto(each)) for each in scripts):
        what = f"{NOTO_EXTRA} brings Noto fonts for other scripts, symbols and emoji; or give a font's file"
    else:
        what = "no Noto font has it either; give a font's file that has it"
    return f"text: {name} has no {named}{more}: {what}"
