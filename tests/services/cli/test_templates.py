"""Templates on the command line: listed, filled by options and by the song's tags, for one song or many."""

from __future__ import annotations

import io
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecs_core.errors import SceneError
from services.cli.main import build_parser
from services.cli.scene_arguments import scene_from
from tests.media import SIZE, read_video, tagged_mp3, tone, write_song
from tests.services.cli.conftest import Run

MINE: dict[str, Any] = {
    "version": 1,
    "name": "mine",
    "description": "snow for tests",
    "type": "snow",
    "slots": {
        "cover": {"kind": "image"},
        "title": {"kind": "text", "required": True},
        "album": {"kind": "text"},
        "colors": {"kind": "colors", "default": "ice"},
    },
    "config": {
        "particle_count": 40,
        "particle_colors": "$colors",
        "layers": [
            {"kind": "image", "file": "$cover"},
            {"kind": "text", "text": "$title"},
            {"kind": "text", "text": "$album"},
        ],
    },
}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.json").write_text(json.dumps(MINE))
    return tmp_path / "mine.json"


def plain(mine: Path) -> Path:
    """The template without layers, which any song can be rendered with."""
    slots = {"title": {"kind": "text"}, "colors": {"kind": "colors", "default": "ice"}}
    config = {"particle_count": 40, "particle_colors": "$colors"}
    mine.write_text(json.dumps(MINE | {"slots": slots, "config": config}))
    return mine


def png(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), colour, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def arguments(*words: str | Path) -> Namespace:
    return build_parser().parse_args([*map(str, words), "-o", "x.png"])


def config(folder: Path | None, *words: str | Path) -> dict[str, Any]:
    return dict(scene_from(arguments("frame", *words), folder).config)


class TestTemplates:
    def test_are_listed_with_their_slots(self, run: Run) -> None:
        outcome = run("templates")
        assert outcome.code == 0
        assert "cover-ring: " in outcome.stdout
        assert "title" in outcome.stdout

    def test_can_be_printed_to_copy_them(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "copy.json").write_text(run("templates", "cover-ring", "--json").stdout)
        assert run("templates", tmp_path / "copy.json").stdout == run("templates", "cover-ring").stdout

    def test_are_listed_as_json(self, run: Run) -> None:
        assert {"cover-ring"} <= {each["name"] for each in json.loads(run("templates", "--json").stdout)}

    def test_of_unknown_names_are_an_error(self, run: Run) -> None:
        assert run("templates", "nothing").error.startswith("template 'nothing': there is none; there are: ")


class TestSlots:
    def test_are_filled_by_options(self, mine: Path, tmp_path: Path) -> None:
        (tmp_path / "c.png").write_bytes(png((200, 40, 40)))
        options = ("--title", "Low Sun", "--cover", tmp_path / "c.png", "--slot", "album=Nocturnes")
        made = config(None, "--template", mine, *options)
        assert [each.get("text", each.get("file")) for each in made["layers"]] == [
            str(tmp_path / "c.png"),
            "Low Sun",
            "Nocturnes",
        ]
        red, green, blue = made["particle_colors"][0]
        assert red > green
        assert red > blue

    def test_are_filled_by_the_songs_tags_unless_given(self, mine: Path, tmp_path: Path) -> None:
        tags = {"TIT2": "Tagged", "TALB": "An Album"}
        song = tagged_mp3(tmp_path / "song.mp3", tags, [(3, png((40, 200, 40)))])
        made = config(tmp_path, song, "--template", mine, "--title", "Given")
        image, title, album = made["layers"]
        assert Path(image["file"]).read_bytes() == png((40, 200, 40))
        assert (title["text"], album["text"]) == ("Given", "An Album")
        assert made["particle_colors"][0][1] == max(made["particle_colors"][0])

    def test_that_are_needed_and_empty_are_named(self, mine: Path, tmp_path: Path) -> None:
        song = write_song(tmp_path / "song.wav", tone(0.3))
        with pytest.raises(SceneError, match="template 'mine' needs title; give it"):
            config(tmp_path, song, "--template", mine)

    def test_hold_colours(self, mine: Path) -> None:
        options = ("--template", mine, "--title", "x")
        assert config(None, *options, "--slot", "colors=[[1, 2, 3]]")["particle_colors"] == [[1, 2, 3]]
        assert len(config(None, *options, "--slot", "colors=gold")["particle_colors"]) == 4

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--logo", "l.png"), "template 'mine' has no slot 'logo'; it has: cover, title, album, colors"),
            (("--slot", "album"), "--slot album: must be NAME=VALUE"),
            (("--slot", "title=y"), "--slot title=y: title is given twice"),
            (("--type", "zen"), "--type zen: a template has a type of its own"),
            (("--preset", "p"), "--preset p: a template has a type of its own"),
            (("--cover", "none.png"), "cover = 'none.png': .*No such file"),
        ],
    )
    def test_that_are_wrong_are_refused(self, mine: Path, options: tuple[str, ...], message: str) -> None:
        with pytest.raises(SceneError, match=message):
            config(None, "--template", mine, "--title", "x", *options)

    def test_are_of_templates_alone(self) -> None:
        with pytest.raises(SceneError, match="--title: is for a template"):
            config(None, "--title", "x")
        with pytest.raises(SceneError, match="--cover: nothing shows it"):
            config(None, "--cover", "c.png")

    def test_settings_are_over_those_of_the_template(self, mine: Path) -> None:
        made = config(None, "--template", mine, "--title", "x", "--set", "particle_count=7")
        assert made["particle_count"] == 7


