"""References to assets, wherever a config may have one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from ecs_core import SceneError
from ecs_core.plugin_api import particle_types
from ecs_core.scene.layer_settings import ParticleLayer
from ecs_core.scene.model import Model, option
from services.jobs.render_spec import build_specs, complete_config
from services.storage.asset_files import asset_files, video_stand_ins
from services.storage.asset_references import PLACEHOLDERS, references_in, stand_ins, with_files, with_references
from services.storage.object_keys import asset_key
from services.storage.object_store import Storage
from services.type_catalogue import describe_layers, local_settings, local_values
from tests.services.media.asset_examples import examples

A, B = ("asset:" + letter * 64 for letter in "ab")


class Picture(Model):
    kind: Literal["image"] = option("image", "", group="x")
    file: str | None = option(None, "", group="x", asset="image")


class Film(Model):
    kind: Literal["video"] = option(..., "", group="x")
    file: str = option(..., "", group="x", asset="video")


class Whole(Model):
    words: str | None = option(None, "", group="x", asset="lyrics")
    program: str | None = option(None, "", group="x", local=True)
    behind: Picture | Film | None = option(None, "", group="x")
    row: tuple[Picture, ...] = option((), "", group="x")
    named: dict[str, Picture] = option(dict, "", group="x")
    title: str = option("", "", group="x")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"words": A, "title": "/etc/passwd"}, [(("words",), "lyrics", A)]),
        ({"program": "x"}, [(("program",), None, "x")]),
        ({"words": None}, []),
        ({"behind": {"file": A}}, [(("behind", "file"), "image", A)]),
        ({"behind": {"kind": "video", "file": A}}, [(("behind", "file"), "video", A)]),
        ({"row": [{}, {"file": "/x"}, 3]}, [(("row", 1, "file"), "image", "/x")]),
        ({"named": {"a": {"file": A}}}, [(("named", "a", "file"), "image", A)]),
        ({"behind": {"kind": "gas", "file": A}}, []),
        ({"behind": 3, "row": {"file": A}, "named": [A]}, []),
    ],
)
def test_values_are_found_however_deep(given: Mapping[str, Any], found: list[Any]) -> None:
    assert list(local_values(Whole, given)) == found


def layer(**values: Any) -> dict[str, Any]:
    return {"kind": "image", "file": A} | values


def test_layer_refers_to_an_asset() -> None:
    config = {"layers": [{"type": "zen"}, layer(), {"type": "portrait", "config": {"picture": B}}]}
    found = references_in("snow", config)
    assert [(each.where, each.kind, each.text()) for each in found] == [
        ("layers.1: file", "image", A),
        ("layers.2: picture", "image", B),
    ]
    plain = with_files(config, found)
    assert plain["layers"][1]["file"] == plain["layers"][2]["config"]["picture"] == str(PLACEHOLDERS["image"])
    assert with_references(plain, found) == config


@pytest.mark.parametrize("file", ["cover.jpg", "/etc/passwd", "asset:x", 7, [A], {"a": 1}])
def test_layer_with_a_file_of_this_machine_is_refused(file: object) -> None:
    with pytest.raises(SceneError, match=r"^layers\.1: file = .*: is no uploaded image; upload one with POST /"):
        references_in("snow", {"layers": [{"type": "zen"}, layer(file=file)]})


def test_backdrop_refers_to_an_asset() -> None:
    found = references_in("snow", {"backdrop": {"kind": "image", "file": A, "blur": 3}})
    assert [(each.where, each.kind, each.text()) for each in found] == [("backdrop.file", "image", A)]


def test_video_of_a_backdrop_is_an_asset() -> None:
    found = references_in("snow", {"backdrop": {"kind": "video", "file": A}})
    assert [(each.where, each.kind, each.text()) for each in found] == [("backdrop.file", "video", A)]
    with pytest.raises(SceneError, match=r"^backdrop\.file = 'film.mp4': is no uploaded video; upload one with"):
        references_in("snow", {"backdrop": {"kind": "video", "file": "film.mp4"}})


@pytest.mark.parametrize(
    "layers",
    [[{"kind": "image"}], [{"kind": 3, "file": "x"}], [{"kind": None}], [{"kind": ["image"], "file": "x"}], [[]], "x"],
)
def test_layers_that_are_wrong_are_left_to_their_own_checks(layers: object) -> None:
    assert references_in("snow", {"layers": layers}) == []


def test_every_kind_of_asset_that_settings_take_has_something_that_stands_for_it() -> None:
    registry = particle_types()
    models: list[type[Model]] = [ParticleLayer, *(kind.settings for kind in registry.types.values())]
    models += [kind.settings for kind in registry.layers.values()]
    assert {asset for model in models for asset in local_settings(model).values()} - {None} <= PLACEHOLDERS.keys()
    assert all(path.is_file() for path in PLACEHOLDERS.values())


def test_schema_of_a_layer_is_as_a_service_takes_it() -> None:
    def shown(*, local: bool) -> dict[str, Any]:
        of: Any = {each["kind"]: each for each in describe_layers(local=local)}["image"]
        return dict(of["config_schema"]["properties"])

    here = shown(local=False)
    assert (here["file"]["type"], here["file"]["pattern"]) == ("string", "^asset:[0-9a-f]{64}$")
    assert here["kind"]["const"] == "image"
    assert shown(local=True)["file"]["maxLength"] == 4096


def test_placeholders_pass_the_checks_of_layers() -> None:
    layers = [
        {"kind": "text", "text": "Title 漢", "font_file": A, "weight": 637, "uppercase": True},
        {"kind": "lyrics", "file": B, "font_file": A, "karaoke": "evenly"},
        {"kind": "image", "file": "asset:" + "c" * 64},
    ]
    config = complete_config("snow", {"layers": layers, "subtitles": B}, has_song=True)
    assert [each.get("font_file") for each in config["layers"]] == [A, A, None]
    assert (config["layers"][1]["file"], config["subtitles"]) == (B, B)


@pytest.mark.parametrize(("seconds", "start"), [(None, 86_400), (2.5, 2.4)])
def test_video_that_is_not_here_passes_the_checks_of_backdrops(
    tmp_path: Path, seconds: float | None, start: float
) -> None:
    config = {"backdrop": {"kind": "video", "file": A, "start": start}}
    with video_stand_ins({} if seconds is None else {"a" * 64: seconds}, tmp_path) as files:
        whole = complete_config("snow", config, has_song=True, files=stand_ins(references_in("snow", config)) | files)
    assert (whole["backdrop"]["file"], whole["backdrop"]["speed"]) == (A, 1.0)
    assert list(tmp_path.iterdir()) == []


def test_video_that_ends_before_it_begins_is_refused_where_its_length_is_known(tmp_path: Path) -> None:
    config = {"backdrop": {"kind": "video", "file": A, "start": 2.5}}
    with (
        video_stand_ins({"a" * 64: 2.5}, tmp_path) as files,
        pytest.raises(SceneError, match=r"start = 2\.5: must be before the video's end, 2\.5 s$"),
    ):
        complete_config("snow", config, has_song=True, files=files)


class TestShapes:
    """What a config says of pictures of one shape."""

    CONFIG: ClassVar[dict[str, Any]] = {
        "shapes": {"tall": {"subtitles": B}},
        "layers": [{"kind": "image", "file": A, "shapes": {"tall": {"file": B}, "square": {"x": 0.25}}}],
    }

    def test_all_references_are_found(self) -> None:
        found = references_in("snow", self.CONFIG)
        assert {(each.where, each.text()) for each in found} == {
            ("layers.0: file", A),
            ("layers.0: file", B),
            ("subtitles", B),
        }

    @pytest.mark.parametrize(("size", "file", "subtitles"), [((160, 90), A, None), ((90, 160), B, B)])
    def test_config_has_those_of_its_shape(self, size: tuple[int, int], file: str, subtitles: str | None) -> None:
        whole = self.CONFIG | {"width": size[0], "height": size[1]}
        config = complete_config("snow", whole, has_song=True)
        assert (config["layers"][0]["file"], config["subtitles"]) == (file, subtitles)
        assert complete_config("snow", config, has_song=True) == config

    def test_variants_have_those_of_theirs(self) -> None:
        whole = self.CONFIG | {"width": 160, "height": 90, "variants": [{"size": "90x160", "name": "tall"}]}
        specs = build_specs("snow", whole, None, "draft")
        assert [spec["config"]["layers"][0]["file"] for spec in specs.values()] == [A, B]
        assert [spec["config"]["subtitles"] for spec in specs.values()] == [None, B]
        assert complete_config("snow", whole, has_song=False)["variants"][0]["name"] == "tall"

    @pytest.mark.parametrize(
        "config",
        [
            {"layers": [{"kind": "image", "file": A, "shapes": {"tall": {"file": "/etc/passwd"}}}]},
            {"shapes": {"tall": {"subtitles": "/etc/passwd"}}},
            {"shapes": {"square": {"layers": [{"kind": "image", "file": "/etc/passwd"}]}}},
            {"layers": [{"kind": "text", "file": "/etc/passwd", "shapes": {"tall": {"kind": "image"}}}]},
            {"layers": [{"type": "zen", "config": {"picture": "/x"}, "shapes": {"tall": {"type": "portrait"}}}]},
            {"shapes": {"tall": {"backdrop": {"kind": "image", "file": "/etc/passwd"}}}},
        ],
    )
    def test_file_of_this_machine_is_refused_in_any_shape(self, config: dict[str, Any]) -> None:
        with pytest.raises(SceneError, match="is no uploaded"):
            references_in("snow", config)

    @pytest.mark.parametrize("shapes", [3, {"tall": 3}, {"oval": {}}, {"tall": {"shapes": {"tall": {"file": "/x"}}}}])
    def test_what_is_wrong_is_left_to_the_config_s_own_checks(self, shapes: object) -> None:
        config = {"layers": [{"kind": "image", "file": A, "shapes": shapes}], "width": 90, "height": 160}
        assert references_in("snow", config)
        with pytest.raises(SceneError):
            complete_config("snow", config, has_song=True)


@pytest.mark.parametrize("name", [name for name in examples() if not name.endswith((".jpg", ".webp", ".avif"))])
def test_file_of_an_asset_ends_as_what_it_is(name: str, tmp_path: Path) -> None:
    storage = Storage(f"file://{tmp_path / 'storage'}")
    (tmp_path / "new").write_bytes(data := examples()[name])
    sha256 = hashlib.sha256(data).hexdigest()
    storage.put(asset_key(sha256, sha256), tmp_path / "new")
    usual = {".mkv": ".webm", ".mov": ".mp4"}
    with asset_files(storage, {sha256: sha256}, tmp_path) as files:
        ending = Path(name).suffix
        assert files[sha256].suffix == usual.get(ending, ending)
        assert files[sha256].read_bytes() == data
    assert not files[sha256].exists()


def test_error_about_a_file_names_the_asset(tmp_path: Path) -> None:
    storage = Storage(f"file://{tmp_path / 'storage'}")
    (tmp_path / "new").write_bytes(b"[00:01.00]la\n")
    storage.put(asset_key("a" * 64, "b" * 64), tmp_path / "new")

    def fail() -> None:
        with asset_files(storage, {"a" * 64: "b" * 64}, tmp_path) as files:
            path = files["a" * 64]
            raise SceneError(f"{path} is wrong, and {path.name} has no ₿")

    with pytest.raises(SceneError, match=rf"^{A} is wrong, and {A} has no ₿$"):
        fail()


def test_stand_ins_are_by_kind() -> None:
    found = references_in("snow", {"layers": [layer()]})
    assert stand_ins(found) == {"a" * 64: PLACEHOLDERS["image"]}
