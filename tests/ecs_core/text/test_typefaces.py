"""Typefaces: what comes with Motes is complete and free; files of one's own are found by path."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ecs_core.errors import SceneError
from ecs_core.text import typefaces
from ecs_core.text.fonts import check_weight, font, outline, weights
from ecs_core.text.make_typefaces import SOURCES
from ecs_core.text.shaping import shape
from ecs_core.text.style import Style
from ecs_core.text.typefaces import FOLDER, Typeface, families, noto, typeface

ALPHABETS = {"Latin": "Zz", "Greek": "Ωω", "Cyrillic": "Яя", "Hebrew": "\u05d0"}


@pytest.mark.parametrize("family", families().values(), ids=families())
def test_family_has_its_alphabets_and_its_licence(family: Typeface) -> None:
    regular = font(family, None)
    assert all(regular.has(letter) for each in family.alphabets for letter in ALPHABETS[each])
    assert outline(regular, regular.hb.get_nominal_glyph(ord("A"))).shape[0] > 2
    licence = (FOLDER / f"{family.path.stem}.licence.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence


def test_there_are_enough_for_display_and_text_in_three_alphabets() -> None:
    found = families().values()
    assert {each.use for each in found} == {"display", "text"}
    for alphabet, least in (("Latin", 20), ("Cyrillic", 12), ("Greek", 8)):
        assert sum(alphabet in each.alphabets for each in found) >= least


def test_fonts_with_reserved_names_are_unchanged() -> None:
    for each in json.loads((FOLDER / "catalogue.json").read_text(encoding="utf-8")).values():
        licence = (FOLDER / each["file"].replace(".ttf", ".licence.txt")).read_text(encoding="utf-8")
        reserved = "reserved font name" in licence.partition("-----")[0].lower()
        assert each["changed"] is not reserved


def test_all_files_are_in_the_catalogue_and_small() -> None:
    files = {each.path.name for each in families().values()}
    assert {path.name for path in FOLDER.glob("*.ttf")} == files
    assert families().keys() == SOURCES.keys()
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 6_000_000


def test_weight_moves_the_outline() -> None:
    inter = families()["Inter"]
    light, heavy = (font(inter, each) for each in (200, 900))
    stem = [outline(each, each.hb.get_nominal_glyph(ord("l")))[:, 0::2] for each in (light, heavy)]
    assert stem[1].max() - stem[1].min() > 2 * (stem[0].max() - stem[0].min())


def test_weights_that_a_family_does_not_have_are_named() -> None:
    assert weights(families()["Anton"]) is None
    with pytest.raises(SceneError, match=r"^weight: 950; Inter: must be from 100 to 900$"):
        check_weight(families()["Inter"], 950)
    with pytest.raises(SceneError, match=r"^weight: 700; Anton: it has one weight, so leave it out$"):
        check_weight(families()["Anton"], 700)


def test_names_are_found_in_any_case() -> None:
    assert typeface(" bebas neue ").name == "Bebas Neue"


def test_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(
        SceneError, match=r"^font: 'Comic'; must be one of Anton, .*, or a \.ttf/\.otf/\.ttc/\.otc file$"
    ):
        typeface("Comic")


def test_file_of_ones_own_is_a_typeface(tmp_path: Path) -> None:
    own = shutil.copy(FOLDER / "Anton.ttf", tmp_path / "own.ttf")
    assert typeface(str(own)).name == "own.ttf"
    assert font(typeface(str(own)), None).has("A")


def test_file_that_changes_is_read_again(tmp_path: Path) -> None:
    own = tmp_path / "own.ttf"
    shutil.copy(FOLDER / "Anton.ttf", own)
    with pytest.raises(SceneError, match=r"^text: own.ttf has no Ж"):
        shape("Ж", Style(family=str(own)))
    shutil.copy(FOLDER / "Inter.ttf", own)
    assert shape("Ж", Style(family=str(own))).ends[0] > 0


def test_files_that_are_no_fonts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "no.ttf").write_bytes(b"not a font" * 100)
    with pytest.raises(SceneError, match="is not a font that can be read; allowed: TrueType and OpenType"):
        typeface(str(tmp_path / "no.ttf"))
    with pytest.raises(SceneError, match="No such file or directory"):
        typeface(str(tmp_path / "gone.ttf"))


@pytest.mark.parametrize("script", ["Arab", "Hebr", "Deva", "Thai", "Hani", "Hang", "Hira", "Symbols", "Emoji"])
def test_noto_extra_has_the_script(script: str) -> None:
    found = noto(script)
    assert found is not None
    assert found.path.exists()


@pytest.mark.parametrize(
    ("script", "language", "number"),
    [
        ("Hani", None, 2),
        ("Hani", "ja", 0),
        ("Hani", "zh-TW", 3),
        ("Hani", "zh-HK", 4),
        ("Hang", None, 1),
        ("Hira", None, 0),
        ("Hani", "ko-KR", 1),
    ],
)
def test_language_chooses_among_chinese_characters(script: str, language: str | None, number: int) -> None:
    found = noto(script, language)
    assert found is not None
    assert found.number == number
    assert typefaces.face(found).glyph_count > 0
