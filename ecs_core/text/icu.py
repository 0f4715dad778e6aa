"""Unicode's algorithms by ICU: directions (UAX 9), breaks (UAX 14 and 29), scripts (UAX 24).

icu4py brings ICU and Python names for its breaks. Directions and scripts are called in the same library by ICU's C
interface, which has been stable for decades. Places are numbers of characters (code points) everywhere.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import icu4py
from icu4py import breakers

from ecs_core.errors import SceneError

# Scripts that are written without spaces between words.
_UNSPACED = frozenset({"Hani", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr", "Tale", "Talu", "Lana"})
_BY_FIRST_LETTER = 0xFE  # UBIDI_DEFAULT_LTR: a paragraph's direction is that of its first letter that has one
_IGNORABLE = 5  # UCHAR_DEFAULT_IGNORABLE_CODE_POINT


def levels(paragraph: str, *, rtl: bool | None = None) -> tuple[bool, tuple[int, ...]]:
    """Whether a paragraph runs from right to left, and the embedding level of each character: odd from right to left.

    ``rtl`` says its direction; None: that of its first letter. ``paragraph`` has no line break.
    """
    units, firsts = _utf16(paragraph)
    opened, error = ctypes.c_void_p(_icu("ubidi_open", ctypes.c_void_p)()), ctypes.c_int(0)
    try:
        direction = _BY_FIRST_LETTER if rtl is None else int(rtl)
        text = (ctypes.c_uint16 * max(1, len(units)))(*units)
        _icu("ubidi_setPara")(opened, text, len(units), ctypes.c_uint8(direction), None, ctypes.byref(error))
        base = _icu("ubidi_getParaLevel", ctypes.c_uint8)(opened)
        if not units:
            return bool(base & 1), ()
        found = _icu("ubidi_getLevels", ctypes.POINTER(ctypes.c_uint8))(opened, ctypes.byref(error))
        if error.value > 0:
            raise SceneError(f"text: ICU cannot order {paragraph[:40]!r} (error {error.value})")
        return bool(base & 1), tuple(found[first] for first in firsts)
    finally:
        _icu("ubidi_close")(opened)


def visual_order(of_levels: Sequence[int]) -> tuple[int, ...]:
    """The numbers of a line's runs from left to right, by their levels."""
    if not of_levels:
        return ()
    count = len(of_levels)
    order = (ctypes.c_int32 * count)()
    _icu("ubidi_reorderVisual")((ctypes.c_uint8 * count)(*of_levels), count, order)
    return tuple(order)


def graphemes(text: str) -> tuple[int, ...]:
    """Where each letter, as readers count them, ends."""
    return _ends(breakers.CharacterBreaker(text, "en"))


def line_breaks(text: str, language: str = "en") -> tuple[int, ...]:
    """Where a line may end, the end of the text included; spaces belong to what is before them."""
    return _ends(breakers.LineBreaker(text, language))


def words(text: str) -> tuple[tuple[int, int], ...]:
    """The first and one after the last character of each word, with its punctuation: what stands between spaces.

    Where a script has no spaces between words, dictionaries tell its words apart.
    """
    found, at = list[tuple[int, int]](), 0
    for spaced, group in itertools.groupby(text, str.isspace):
        piece = "".join(group)
        if not spaced:
            found += [(at + first, at + last) for first, last in _parts(piece)]
        at += len(piece)
    return tuple(found)


def _parts(piece: str) -> list[tuple[int, int]]:
    """The words of a piece without spaces."""
    if not any(script(each) in _UNSPACED for each in piece):
        return [(0, len(piece))]
    ends = _ends(breakers.WordBreaker(piece, "en"))
    found = list[tuple[int, int]]()
    for first, last in zip((0, *ends), ends, strict=False):
        if found and not any(each.isalnum() for each in piece[first:last]):  # punctuation goes with what is before it
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


@lru_cache(4096)
def script(character: str) -> str:
    """The script of a character by its code of ISO 15924: ``Latn``, ``Zyyy`` (common), ``Zinh`` (inherited)."""
    return _name_of("uscript_getShortName", _script_number(character))


def script_name(character: str) -> str:
    """The script of a character in words: ``Latin``, ``Common``."""
    return _name_of("uscript_getName", _script_number(character)).replace("_", " ")


@lru_cache(4096)
def ignorable(character: str) -> bool:
    """Whether nothing is drawn for a character that a typeface lacks: joiners, marks of direction, variants."""
    return bool(_icu("u_hasBinaryProperty", ctypes.c_int8)(ord(character), _IGNORABLE))


def _script_number(character: str) -> int:
    error = ctypes.c_int(0)
    return int(_icu("uscript_getScript")(ord(character), ctypes.byref(error)))


def _name_of(function: str, number: int) -> str:
    return str(_icu(function, ctypes.c_char_p)(number).decode("ascii"))


def _ends(breaker: breakers.BaseBreaker) -> tuple[int, ...]:
    return tuple(itertools.accumulate(map(len, breaker)))


def _utf16(text: str) -> tuple[list[int], list[int]]:
    """The code units of a text, and the number of the first unit of each character."""
    units, firsts = list[int](), list[int]()
    for each in text:
        firsts.append(len(units))
        data = each.encode("utf-16-le", "surrogatepass")
        units += [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]
    return units, firsts


@cache
def _icu(name: str, result: Any = ctypes.c_int) -> Callable[..., Any]:
    """A function of ICU's C interface; their names end with ICU's version."""
    function: Callable[..., Any] = getattr(_library(), f"{name}_{icu4py.icu_version_info[0]}")
    function.restype = result  # type: ignore[attr-defined]
    return function


@cache
def _library() -> ctypes.CDLL:
    """ICU as icu4py loads it. A module's handle finds what it is linked to, except on Windows."""
    beside = Path(icu4py.__file__).parent.parent.glob("icu4py.libs/icuuc*.dll")
    for path in (breakers.__file__, *map(str, sorted(beside))):
        library = ctypes.CDLL(path)
        if hasattr(library, f"ubidi_open_{icu4py.icu_version_info[0]}"):
            return library
    raise SceneError("text cannot be laid out: this icu4py is not linked to ICU's libicuuc; install its wheel")
