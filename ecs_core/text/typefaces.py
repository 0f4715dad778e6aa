"""Typefaces: the families that Motes comes with, the Noto fonts of the extra ``motes[noto]``, and files by path.

What is installed on a machine is never looked at, as the same scene would look otherwise elsewhere.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType

import uharfbuzz as hb

from ecs_core.errors import SceneError

FOLDER = Path(__file__).parent / "families"
DEFAULT = "Inter"
NOTO_EXTRA = "pip install 'motes[noto]'"
_ENDINGS = (".ttf", ".otf", ".ttc", ".otc")
_LARGEST = 64 << 20  # bytes of a font's file

# Noto Sans by script, in the packages of the extra. Latin, Greek and Cyrillic are not among them: what a chosen
# typeface lacks of these, another one that Motes comes with has, which the error names.
_NOTO = {
    "Arab": "Arabic",
    "Armn": "Armenian",
    "Beng": "Bengali",
    "Deva": "Devanagari",
    "Ethi": "Ethiopic",
    "Geor": "Georgian",
    "Gujr": "Gujarati",
    "Guru": "Gurmukhi",
    "Hebr": "Hebrew",
    "Khmr": "Khmer",
    "Knda": "Kannada",
    "Laoo": "Lao",
    "Mlym": "Malayalam",
    "Mymr": "Myanmar",
    "Orya": "Oriya",
    "Sinh": "Sinhala",
    "Taml": "Tamil",
    "Telu": "Telugu",
    "Thai": "Thai",
}
_CJK = {"ja": 0, "ko": 1, "zh-hans": 2, "zh-hant": 3, "zh-hk": 4}  # numbers in the collection of Noto Sans CJK
_OF_CJK = frozenset({"Hani", "Hira", "Kana", "Bopo", "Hang"})


@dataclass(frozen=True, slots=True)
class Typeface:
    """A family in a file: its ``name``, ``path``, ``number`` in a collection, ``use`` and ``alphabets``.

    ``stamp`` tells one content of a file of one's own from the next: its time of change and size.
    """

    name: str
    path: Path
    number: int = 0
    use: str = ""
    alphabets: tuple[str, ...] = ()
    stamp: tuple[int, int] = (0, 0)


@cache
def families() -> Mapping[str, Typeface]:
    """The families that Motes comes with, by name: those for display and for text, each with its alphabets."""
    found = json.loads((FOLDER / "catalogue.json").read_text(encoding="utf-8"))
    return MappingProxyType(
        {
            name: Typeface(name, FOLDER / each["file"], use=each["use"], alphabets=tuple(each["alphabets"]))
            for name, each in found.items()
        }
    )


def typeface(family: str) -> Typeface:
    """A family by its name, in any case, or a font by the path of its file.

    Raises:
        SceneError: there is no such family or file, or it is no font.
    """
    by_name = {name.casefold(): each for name, each in families().items()}
    if found := by_name.get(family.strip().casefold()):
        return found
    if not family.lower().endswith(_ENDINGS) and Path(family).name == family:
        raise SceneError(f"font: {family!r}; must be one of {', '.join(families())}, or a {'/'.join(_ENDINGS)} file")
    path = Path(family)
    try:
        status = path.stat()
    except OSError as error:
        raise SceneError(f"font: {family}: {error.strerror or error}") from error
    if not path.is_file() or status.st_size > _LARGEST:
        raise SceneError(f"font: {family} must be a file of at most {_LARGEST >> 20} MiB")
    own = Typeface(path.name, path.absolute(), stamp=(status.st_mtime_ns, status.st_size))
    if face(own).glyph_count == 0:
        raise SceneError(f"font: {family} is not a font that can be read; allowed: TrueType and OpenType")
    return own


@cache
def _folder(package: str) -> Path | None:
    """Where a package of fonts lies, if it is installed."""
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found is not None and found.origin else None


def noto(script: str, language: str | None = None) -> Typeface | None:
    """The Noto font of a script (ISO 15924), of ``Symbols`` or ``Emoji``; None if the extra is not installed.

    ``language`` tells Chinese, Japanese and Korean letters apart, which share their characters.
    """
    if script in _OF_CJK:
        folder, name = _folder("manimgx_fonts_cjk"), "NotoSansCJK-VF.otf.ttc"
        number = _number(script, language)
        return None if folder is None else Typeface("Noto Sans CJK", folder / name, number)
    folder = _folder("manimgx_fonts")
    if script == "Emoji":
        return None if folder is None else Typeface("Noto Emoji", folder / "NotoEmoji[wght].ttf")
    part = "Symbols" if script == "Symbols" else _NOTO.get(script)
    if folder is None or part is None:
        return None
    return Typeface(f"Noto Sans {part}", folder / f"NotoSans{part}[wght].ttf")


def in_noto(script: str) -> bool:
    """Whether the extra brings a font for a script."""
    return script in _NOTO or script in _OF_CJK


def _number(script: str, language: str | None) -> int:
    asked = (language or "").lower()
    asked = {"zh": "zh-hans", "zh-cn": "zh-hans", "zh-sg": "zh-hans", "zh-tw": "zh-hant"}.get(asked, asked)
    for name, number in _CJK.items():
        if asked == name or asked.startswith(f"{name}-"):
            return number
    return {"Hang": _CJK["ko"], "Hira": _CJK["ja"], "Kana": _CJK["ja"]}.get(script, _CJK["zh-hans"])


@lru_cache(64)
def face(of: Typeface) -> hb.Face:
    """A typeface as HarfBuzz reads it."""
    return hb.Face(hb.Blob.from_file_path(str(of.path)), of.number)
