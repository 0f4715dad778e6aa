"""What the commands do when all is well: help, JSON, precedence of settings, the same pixels for frame and video."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.conftest import CommandLine
from tests.media import SIZE, read_video, tone, write_song, write_tracks
from tests.services.cli.conftest import Run


class TestVersion:
    def test_lists_motes_and_its_relevant_dependencies(self, run: Run) -> None:
        outcome = run("--version")
        libraries = ", ".join(
            rf"{name} [\d.]+" for name in ("numpy", "numba", "scipy", "soxr", "av", "pillow", "uharfbuzz", "icu4py")
        )
        words = rf"motes [\d.]+ \(Python 3[\d.]+, {libraries}\)\n"
        assert outcome.code == 0
        assert re.fullmatch(words, outcome.stdout)


class TestHelp:
    def test_shows_the_commands_and_examples(self, run: Run) -> None:
        outcome = run("--help")
        assert outcome.code == 0
        assert "motes render song.mp3 --type enhanced -o video.mp4" in outcome.stdout
        assert all(command in outcome.stdout for command in ("render", "frame", "analyze", "types"))

    @pytest.mark.parametrize("command", ["render", "frame", "analyze", "lyrics", "types"])
    def test_of_each_command_shows_examples(self, run: Run, command: str) -> None:
        outcome = run(command, "--help")
        assert outcome.code == 0
        assert "examples:" in outcome.stdout
        assert outcome.stdout.count(f"motes {command}") >= 3

    def test_names_every_option(self, run: Run) -> None:
        text = run("render", "--help").stdout
        options = "--type --config --set --size --fps --duration --start --fade-in --fade-out --seed --workers"
        more = "--variant --quality --segment-seconds --frame-hashes --poster --json --debug -o"
        assert all(option in text for option in f"{options} {more}".split())

    def test_no_command_is_an_error(self, run: Run) -> None:
        outcome = run()
        assert outcome.code == 2
        assert "COMMAND" in outcome.error


@pytest.mark.parametrize("arguments", [["--help"], ["render", "--help"], ["types"], ["types", "--json"], ["layers"]])
def test_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import contextlib, sys\n"
        "from services.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(sys.argv[1:])\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    loaded = done.stderr
    assert "'services'" in loaded
    assert [name for name in ("librosa", "numba", "scipy", "av", "PIL") if f"'{name}'" in loaded] == []


class TestTypes:
    def test_lists_types_and_settings(self, run: Run) -> None:
        text = run("types").stdout
        assert "snow: " in text
        assert "enhanced: " in text
        assert "particle_count" in text

    def test_one_type(self, run: Run) -> None:
        text = run("types", "snow").stdout
        assert "snow: " in text
        assert "enhanced: " not in text
        assert "particles at the start (between 0 and 1000000)" in text

    def test_json(self, run: Run) -> None:
        kinds = {kind["type"]: kind for kind in json.loads(run("types", "--json").stdout)}
        assert {"snow", "enhanced"} <= set(kinds)
        assert kinds["snow"]["description"]
        assert kinds["snow"]["config_schema"]["properties"]["particle_count"]["maximum"] == 1_000_000

    def test_unknown_type_is_named(self, run: Run) -> None:
        outcome = run("types", "rain")
        assert outcome.code == 2
        assert outcome.error.startswith("Invalid particle type: rain. Available types: ['bouncing', ")


class TestLayers:
    def test_lists_kinds_and_what_all_have(self, run: Run) -> None:
        text = run("layers").stdout
        assert text.index("particles: ") < text.index("image: ") < text.index("all kinds but particles:")
        assert (text.count("\n  rotation "), text.count("\n  crop ")) == (1, 1)

    def test_one_kind_with_all_of_its_settings(self, run: Run) -> None:
        text = run("layers", "image").stdout
        assert text.startswith("image: a picture")
        assert "file                     needed" in text
        assert "\n  rotation " in text
        assert "a binding's target: opacity, rotation, scale, shadow, x, y" in text

    def test_json(self, run: Run) -> None:
        (kind,) = json.loads(run("layers", "image", "--json").stdout)
        assert kind["config_schema"]["properties"]["corner"]["maximum"] == 0.5
        assert "shadow" in kind["bindable"]["targets"]

    def test_unknown_kind_is_named(self, run: Run) -> None:
        outcome = run("layers", "hologram")
        assert outcome.code == 2
        assert outcome.error.startswith("kind = 'hologram': no such kind of layer; there are: ")


class TestRender:
    def test_json_is_all_of_standard_output(self, motes: CommandLine, tmp_path: Path) -> None:
        done = motes("render", "--type", "snow", *SIZE, "--duration", "1", "-o", tmp_path / "out.mp4", "--json")
        assert done.returncode == 0
        assert done.stderr == ""
        facts = json.loads(done.stdout)
        assert {name: facts[name] for name in ("output", "frames", "duration", "fps", "width", "height")} == {
            "output": str(tmp_path / "out.mp4"),
            "frames": 30,
            "duration": 1.0,
            "fps": "30",
            "width": 320,
            "height": 180,
        }
        assert facts["seconds"]["total"] > 0

    def test_prints_a_summary(self, run: Run, tmp_path: Path) -> None:
        outcome = run(
            "render", "--type", "snow", *SIZE, "--workers", "1", "--duration", "0.5", "-o", tmp_path / "out.mp4"
        )
        assert outcome.code == 0
        assert f"{tmp_path / 'out.mp4'}: 15 frames, 0.50 s, 320x180" in outcome.stdout
        assert outcome.stderr == ""

    def test_length_of_the_song_is_the_default(self, run: Run, tmp_path: Path) -> None:
        song = write_song(tmp_path / "song.wav", tone(0.7))
        run("render", song, "--type", "snow", *SIZE, "-o", tmp_path / "out.mp4")
        assert len(read_video(tmp_path / "out.mp4").pts) == 21

    def test_duration_in_the_config_file_stands(self, run: Run, tmp_path: Path) -> None:
        song = write_song(tmp_path / "song.wav", tone(0.7))
        (tmp_path / "config.json").write_text('{"duration": 0.4}')
        run("render", song, "--type", "snow", *SIZE, "--config", tmp_path / "config.json", "-o", tmp_path / "out.mp4")
        assert len(read_video(tmp_path / "out.mp4").pts) == 12

    def test_overwrites_an_earlier_video(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "out.mp4").write_text("an earlier video")
        assert run("render", *SIZE, "--workers", "1", "--duration", "0.2", "-o", tmp_path / "out.mp4").code == 0
        assert len(read_video(tmp_path / "out.mp4").pts) == 6

    def test_variants_lie_beside_the_video(self, run: Run, tmp_path: Path) -> None:
        outcome = run(
            *("render", "--type", "snow", *SIZE, "--workers", "1", "--duration", "0.5", "-o", tmp_path / "out.mp4"),
            *("--variant", "90x160", "--variant", "80x80:webm", "--frame-hashes", tmp_path / "hashes.json"),
        )
        assert outcome.code == 0
        files = ("out.mp4", "out-90x160.mp4", "out-80x80.webm")
        sizes = ("320x180", "90x160", "80x80")
        lines = outcome.stdout.splitlines()
        assert [line.split(", ")[:3] for line in lines] == [
            [f"{tmp_path / file}: 15 frames", "0.50 s", size] for file, size in zip(files, sizes, strict=True)
        ]
        assert (read_video(tmp_path / "out-90x160.mp4").width, len(read_video(tmp_path / files[2]).pts)) == (90, 15)
        hashes = json.loads((tmp_path / "hashes.json").read_text())
        assert {name: len(each) for name, each in hashes["outputs"].items()} == {"90x160": 15, "80x80-webm": 15}

    def test_json_has_the_variants_after_those_of_the_config(self, run: Run, tmp_path: Path) -> None:
        outcome = run(
            *("render", "--type", "snow", *SIZE, "--workers", "1", "--duration", "0.2", "-o", tmp_path / "out.mp4"),
            *("--set", 'variants=[{"name": "tall", "size": "90x160"}]', "--variant", "80x80", "--json"),
        )
        outputs = json.loads(outcome.stdout)["outputs"]
        assert {name: each["output"] for name, each in outputs.items()} == {
            "tall": str(tmp_path / "out-tall.mp4"),
            "80x80": str(tmp_path / "out-80x80.mp4"),
        }

    def test_odd_names(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # A colon, a percent sign and a dash in front all mean something to FFmpeg or to argparse.
        monkeypatch.chdir(tmp_path)
        song = write_song(tmp_path / "12:30 %03d ö.wav", tone(0.3))
        assert run("render", song.name, *SIZE, "-o", "ö 12:30 %d.mp4").code == 0
        assert run("frame", song.name, *SIZE, "-o", "ö 12:30 %d.png").code == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "12:30 %03d ö.wav",
            "ö 12:30 %d.mp4",
            "ö 12:30 %d.png",
        ]


@pytest.fixture(scope="module")
def frames(demo_song: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("hashes")
    done = CommandLine()(
        *("render", demo_song, *SIZE, "--duration", "2", "--fps", "30000/1001"),
        *("-o", folder / "out.mp4", "--frame-hashes", folder / "hashes.json"),
    )
    assert done.returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == ["hashes.json", "out.mp4"]
    hashes: list[str] = json.loads((folder / "hashes.json").read_text())["frames"]
    return hashes


class TestFrame:
    AT = ("0", "0.5", "0.733", "1.1", "1.96")

    def test_hashes_are_of_every_frame(self, frames: list[str]) -> None:
        assert len(frames) == 60
        assert all(len(digest) == 64 for digest in frames)

    @pytest.mark.parametrize("at", AT)
    def test_is_the_one_in_the_video(
        self, run: Run, demo_song: Path, tmp_path: Path, frames: list[str], at: str
    ) -> None:
        scene = ("frame", demo_song, *SIZE, "--duration", "2", "--fps", "30000/1001")
        outcome = run(*scene, "--at", at, "-o", tmp_path / "frame.png", "--json")
        assert outcome.code == 0
        shown = int(float(at) * 30000 / 1001)
        assert json.loads(outcome.stdout)["sha256"] == frames[shown]
        assert outcome.stderr == ""

    def test_png_has_the_size(self, run: Run, tmp_path: Path) -> None:
        outcome = run("frame", "--type", "snow", *SIZE, "-o", tmp_path / "frame.png")
        assert outcome.stdout == f"{tmp_path / 'frame.png'}\n"
        with av.open(str(tmp_path / "frame.png")) as container:
            picture = next(container.decode(video=0))
        assert (picture.width, picture.height, picture.format.name) == (320, 180, "rgb24")
        assert [path.name for path in tmp_path.iterdir()] == ["frame.png"]

    @pytest.mark.parametrize(("at", "frame"), [("4.1", 123), ("8.2", 246), ("4.0999", 122), ("4.1333333333", 124)])
    def test_time_is_exact(self, run: Run, tmp_path: Path, at: str, frame: int) -> None:
        # 4.1 × 30 is a little less than 123 in binary.
        command = ("frame", "--type", "snow", *SIZE, "--json", "-o", tmp_path / "frame.png")
        shown = json.loads(run(*command, "--at", at).stdout)["sha256"]
        middle = json.loads(run(*command, "--at", f"{(frame + 0.5) / 30:.6f}").stdout)["sha256"]
        assert shown == middle


class TestPoster:
    def test_is_written_beside_the_video(self, run: Run, tmp_path: Path) -> None:
        scene = ("render", "--type", "snow", *SIZE, "--duration", "0.5", "--set", "poster=0.2")
        outcome = run(*scene, "-o", tmp_path / "out.mp4", "--poster", tmp_path / "poster.png")
        assert outcome.code == 0, outcome.stderr
        with av.open(str(tmp_path / "poster.png")) as container:
            picture = next(container.decode(video=0))
        assert (picture.width, picture.height, picture.format.name) == (320, 180, "rgb24")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "poster.png"]

    def test_frame_at_0_is_that_of_the_poster_with_poster_frame(self, run: Run, tmp_path: Path) -> None:
        command = ("frame", "--type", "snow", *SIZE, "--set", "poster=2", "--json", "-o", tmp_path / "frame.png")
        opening = json.loads(run(*command, "--set", "poster_frame=true").stdout)["sha256"]
        assert opening == json.loads(run(*command, "--at", "2").stdout)["sha256"]
        assert opening != json.loads(run(*command).stdout)["sha256"]


class TestSettings:
    """Precedence of settings, observed in the picture."""

    @staticmethod
    def digest(run: Run, folder: Path, *arguments: str | Path) -> str:
        outcome = run("frame", "--size", "64x64", "--at", "0.5", "-o", folder / "frame.png", "--json", *arguments)
        assert outcome.code == 0, outcome.stderr
        return str(json.loads(outcome.stdout)["sha256"])

    def test_config_file_counts(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text('{"particle_count": 7, "enhanced_mode": {"factor": 3}}')
        from_file = self.digest(run, tmp_path, "--config", tmp_path / "config.json")
        assert from_file == self.digest(run, tmp_path, "--set", "particle_count=7")
        assert from_file != self.digest(run, tmp_path)

    def test_set_wins_over_the_config_file(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text('{"particle_count": 7, "seed": 5}')
        both = self.digest(run, tmp_path, "--config", tmp_path / "config.json", "--set", "particle_count=20")
        assert both == self.digest(run, tmp_path, "--set", "particle_count=20", "--set", "seed=5")

    def test_named_options_win_over_set(self, run: Run, tmp_path: Path) -> None:
        both = self.digest(run, tmp_path, "--set", "seed=5", "--seed", "6")
        assert both == self.digest(run, tmp_path, "--seed", "6") != self.digest(run, tmp_path, "--seed", "5")

    def test_last_set_wins(self, run: Run, tmp_path: Path) -> None:
        both = self.digest(run, tmp_path, "--set", "seed=5", "--set", "seed=6")
        assert both == self.digest(run, tmp_path, "--seed", "6")

    def test_nested_key_reaches_the_setting(self, run: Run, tmp_path: Path, demo_song: Path) -> None:
        loud = ("--type", "enhanced", "--set", "enhanced_mode.threshold=0", demo_song)
        assert self.digest(run, tmp_path, *loud, "--set", "enhanced_mode.factor=8") != self.digest(
            run, tmp_path, *loud, "--set", "enhanced_mode.factor=0"
        )

    def test_nested_key_keeps_its_neighbours(self, run: Run, tmp_path: Path) -> None:
        from services.cli.main import build_parser
        from services.cli.scene_arguments import scene_from

        (tmp_path / "config.json").write_text('{"enhanced_mode": {"threshold": 0.1}}')
        command = ["frame", "--config", str(tmp_path / "config.json"), "--set", "enhanced_mode.factor=3", "-o", "x.png"]
        config = scene_from(build_parser().parse_args(command)).config
        assert config["enhanced_mode"] == {"threshold": 0.1, "factor": 3}


class TestAnalyze:
    def test_writes_a_document(self, run: Run, tmp_path: Path, demo_song: Path) -> None:
        assert run("analyze", demo_song, "-o", tmp_path / "features.json").code == 0
        heard = json.loads((tmp_path / "features.json").read_text())
        assert heard["schema"] == "motes-analysis"
        assert heard["duration"] == 6
        assert heard["fps"] == 30
        assert {len(values) for values in heard["features"].values()} == {180}
        assert {"sub", "bass", "beat_phase", "onset"} <= set(heard["features"])
        assert heard["onsets"] == pytest.approx(heard["events"]["onsets"]["times"], abs=2e-6)
        assert heard["beats"] == pytest.approx(heard["events"]["beats"]["times"], abs=2e-6)
        assert heard["tempo"] == pytest.approx(120, rel=0.02)
        assert {"bass", "rms", "chroma"} <= set(heard["curves"])
        assert heard["events"]["onsets"]["times"]
        assert heard["events"]["beats"]["times"]

    def test_draws_it(self, run: Run, tmp_path: Path, demo_song: Path) -> None:
        picture = tmp_path / "analysis.png"
        assert run("analyze", demo_song, "-o", tmp_path / "features.npz", "--plot", picture).code == 0
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(picture.read_bytes()[16:20], "big") == 2000
        assert sorted(path.name for path in tmp_path.iterdir()) == ["analysis.png", "features.npz"]

    def test_track_is_the_chosen_one(self, run: Run, tmp_path: Path) -> None:
        song = write_tracks(tmp_path / "song.mka", tone(0.5), tone(1.0))
        lengths = [
            json.loads(run("analyze", song, *options).stdout)["duration"]
            for options in ([], ["--track", "0"], ["--track", "1"])
        ]
        assert lengths == [0.5, 0.5, 1.0]
        render = ("render", song, *SIZE, "--track", "1", "--json", "-o", tmp_path / "out.mp4")
        assert json.loads(run(*render).stdout)["frames"] == 30
        outcome = run("analyze", song, "--track", "2")
        assert outcome.code == 2
        assert "track 2" in outcome.error

    def test_follows_the_given_tempo(self, run: Run, demo_song: Path) -> None:
        outcome = run("analyze", demo_song, "--bpm", "60", "--beat-offset", "0.5")
        beats = json.loads(outcome.stdout)["events"]["beats"]["times"]
        assert beats == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5, 5.5])

    def test_bad_tempo_is_named(self, run: Run, demo_song: Path) -> None:
        outcome = run("analyze", demo_song, "--bpm", "0")
        assert outcome.code == 2
        assert "bpm = 0" in outcome.error

    def test_corrected_document_is_rendered(self, run: Run, tmp_path: Path, demo_song: Path) -> None:
        said = {"schema": "motes-analysis", "version": 1, "duration": 6, "events": {"kicks": {"times": [0.5]}}}
        (tmp_path / "said.json").write_text(json.dumps(said))
        light = 'bindings=[{"source": "kick", "target": "light", "gain": 20}]'
        frame = ["frame", demo_song, "--type", "zen", "--size", "64x64", "--at", "0.5", "--set", light]
        hashes = []
        for more in ([], ["--analysis", tmp_path / "said.json"]):
            assert run(*frame, *more, "-o", tmp_path / "frame.png").code == 0
            hashes.append((tmp_path / "frame.png").read_bytes())
        assert hashes[0] != hashes[1]

    def test_corrected_document_is_drawn_and_completed(self, run: Run, tmp_path: Path, demo_song: Path) -> None:
        said = {"schema": "motes-analysis", "version": 1, "duration": 6, "events": {"kicks": {"times": [0.5]}}}
        (tmp_path / "said.json").write_text(json.dumps(said))
        whole, picture = tmp_path / "whole.json", tmp_path / "it.png"
        arguments = ["--analysis", tmp_path / "said.json", "-o", whole, "--plot", picture]
        assert run("analyze", demo_song, *arguments).code == 0
        assert json.loads(whole.read_text())["events"]["kicks"] == {"times": [0.5]}
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        outcome = run("analyze", demo_song, "--analysis", whole, "--bpm", "60")
        assert outcome.code == 2
        assert f"bpm = 60.0: {whole} has all its beats and bars" in outcome.error

    def test_another_kind_of_picture_is_refused_before_any_work(self, run: Run, tmp_path: Path) -> None:
        outcome = run("analyze", tmp_path / "nothing.mp3", "--plot", tmp_path / "it.jpg")
        assert "it.jpg: must end in .png" in outcome.error
        assert outcome.code > 0

    def test_document_of_another_song_is_refused(self, run: Run, tmp_path: Path, demo_song: Path) -> None:
        said = {"schema": "motes-analysis", "version": 1, "duration": 7}
        (tmp_path / "said.json").write_text(json.dumps(said))
        arguments = ["--size", "64x64", "--at", "0", "--analysis", tmp_path / "said.json", "-o", tmp_path / "x.png"]
        outcome = run("frame", demo_song, *arguments)
        assert outcome.code == 2
        assert "another song" in outcome.error

    def test_prints_without_output(self, run: Run, demo_song: Path) -> None:
        outcome = run("analyze", demo_song, "--fps", "24000/1001")
        assert len(json.loads(outcome.stdout)["features"]["bass"]) == 144
        assert outcome.stderr == ""

    def test_bad_rate_is_named(self, run: Run, demo_song: Path) -> None:
        outcome = run("analyze", demo_song, "--fps", "abc")
        assert outcome.code == 2
        assert "--fps abc" in outcome.error
