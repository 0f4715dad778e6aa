"""How long a video will be, as far as that is known when it is submitted."""

from __future__ import annotations

from typing import Any

import pytest

from ecs_core import SceneError
from ecs_core.plugin_api import ParticleType, particle_types
from services.jobs.render_spec import (
    VERSION_LENGTH,
    build_spec,
    known_start,
    migrate_spec,
    renderable_versions,
    spec_key,
    video_seconds,
    warnings_of,
)
from services.type_catalogue import describe, local_settings

SONG = "0" * 64


def spec(**config: Any) -> dict[str, Any]:
    return build_spec("snow", config, SONG, "draft")


@pytest.mark.parametrize(
    ("config", "seconds", "start"),
    [
        ({"duration": "audio"}, 183.5, 0.0),
        ({"duration": None, "start": 83.5}, 100.0, 83.5),
        ({"duration": 30.0, "start": 170.0}, 30.0, 170.0),  # silence follows the song
        ({"duration": "audio", "start": "drop"}, 183.5, None),  # at most
        ({"duration": 15.0, "start": "drop"}, 15.0, None),
    ],
)
def test_video_lasts_from_its_start_to_the_end_of_the_song(
    config: dict[str, Any], seconds: float, start: float | None
) -> None:
    assert video_seconds(spec(**config), 183.5) == seconds
    assert known_start(spec(**config)) == start


def test_specs_from_before_begin_with_the_song() -> None:
    old = spec(duration="audio")
    del old["config"]["start"]
    assert (video_seconds(old, 10.0), known_start(old)) == (10.0, 0.0)


@pytest.mark.parametrize("duration", ["audio", 5.0])
def test_start_after_the_end_of_the_song_is_refused(duration: object) -> None:
    with pytest.raises(SceneError, match=r"^start = 183\.5: must be under 183\.5 seconds, the length of the song$"):
        video_seconds(spec(duration=duration, start=183.5), 183.5)


LAYERS = [{"type": "zen", "config": {"particle_count": 7}}, {"type": "zen", "name": "other", "behind": True}]


class TestLayers:
    def test_defaults_of_layers_are_written_out(self) -> None:
        first, second = spec(layers=LAYERS)["config"]["layers"]
        assert (first["name"], first["opacity"], first["behind"]) == ("zen", 1.0, False)
        assert (first["config"]["particle_count"], second["config"]["particle_count"]) == (7, 200)
        assert "width" not in first["config"]
        assert spec(layers=[{**LAYERS[0], "opacity": 1}]) == spec(layers=LAYERS[:1])

    def test_complete_spec_is_built_again_as_it_is(self) -> None:
        assert migrate_spec(spec(layers=LAYERS)) == spec(layers=LAYERS)

    def test_layers_are_part_of_the_key_and_every_worker_knows_its_version(self) -> None:
        keys = {spec_key(spec(layers=layers)) for layers in ([], LAYERS, LAYERS[:1], LAYERS[::-1])}
        assert len(keys) == 4
        assert {key[:VERSION_LENGTH] for key in keys} <= renderable_versions()

    def test_settings_without_effect_are_named_with_their_layer(self) -> None:
        layers = [{"type": "zen", "config": {"max_particles": 5}}]
        assert warnings_of(spec(layers=layers, bounce=True)) == [
            "bounce = True: has no effect on this particle type",
            "layer 'zen': max_particles = 5: has no effect on this particle type",
        ]

    def test_layers_of_one_plugin_have_its_version(self) -> None:
        keys = {spec_key(spec(layers=layers))[:VERSION_LENGTH] for layers in ([], LAYERS)}
        assert len(keys) == 1


