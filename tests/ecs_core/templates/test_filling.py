"""Templates: slots are filled, what needs an empty one is left out, and what is wrong is said in a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ecs_core.errors import SceneError
from ecs_core.scene.palettes import PALETTES
from ecs_core.templates.filling import fill_template, wants_cover_colours
from ecs_core.templates.template import Template, check_template, find_template, read_template, template_names

SLOTS = {
    "cover": {"kind": "image"},
    "title": {"kind": "text"},
    "artist": {"kind": "text", "default": "somebody"},
    "colors": {"kind": "colors", "default": "ice"},
}


def template(config: dict[str, Any], slots: dict[str, Any] | None = None, **more: Any) -> Template:
    return check_template(
        {"version": 1, "name": "mine", "type": "snow", "slots": SLOTS if slots is None else slots, "config": config}
        | more
    )


def filled(config: dict[str, Any], /, **slots: Any) -> dict[str, Any]:
    return fill_template(template(config), slots)[1]


class TestFilling:
    def test_gives_the_type_and_the_config(self) -> None:
        assert fill_template(template({"seed": 3}), {}) == ("snow", {"seed": 3})

    def test_puts_values_where_slots_are_named(self) -> None:
        config = {"layers": [{"kind": "text", "text": "$title"}, {"kind": "text", "text": {"slot": "artist"}}]}
        layers = filled(config, title="Low Sun")["layers"]
        assert [layer["text"] for layer in layers] == ["Low Sun", "somebody"]

    def test_leaves_out_layers_that_need_an_empty_slot(self) -> None:
        config = {"layers": [{"kind": "image", "file": "$cover"}, {"kind": "text", "text": "x"}]}
        assert filled(config) == {"layers": [{"kind": "text", "text": "x"}]}
        assert filled(config, cover="") == filled(config, cover=None) == filled(config)
        assert len(filled(config, cover="c.png")["layers"]) == 2

    def test_leaves_out_settings_that_need_an_empty_slot(self) -> None:
        assert filled({"backdrop": {"kind": "image", "file": "$cover"}, "seed": 1}) == {"seed": 1}

    def test_leaves_out_layers_whose_condition_does_not_hold(self) -> None:
        config = {"layers": [{"kind": "a", "when": "cover"}, {"kind": "b", "when": ["!cover", "title"]}]}
        assert filled(config, title="x") == {"layers": [{"kind": "b"}]}
        assert filled(config, title="x", cover="c.png") == {"layers": [{"kind": "a"}]}
        assert filled(config) == {"layers": []}

    def test_chooses(self) -> None:
        config = {"backdrop": {"when": "cover", "then": {"file": "$cover"}, "else": {"kind": "color"}}}
        assert filled(config) == {"backdrop": {"kind": "color"}}
        assert filled(config, cover="c.png") == {"backdrop": {"file": "c.png"}}

    def test_joins_what_is_not_empty(self) -> None:
        config = {"text": {"join": ["$artist", "$title"], "with": " – "}}
        assert filled(config) == {"text": "somebody"}
        assert filled(config, title="Low Sun") == {"text": "somebody – Low Sun"}

    def test_takes_what_is_said_for_an_empty_slot(self) -> None:
        assert filled({"text": {"slot": "title", "else": "untitled"}}) == {"text": "untitled"}

    def test_does_not_change_texts_that_begin_with_two_dollars(self) -> None:
        assert filled({"text": "$$title"}) == {"text": "$title"}

    def test_does_not_change_the_template(self) -> None:
        mine = template({"layers": [{"colors": "$colors"}]})
        before = mine.model_dump()
        fill_template(mine, {"colors": [[1, 2, 3]]})
        assert mine.model_dump() == before


class TestColours:
    def test_are_those_of_the_cover_unless_given(self) -> None:
        mine = template({"particle_colors": "$colors"})
        assert fill_template(mine, {}, cover_colours=[(1, 2, 3)])[1] == {"particle_colors": [[1, 2, 3]]}
        given = fill_template(mine, {"colors": "gold"}, cover_colours=[(1, 2, 3)])[1]["particle_colors"]
        assert given == [list(each) for each in PALETTES["gold"]]

    def test_are_the_default_where_there_is_no_cover(self) -> None:
        assert filled({"particle_colors": "$colors"})["particle_colors"] == [list(each) for each in PALETTES["ice"]]

    def test_of_the_cover_are_wanted_only_where_they_are_used(self) -> None:
        mine = template({})
        assert wants_cover_colours(mine, {})
        assert wants_cover_colours(mine, {"colors": "cover"})
        assert not wants_cover_colours(mine, {"colors": "gold"})
        assert not wants_cover_colours(template({}, {}), {})

    def test_are_counted_from_the_first_again_when_there_are_fewer(self) -> None:
        config = {"a": "$colors.0", "b": "$colors.3"}
        assert filled(config, colors=[[1, 2, 3], [4, 5, 6]]) == {"a": [1, 2, 3], "b": [4, 5, 6]}

    def test_can_be_made_lighter_and_darker(self) -> None:
        config = {"one": {"slot": "colors.0", "lightness": 0}, "all": {"slot": "colors", "lightness": 1}}
        assert filled(config, colors=[[200, 60, 60]]) == {"one": [0, 0, 0], "all": [[255, 255, 255]]}

    def test_are_equal_for_equal_colours(self) -> None:
        config = {"one": {"slot": "colors.0", "lightness": 0.3}}
        assert filled(config, colors=[[200, 60, 60]]) == filled(config, colors=[[200, 60, 60]])


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({"singer": "x"}, "template 'mine' has no slot 'singer'; it has: cover, title, artist, colors"),
        ({"title": 3}, "template 'mine': title = 3: must be a text"),
        ({"title": "x" * 501}, "title = .*…: has 501 characters; allowed: 500"),
        ({"cover": ["a.png"]}, "cover = .*: must be a path"),
        ({"colors": "beige"}, "colors = 'beige': must be a list of colours, cover, or aurora, "),
        ({"colors": [[1, 2]]}, r"colors = \[\[1, 2\]\]: must be a list of colours, such as"),
        ({"colors": [[1, 2, 999]]}, "must be a list of colours"),
        ({"colors": "cover"}, 'colors = "cover": there is no cover to take colours from'),
    ],
)
def test_what_does_not_fit_a_slot_is_refused(slots: dict[str, Any], message: str) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        fill_template(template({}), slots)
    assert "\n" not in str(caught.value)


def test_needed_slots_are_named() -> None:
    mine = template({}, {"cover": {"kind": "image", "required": True}, "title": {"kind": "text", "required": True}})
    with pytest.raises(SceneError, match="template 'mine' needs cover and title; give them"):
        fill_template(mine, {})
    with pytest.raises(SceneError, match="template 'mine' needs title; give it"):
        fill_template(mine, {"cover": "c.png"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"text": "$singer"}, "config.text: there is no slot 'singer'; there are: cover, title, artist, colors"),
        ({"layers": [{"x": "$Title"}]}, r"config.layers.0.x: '\$Title' must be \$SLOT, \$SLOT.NUMBER"),
        ({"text": "$title.1"}, r"'\$title.1': only colours have parts"),
        ({"text": {"slot": 3}}, "config.text: slot = 3: must be a name"),
        ({"text": {"slot": "title", "size": 1}}, "has 'size' beside 'slot'; there may be: else, lightness, slot"),
        ({"c": {"slot": "colors.0", "lightness": 2}}, "lightness = 2: must be a number between 0 and 1"),
        ({"c": {"slot": "title", "lightness": 0.5}}, "only colours have a lightness"),
        ({"c": {"d": {"when": "cover"}}}, '"when" without "then" is for layers'),
        ({"layers": [{"when": "singer"}]}, "config.layers.0.when: there is no slot 'singer'"),
        ({"layers": [{"when": []}]}, r"\[\]: must be a slot"),
        ({"c": {"join": "$title"}}, "must be as"),
    ],
)
def test_broken_references_are_named_with_their_place(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        template(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "must be a JSON object with version, name, type, slots and config"),
        ({"version": 2}, "version = 2 is of a newer Motes; this one reads version 1"),
        ({"version": 0, "name": "x", "type": "snow"}, "version = 0: must be 1"),
        ({"version": 1, "type": "snow"}, "name is missing"),
        ({"version": 1, "name": "A b", "type": "snow"}, "name = 'A b'"),
        ({"version": 1, "name": "a", "type": "snow", "layers": []}, "unknown field 'layers' for a template; it has: "),
        (
            {"version": 1, "name": "a", "type": "snow", "slots": {"My x": {"kind": "text"}}},
            "'My x': names are of small letters",
        ),
        (
            {"version": 1, "name": "a", "type": "snow", "slots": {"x": {"kind": "sound"}}},
            "slots.x.kind = 'sound': must be 'image', 'text', 'lyrics' or 'colors'",
        ),
        (
            {"version": 1, "name": "a", "type": "snow", "slots": {"x": {"kind": "colors", "default": "beige"}}},
            "slots.x.default = 'beige': must be a list of colours",
        ),
    ],
)
def test_files_that_are_no_templates_are_refused(values: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(values))
    with pytest.raises(SceneError, match=message) as caught:
        read_template(tmp_path / "mine.json")
    assert str(caught.value).startswith(f"template {tmp_path / 'mine.json'}: ")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"template .*missing.json: No such file"):
        find_template(str(tmp_path / "missing.json"))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(SceneError, match=r"broken.json: is not valid JSON"):
        find_template(str(tmp_path / "broken.json"))
    (tmp_path / "large.json").write_bytes(b" " * 1_000_001)
    with pytest.raises(SceneError, match="is larger than 1000000 bytes"):
        find_template(str(tmp_path / "large.json"))


def test_an_unknown_name_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(
        SceneError, match=r"template 'nothing': there is none; there are: .*cover-ring.*; or give a file"
    ):
        find_template("nothing")


@pytest.mark.parametrize("name", template_names())
def test_those_of_motes_are_named_after_their_files(name: str) -> None:
    assert find_template(name).name == name
    assert find_template(name).description
