"""Templates over HTTP: lists, files, and systems that are made with them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from ecs_core.templates.template import check_template, find_template, template_names
from services.api.routes import templates
from services.auth.api_keys import ApiKeys
from services.database.engine import Sessions
from tests.media import tagged_mp3
from tests.services.api.world import World, picture, song, world_of
from tests.services.media.asset_examples import LRC

NOBODYS = "asset:" + "0" * 64
FRONT = 3


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    async def make(keys: ApiKeys, sessions: Sessions) -> dict[str, str]:
        return {name: (await keys.create(owner=name, scopes=("read", "render")))[1] for name in ("alice", "bob")}

    with world_of(tmp_path_factory.mktemp("templates"), make) as world:
        yield world


def create(world: World, who: str, template: str, **more: Any) -> httpx.Response:
    return world.call(who, "POST", "/create", json={"template": template, **more})


def config_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["status"]["config"])


def layers_of(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    return {layer["name"]: layer for layer in config_of(answer)["layers"]}


class TestLists:
    def test_every_template_is_shown_with_its_slots(self, world: World) -> None:
        shown = {each["name"]: each for each in world.call(None, "GET", "/templates").json()}
        assert list(shown) == template_names()
        ring = shown["cover-ring"]
        assert ring["slots"]["cover"]["kind"] == "image"
        assert (ring["particle_type"], ring["version"]) == (find_template("cover-ring").type, 1)

    def test_file_can_be_copied(self, world: World) -> None:
        file = world.call(None, "GET", "/templates/cover-ring").json()
        assert check_template(file) == find_template("cover-ring")

    def test_every_template_has_a_moving_picture(self, world: World) -> None:
        for each in world.call(None, "GET", "/templates").json():
            picture = world.client.get(each["picture"])
            with Image.open(io.BytesIO(picture.content)) as shown:
                assert (shown.format, shown.size) == ("WEBP", (256, 144))
                assert getattr(shown, "n_frames", 1) > 10

    def test_picture_is_shown(self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "vinyl.webp").write_bytes(b"RIFF")
        monkeypatch.setattr(templates, "PICTURES", tmp_path)
        templates.picture_of.cache_clear()
        shown = world.call(None, "GET", "/templates/vinyl/picture")
        assert (shown.content, shown.headers["content-type"]) == (b"RIFF", "image/webp")
        assert world.call(None, "GET", "/templates/arcade/picture").status_code == 404
        templates.picture_of.cache_clear()

    @pytest.mark.parametrize("name", ["nope", "..%2Ftemplate", "cover-ring.json"])
    def test_what_there_is_not_is_not_found(self, world: World, name: str) -> None:
        assert [world.call(None, "GET", f"/templates/{name}{more}").status_code for more in ("", "/picture")] == [
            404
        ] * 2


class TestSystems:
    def test_slots_are_filled(self, world: World) -> None:
        cover = world.asset("alice", picture(64, 64, level=5))["reference"]
        slots = {"cover": cover, "title": "Nocturne", "colors": [[255, 0, 0]]}
        made = create(world, "alice", "cover-ring", slots=slots)
        assert made.json()["particle_type"] == find_template("cover-ring").type
        assert (layers_of(made)["cover"]["file"], layers_of(made)["title"]["text"]) == (cover, "Nocturne")
        assert "artist" not in layers_of(made)
        assert config_of(made)["particle_colors"] == [[255, 0, 0]]
        assert config_of(made)["backdrop"]["file"] == cover
        assert world.call("alice", "DELETE", f"/assets/{cover.partition(':')[2]}").status_code == 409

    def test_colours_are_those_of_the_cover(self, world: World) -> None:
        greenish = world.asset("alice", picture(64, 64, level=0))["reference"]
        first = config_of(create(world, "alice", "cover-ring", slots={"cover": greenish}))["particle_colors"][0]
        assert first[1] > max(first[0], first[2])

    def test_config_counts_over_that_of_the_template(self, world: World) -> None:
        config = {"width": 1080, "height": 1920, "particle_count": 7, "finish": {"bloom": 0.1}}
        made = config_of(create(world, "alice", "cover-ring", slots={"title": "x"}, config=config))
        assert (made["particle_count"], made["finish"]["bloom"]) == (7, 0.1)
        assert made["finish"]["vignette"] == find_template("cover-ring").config["finish"]["vignette"]
        assert made["duration"] == 10.0

    def test_tags_of_the_song_fill_what_is_not_given(self, world: World, tmp_path: Path) -> None:
        tags = {"TIT2": "Lied", "TPE1": "Ärzte"}
        file = tagged_mp3(tmp_path / "song.mp3", tags, [(FRONT, picture(64, 48, level=9))], lyrics=[LRC])
        path = world.song("alice", file.read_bytes(), "song.mp3")["audio_path"]
        made = create(world, "alice", "lyric-video", audio_path=path, slots={"artist": "Other"})
        assert made.json()["status"]["audio_loaded"]
        assert config_of(made)["duration"] == "audio"
        told = str(config_of(made))
        assert "Lied" in told
        assert "Other" in told
        assert "Ärzte" not in told
        mine = {each["name"]: each for each in world.call("alice", "GET", "/assets").json()}
        assert (mine["cover of Lied"]["kind"], mine["lyrics of Lied"]["kind"]) == ("image", "lyrics")
        assert mine["cover of Lied"]["facts"]["width"] == 64
        assert mine["cover of Lied"]["reference"] in told
        assert mine["lyrics of Lied"]["reference"] in told

    def test_song_without_tags_leaves_slots_empty(self, world: World) -> None:
        path = world.song("alice", song(level=77))["audio_path"]
        assert "title" not in layers_of(create(world, "alice", "cover-ring", audio_path=path))
        refused = create(world, "alice", "neon-title", audio_path=path)
        assert (refused.status_code, refused.json()["detail"]) == (400, "template 'neon-title' needs title; give it")

    @pytest.mark.parametrize(
        ("body", "line"),
        [
            ({"template": "nope"}, "template = 'nope': there is none; there are: album-motion, "),
            ({"template": "/etc/passwd.json"}, "template = '/etc/passwd.json': there is none; there are: "),
            ({"template": "vinyl", "particle_type": "zen"}, "give a particle_type or a template, not both"),
            ({}, "particle_type is missing; give one, or a template"),
            ({"particle_type": "zen", "slots": {"title": "x"}}, "slots: are for a template; give one"),
            (
                {"template": "cover-ring", "slots": {"label": "x"}},
                "template 'cover-ring' has no slot 'label'; it has: ",
            ),
            ({"template": "cover-ring", "slots": {"cover": "/etc/passwd"}}, "slots.cover = '/etc/passwd': is no upl"),
            ({"template": "cover-ring", "slots": {"cover": 3}}, "slots.cover = 3: is no uploaded image"),
            ({"template": "cover-ring", "slots": {"cover": NOBODYS}}, f"slots.cover = '{NOBODYS}': there is no such"),
            ({"template": "cover-ring", "slots": {"title": 3}}, "template 'cover-ring': title = 3: must be a text"),
            ({"template": "cover-ring", "slots": {"colors": "mud"}}, "template 'cover-ring': colors = 'mud': must be"),
            ({"template": "cover-ring", "slots": {"colors": "cover"}}, "template 'cover-ring': colors = \"cover\": th"),
            ({"template": "cover-ring", "slots": {"title": "\ue0ff"}}, "layer 'title': text: Montserrat has no "),
            ({"template": "vinyl", "config": {"colour": 1}}, "unknown setting 'colour'"),
            ({"template": "vinyl", "audio_path": "uploads/" + "0" * 64}, "audio_path 'uploads/"),
        ],
    )
    def test_what_is_wrong_is_named_in_one_line(self, world: World, body: dict[str, Any], line: str) -> None:
        refused = world.call("alice", "POST", "/create", json=body)
        assert refused.status_code == 400, refused.text
        assert refused.json()["detail"].startswith(line), refused.json()["detail"]
        assert refused.json()["detail"].isprintable()

    def test_asset_of_somebody_else_or_of_another_kind_is_refused(self, world: World) -> None:
        theirs = world.asset("bob", picture(level=21))["reference"]
        words = world.asset("alice", LRC.encode(), "a.lrc")["reference"]
        answers = [create(world, "alice", "cover-ring", slots={"cover": each}) for each in (theirs, words)]
        assert [each.status_code for each in answers] == [400, 400]
        assert "is of the kind lyrics; allowed: image" in answers[1].json()["detail"]