def test_setting_that_is_not_set_does_not_change_keys_from_before_it() -> None:
    scene = spec(layers=LAYERS)
    before = spec(layers=LAYERS)
    for config in (before["config"], *(layer["config"] for layer in before["config"]["layers"])):
        assert config.pop("color_by") is None
    assert spec_key(scene) == spec_key(before)
    first = {"type": "zen", "config": {"particle_count": 7, "color_by": "band"}}
    others = [spec(layers=LAYERS, color_by="speed"), spec(layers=[first, LAYERS[1]])]
    assert len({spec_key(each) for each in (scene, *others)}) == 3
    assert scene == spec(layers=LAYERS)  # which is not changed by that


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        (
            "portrait",
            {"picture": "/etc/passwd"},
            "picture = '/etc/passwd': is no uploaded image; upload one with POST /particles/assets",
        ),
        ("portrait", {"picture": ""}, "picture = '': is no uploaded image"),
        ("portrait", {"picture": ["x"]}, r"picture = \['x'\]: is no uploaded image"),
        ("portrait", {"picture": "a", "text": "漢"}, "picture = 'a': is no uploaded image"),  # before all other checks
        ("portrait", {"picture": "a", "bindings": [{}]}, "picture = 'a': is no uploaded image"),
        (
            "snow",
            {"layers": [{"type": "zen"}, {"type": "portrait", "name": "p", "config": {"picture": "x.png"}}]},
            r"layers\.1: picture = 'x.png': is no uploaded image",
        ),
        (
            "snow",
            {"backdrop": {"kind": "image", "file": "/etc/passwd"}},
            r"backdrop\.file = '/etc/passwd': is no uploaded image",
        ),
        (
            "snow",
            {"backdrop": {"kind": "video", "file": "/etc/passwd"}},
            r"backdrop\.file = '/etc/passwd': is no uploaded video",
        ),
    ],
)
def test_file_of_the_server_is_refused_without_looking_at_it(
    kind: str, config: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(path: str) -> str:
        raise AssertionError(f"{path} was looked at")

    monkeypatch.setattr("plugins.portrait.settings.check_picture", opened)
    with pytest.raises(SceneError, match=f"^{words}"):
        build_spec(kind, config, SONG, "draft")


@pytest.mark.parametrize("layers", [3, [3], [{"config": 3}], [{"type": 3, "config": {}}], [{"type": "rain"}], {"a": 1}])
def test_layers_of_any_form_get_past_the_check_of_files_to_their_own(layers: object) -> None:
    with pytest.raises(SceneError, match="layers"):
        build_spec("portrait", {"layers": layers}, SONG, "draft")


def test_portrait_of_a_text_is_rendered() -> None:
    config = build_spec("portrait", {"text": "hush", "picture": None}, SONG, "draft")["config"]
    assert (config["text"], config["picture"]) == ("hush", None)


def config_schema(kind: ParticleType, *, local: bool) -> dict[str, Any]:
    schema = describe(kind, local=local)["config_schema"]
    assert isinstance(schema, dict)
    return schema


def test_type_as_a_service_takes_it_allows_an_asset_and_no_file() -> None:
    kind = particle_types().types["portrait"]
    shown, here = (config_schema(kind, local=local)["properties"]["picture"] for local in (False, True))
    assert (shown["default"], shown["local"], shown["asset"]) == (None, True, "image")
    assert shown["anyOf"] == [{"type": "string", "pattern": "^asset:[0-9a-f]{64}$"}, {"type": "null"}]
    assert here["local"]
    assert "anyOf" in here


def test_no_local_setting_has_a_default_that_names_something() -> None:
    for kind in particle_types().types.values():
        assert all(kind.settings.model_fields[name].default is None for name in local_settings(kind.settings))


ASSET, DIGEST, OTHER = ("asset:" + "a" * 64, "b" * 64, "c" * 64)


def pictured(digest: str = DIGEST, **config: Any) -> dict[str, Any]:
    return build_spec("portrait", {"picture": ASSET, **config}, SONG, "draft", assets={"a" * 64: digest})


class TestAssets:
    def test_reference_stays_in_the_spec_with_the_digest(self) -> None:
        scene = pictured()
        assert (scene["config"]["picture"], scene["assets"]) == (ASSET, {"a" * 64: DIGEST})

    def test_in_a_layer_stays_too(self) -> None:
        layers = [{"type": "portrait", "name": "p", "config": {"picture": ASSET}}]
        scene = build_spec("snow", {"layers": layers}, SONG, "draft", assets={"a" * 64: DIGEST})
        assert scene["config"]["layers"][0]["config"]["picture"] == ASSET
        assert warnings_of(scene) == []

    def test_in_a_layer_of_another_kind_stays_with_all_defaults(self) -> None:
        layers = [{"kind": "image", "file": ASSET, "x": 0.25}, {"type": "zen"}]
        scene = build_spec("snow", {"layers": layers}, SONG, "draft", assets={"a" * 64: DIGEST})
        shown = scene["config"]["layers"][0]
        assert (shown["file"], shown["x"], shown["opacity"], shown["crop"]) == (ASSET, 0.25, 1.0, "none")
        assert migrate_spec(scene) == scene
        assert warnings_of(scene) == []
        other = build_spec("snow", {"layers": layers}, SONG, "draft", assets={"a" * 64: OTHER})
        assert spec_key(scene) != spec_key(other)
        assert spec_key(scene)[:VERSION_LENGTH] in renderable_versions()

    def test_in_a_backdrop_stays_with_all_defaults(self) -> None:
        backdrop = {"kind": "image", "file": ASSET, "zoom": 1.2}
        scene = build_spec("snow", {"backdrop": backdrop}, SONG, "draft", assets={"a" * 64: DIGEST})
        shown = scene["config"]["backdrop"]
        assert (shown["file"], shown["zoom"], shown["fit"]) == (ASSET, 1.2, "cover")
        assert migrate_spec(scene) == scene
        other = build_spec("snow", {"backdrop": backdrop}, SONG, "draft", assets={"a" * 64: OTHER})
        assert spec_key(scene) != spec_key(other)

    def test_key_depends_on_the_digest(self) -> None:
        assert len({spec_key(each) for each in (pictured(), pictured(OTHER), pictured(fill=0.5))}) == 3
        assert spec_key(pictured()) == spec_key(pictured())

    def test_spec_of_another_version_keeps_its_assets(self) -> None:
        assert migrate_spec(pictured()) == pictured()

    def test_spec_without_assets_has_the_key_from_before(self) -> None:
        assert "assets" not in build_spec("portrait", {"text": "hush"}, SONG, "draft")
        assert "assets" not in spec(particle_count=7)
