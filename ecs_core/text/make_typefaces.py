"""``python -m ecs_core.text.make_typefaces``: write ``families/`` anew, the fonts that Motes comes with.

Each family is a package of PyPI that holds the font of Google Fonts unchanged. What no title needs is taken out of it:
hints, rare characters, axes other than the weight. A font whose name is reserved by its licence stays as it is, as a
changed one would need another name. A change of a font changes frames.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

from ecs_core.text.typefaces import FOLDER

# Latin with all that Europe and Vietnam write, combining accents, Greek, Cyrillic, Hebrew, punctuation, currencies,
# arrows, a few shapes, notes, and ligatures.
_KEPT = (
    "0020-007E 00A0-024F 0259 02B0-02FF 0300-036F 0370-03FF 0400-052F 0591-05F4 1E00-1EFF 1F00-1FFF 2000-206F "
    "2070-209F 20A0-20CF 2100-214F 2150-218F 2190-21FF 2212 2215 221E 2248 2260 2264-2265 25A0-25FF 2605-2606 "
    "2660-266F 2713 2764 FB00-FB06 FB1D-FB4F FEFF"
)
_ALPHABETS = {
    "Latin": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "Greek": "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώ",
    "Cyrillic": "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ",
    "Hebrew": "אבגדהוזחטיכךלמםנןסעפףצץקרשת",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A family: its ``package``, its ``use`` and, where it has one, the optical size that is kept."""

    package: str
    use: str
    optical_size: float | None = None


SOURCES = {
    "Anton": Source("fontpkg-anton==2.116", "display"),
    "Bebas Neue": Source("fontpkg-bebas-neue==2.0", "display"),
    "Bodoni Moda": Source("fontpkg-bodoni-moda==2.5", "display", 28),
    "Bungee": Source("fontpkg-bungee==2.0", "display"),
    "Caveat": Source("fontpkg-caveat==2.0", "display"),
    "Cinzel": Source("fontpkg-cinzel==2.0", "display"),
    "Comfortaa": Source("fontpkg-comfortaa==3.105", "display"),
    "EB Garamond": Source("fontpkg-eb-garamond==1.3", "text"),
    "Inter": Source("fontpkg-inter==4.1.post1", "text", 24),
    "JetBrains Mono": Source("fontpkg-jetbrains-mono==2.211", "text"),
    "Literata": Source("fontpkg-literata==3.103", "text", 24),
    "Manrope": Source("fontpkg-manrope==4.505", "text"),
    "Montserrat": Source("fontpkg-montserrat==9.0", "text"),
    "Orbitron": Source("fontpkg-orbitron==2.1", "display"),
    "Oswald": Source("fontpkg-oswald==4.103", "display"),
    "Pacifico": Source("fontpkg-pacifico==3.1", "display"),
    "Playfair Display": Source("fontpkg-playfair-display==1.203", "display"),
    "Press Start 2P": Source("fontpkg-press-start-2p==3.0", "display"),
    "Roboto Condensed": Source("fontpkg-roboto-condensed==3.8", "text"),
    "Rubik": Source("fontpkg-rubik==2.300", "text"),
    "Space Grotesk": Source("fontpkg-space-grotesk==2.0", "display"),
    "Syne": Source("fontpkg-syne==2.200", "display"),
    "Unbounded": Source("fontpkg-unbounded==1.701", "display"),
}


def make_family(family: str, source: Source, wheel: zipfile.ZipFile) -> dict[str, Any]:
    """Write a family's font and its licence; returns its line of the catalogue."""
    names = [name for name in wheel.namelist() if name.endswith(".ttf") and "Italic" not in name]
    licence = wheel.read(next(name for name in wheel.namelist() if name.count("/") == 1 and name.endswith("/LICENSE")))
    data = wheel.read(names[0])
    font = TTFont(io.BytesIO(data), recalcTimestamp=False)
    reserved = b"reserved font name" in licence.partition(b"-----")[0].lower()
    if not reserved:
        data = _smaller(font, source)
    file = family.replace(" ", "")
    (FOLDER / f"{file}.ttf").write_bytes(data)
    (FOLDER / f"{file}.licence.txt").write_bytes(licence)
    characters = TTFont(io.BytesIO(data)).getBestCmap()
    return {
        "file": f"{file}.ttf",
        "use": source.use,
        "alphabets": [
            name for name, letters in _ALPHABETS.items() if all(ord(letter) in characters for letter in letters)
        ],
        "source": source.package,
        "changed": not reserved,
    }


def _smaller(font: TTFont, source: Source) -> bytes:
    """A font with the kept characters and the axis of its weight."""
    if "fvar" in font:
        fixed = {axis.axisTag: axis.defaultValue for axis in font["fvar"].axes if axis.axisTag != "wght"}
        if "opsz" in fixed:
            fixed["opsz"] = source.optical_size or fixed["opsz"]
        if fixed:
            font = TTFont(io.BytesIO(_written(instancer.instantiateVariableFont(font, fixed))), recalcTimestamp=False)
    options = subset.Options(hinting=False, glyph_names=False, notdef_outline=True, recalc_timestamp=False)
    options.layout_features += ["case", "lnum", "onum", "pnum", "tnum"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    made = subset.Subsetter(options)
    made.populate(unicodes=_points())
    made.subset(font)
    return _written(font)


def _written(font: TTFont) -> bytes:
    written = io.BytesIO()
    font.save(written)
    return written.getvalue()


def _points() -> list[int]:
    ranges = [each.partition("-") for each in _KEPT.split()]
    return [point for first, _, last in ranges for point in range(int(first, 16), int(last or first, 16) + 1)]


def main() -> None:
    """Download the packages, and write the fonts, their licences and ``catalogue.json``."""
    FOLDER.mkdir(exist_ok=True)
    catalogue = {}
    for family, source in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--dest",
                folder,
                source.package,
            ]
            subprocess.run(command, check=True)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                catalogue[family] = make_family(family, source, wheel)
    (FOLDER / "catalogue.json").write_text(json.dumps(catalogue, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