class TestPaletteOfACover:
    def test_is_taken_from_the_cover_that_is_given(self, tmp_path: Path) -> None:
        (tmp_path / "c.png").write_bytes(png((40, 40, 220)))
        colours = config(None, "--type", "snow", "--cover", tmp_path / "c.png", "--set", "particle_colors=cover")
        assert colours["particle_colors"][0][2] == max(colours["particle_colors"][0])

    def test_is_taken_from_the_song(self, tmp_path: Path) -> None:
        song = tagged_mp3(tmp_path / "song.mp3", {}, [(3, png((220, 40, 40)))])
        made = config(tmp_path, song, "--type", "snow", "--set", "particle_colors=cover")
        assert made["particle_colors"][0][0] == max(made["particle_colors"][0])

    def test_without_a_cover_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SceneError, match="there is no cover; give --cover, or a song that has one"):
            config(tmp_path, "--set", "particle_colors=cover")


class TestPlatform:
    def test_gives_size_and_length(self, tmp_path: Path) -> None:
        song = write_song(tmp_path / "song.wav", tone(0.3))
        made = scene_from(arguments("frame", song, "--platform", "canvas")).resolve()[1]
        assert (made.width, made.height, made.duration) == (1080, 1920, 8)
        assert scene_from(arguments("frame", song, "--platform", "reels")).config["duration"] == "audio"

    def test_that_has_no_sound_gives_a_video_without(self, run: Run, tmp_path: Path) -> None:
        song = write_song(tmp_path / "song.wav", tone(4))
        options = ("--type", "snow", "--platform", "canvas", "--size", "90x160", "--duration", "3", "--workers", "1")
        assert run("render", song, *options, "-o", tmp_path / "loop.mp4").code == 0
        assert read_video(tmp_path / "loop.mp4").codecs == ("h264",)

    def test_takes_other_sizes_of_its_shape(self) -> None:
        made = scene_from(arguments("frame", "--platform", "tiktok", "--size", "270x480")).resolve()[1]
        assert (made.width, made.height, made.safe_area) == (270, 480, "tiktok")


class TestManySongs:
    def test_are_rendered_into_a_folder(self, run: Run, mine: Path, tmp_path: Path) -> None:
        songs = [write_song(tmp_path / f"{name}.wav", tone(0.4)) for name in ("one", "two")]
        options = ("--template", plain(mine), "--size", "64x64", "--workers", "1")
        outcome = run("render", *songs, *options, "-o", tmp_path / "videos")
        assert outcome.code == 0, outcome.stderr
        assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == ["one.mp4", "two.mp4"]
        assert len(read_video(tmp_path / "videos/two.mp4").pts) == 12
        assert outcome.stdout.count(": 12 frames, ") == 2

    def test_that_fail_do_not_stop_the_others(self, run: Run, tmp_path: Path) -> None:
        songs = [tmp_path / "a.wav", write_song(tmp_path / "b.wav", tone(0.4))]
        options = ("--type", "snow", *SIZE, "--workers", "1", "--json")
        outcome = run("render", *songs, *options, "-o", f"{tmp_path / 'videos'}/")
        assert outcome.code == 2
        first, last = outcome.stderr.splitlines()
        assert first == f"motes: error: {songs[0]}: no such file"
        assert last.startswith(f"motes: error: 1 of 2 songs failed: {songs[0]}; the others are in ")
        assert json.loads(outcome.stdout)["output"] == str(tmp_path / "videos/b.mp4")

    def test_one_song_goes_into_a_folder_that_is_named_as_one(self, run: Run, tmp_path: Path) -> None:
        song = write_song(tmp_path / "one.wav", tone(0.4))
        (tmp_path / "videos").mkdir()
        options = ("--type", "snow", *SIZE, "--workers", "1", "--format", "webm")
        assert run("render", song, *options, "-o", tmp_path / "videos").code == 0
        assert [path.name for path in (tmp_path / "videos").iterdir()] == ["one.webm"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--poster", "p.png"), "--poster p.png: is of one song; there are 2"),
            (("--frame-hashes", "h.json"), "--frame-hashes h.json: is of one song; there are 2"),
        ],
    )
    def test_have_no_files_of_one_song(self, run: Run, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
        assert run("render", "a.wav", "b.wav", *options, "-o", tmp_path / "v").error == message

    def test_of_the_same_name_are_refused_before_any_work(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "v").mkdir()
        outcome = run("render", "x/a.wav", "y/a.mp3", "-o", tmp_path / "v")
        assert (
            outcome.error == f"x/a.wav and y/a.mp3 would both be {tmp_path / 'v/a.mp4'}; render them into two folders"
        )
        assert list((tmp_path / "v").iterdir()) == []

    def test_need_a_folder(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "v.mp4").write_bytes(b"")
        assert run("render", "a.wav", "b.wav", "-o", tmp_path / "v.mp4").error.startswith(
            f"--output {tmp_path / 'v.mp4'}: must be a folder for 2 songs: "
        )
