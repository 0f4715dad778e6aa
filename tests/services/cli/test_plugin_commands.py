"""``motes plugin``: what is written is whole and works; what is wrong is told in a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from tests.services.cli.conftest import Run
from tests.waiting import HANG

MOTES = (sys.executable, "-m", "services.cli.main")


class TestList:
    def test_names_every_plugin_with_its_distribution(self, run: Run) -> None:
        outcome = run("plugin", "list", "--json")
        plugins = {plugin["name"]: plugin for plugin in json.loads(outcome.stdout)}
        assert plugins["spawning"]["types"] == ["continuous_spawning"]
        assert plugins["spawning"]["distribution"] == "motes"
        assert plugins["spawning"]["failure"] is None

    def test_explains_why_a_plugin_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text('[project.entry-points.motes]\nrain = "motes_test_rain"\n')
        (tmp_path / "motes_test_rain.py").write_text("raise ValueError('not today')")
        environment = {**os.environ, "MOTES_PLUGIN_PATH": str(tmp_path)}
        done = subprocess.run((*MOTES, "plugin", "list"), env=environment, capture_output=True, text=True, check=True)
        assert "left out: ValueError: not today" in done.stdout

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            (None, "pyproject.toml: No such file or directory"),
            ("[project", "pyproject.toml: Expected ']'"),
            ("project = 3", "pyproject.toml: declares no plugin"),
            ("[project]\nname = 'rain'", "pyproject.toml: declares no plugin"),
            ("[project.entry-points]\nmotes = ['rain']", "pyproject.toml: declares no plugin"),
            ("[project.entry-points.motes]\nrain = 'a b!'", "'a b!' does not name a module"),
        ],
    )
    def test_explains_why_a_folder_has_no_plugin(self, tmp_path: Path, written: str | None, said: str) -> None:
        if written is not None:
            (tmp_path / "pyproject.toml").write_text(written)
        environment = {**os.environ, "MOTES_PLUGIN_PATH": str(tmp_path)}
        done = subprocess.run((*MOTES, "plugin", "list"), env=environment, capture_output=True, text=True, check=True)
        assert f"left out: PluginError: {said}".replace("pyproject.toml", f"{tmp_path}/pyproject.toml") in done.stdout
        assert "continuous_spawning" in done.stdout

    def test_loads_nothing_heavy(self) -> None:
        code = (
            "import sys; from services.cli.main import main; main(['plugin', 'list']); "
            "sys.exit(str(sorted({'numba', 'scipy', 'librosa', 'av', 'watchfiles'} & set(sys.modules))))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.stderr.strip() == "[]"


class TestNew:
    @pytest.mark.parametrize("name", ["9lives", "motes-", "my type", "Größe", "a" * 60, "rain_", "r--ain"])
    def test_invalid_name_is_refused(self, run: Run, tmp_path: Path, name: str) -> None:
        outcome = run("plugin", "new", str(tmp_path / name))
        assert outcome.code == 2
        assert "a plugin's name must be of letters" in outcome.error
        assert list(tmp_path.iterdir()) == []

    def test_existing_type_name_is_refused(self, run: Run, tmp_path: Path) -> None:
        outcome = run("plugin", "new", str(tmp_path / "snow"))
        assert outcome.code == 2
        assert "'snow': there is a particle type of this name already" in outcome.error

    def test_name_of_another_plugin_is_refused(self, run: Run, tmp_path: Path) -> None:
        outcome = run("plugin", "new", str(tmp_path / "spawning"))  # brings the type continuous_spawning
        assert outcome.code == 2
        assert "'spawning': there is a plugin of this name already" in outcome.error

    def test_interrupted_writing_leaves_nothing(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(self: Path, *_: object, **__: object) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(Path, "write_text", interrupted)
        assert run("plugin", "new", str(tmp_path / "rain")).code == 130
        assert list(tmp_path.iterdir()) == []

    def test_non_empty_folder_is_left_alone(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "rain").mkdir()
        (tmp_path / "rain" / "mine.txt").write_text("mine")
        outcome = run("plugin", "new", str(tmp_path / "rain"))
        assert outcome.code == 2
        assert "exists and is not an empty folder" in outcome.error
        assert [path.name for path in (tmp_path / "rain").iterdir()] == ["mine.txt"]

    def test_missing_parent_folder_is_refused(self, run: Run, tmp_path: Path) -> None:
        outcome = run("plugin", "new", str(tmp_path / "nowhere" / "rain"))
        assert outcome.code == 2
        assert "No such file or directory" in outcome.error

    def test_generated_code_is_clean(self, run: Run, tmp_path: Path) -> None:
        assert run("plugin", "new", str(tmp_path / "motes-my-rain")).code == 0
        folder = tmp_path / "motes-my-rain"
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        assert files == [
            ".github/workflows/test.yml",
            ".gitignore",
            "README.md",
            "motes_my_rain.py",
            "pyproject.toml",
            "test_my_rain.py",
        ]
        assert not any("$" in (folder / file).read_text() for file in files)
        ruff = (sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "120", str(folder))
        assert subprocess.run(ruff, cwd=folder, capture_output=True, check=False).returncode == 0


class TestDev:
    def test_folder_without_a_plugin_is_refused(self, run: Run, tmp_path: Path) -> None:
        assert "pyproject.toml: No such file" in run("plugin", "dev", str(tmp_path), "--once").error
        (tmp_path / "pyproject.toml").write_text("[project]\n")
        assert "declares no plugin" in run("plugin", "dev", str(tmp_path), "--once").error

    def test_mistake_in_a_plugin_is_one_line(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "rain"
        assert run("plugin", "new", str(folder)).code == 0
        assert "no type snow" in run("plugin", "dev", str(folder), "--once", "--type", "snow").error
        assert "nowhere.wav: no such file" in run("plugin", "dev", str(folder), "--once", "--song", "nowhere.wav").error
        (folder / "motes_rain.py").write_text("print('here')\nraise ValueError('a mistake')")
        outcome = run("plugin", "dev", str(folder), "--once")
        assert outcome.code == 2
        assert outcome.error == "rain: ValueError: a mistake"

    def test_settings_override_the_quick_defaults(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "rain"
        assert run("plugin", "new", str(folder)).code == 0
        sets = ("--set", "width=160", "--set", "height=90", "--set", "duration=0.2")
        run("plugin", "dev", str(folder), "--once", *sets)
        with av.open(str(folder / "preview.mp4")) as video:
            stream = video.streams.video[0]
            assert (stream.width, stream.height, stream.frames) == (160, 90, 6)

    def test_plugin_without_a_type_gets_a_hint(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "rain"
        assert run("plugin", "new", str(folder)).code == 0
        module = folder / "motes_rain.py"
        module.write_text(module.read_text().replace("    register(RAIN)", "    return None"))
        outcome = run("plugin", "dev", str(folder), "--once")
        assert outcome.error == "the plugin has no particle type: its motes_particle_types registers none"

    def test_renders_again_only_when_a_file_is_saved(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "rain"
        assert run("plugin", "new", str(folder)).code == 0
        module, log = folder / "motes_rain.py", tmp_path / "log"
        with log.open("w") as file:
            command = (*MOTES, "plugin", "dev", "rain", "--seconds", "0.5")  # a path as people write it
            environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
            process = subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=file, stderr=file, start_new_session=True
            )

        def save(text: str) -> None:
            """At once, so that nobody sees a half of it."""
            (folder / ".new").write_text(text)
            (folder / ".new").rename(module)

        def told(what: str, times: int = 1) -> None:
            _until(lambda: log.read_text().count(what) == times, log, process)

        try:
            told("watching rain")
            told(": 15 frames,")
            source = module.read_text()
            save(source + "\nraise ValueError('a mistake')\n")
            told("motes: error: rain: ValueError: a mistake\n")
            (folder / "pyproject.toml").rename(tmp_path / "aside")
            told("pyproject.toml: No such file or directory\n")
            (tmp_path / "aside").rename(folder / "pyproject.toml")
            told("motes: error: rain: ValueError: a mistake\n", times=2)
            save(source)
            told(": 15 frames,", times=2)
            save(source + "\nraise ValueError('a mistake')\n")
            told("motes: error: rain: ValueError: a mistake\n", times=3)
            told(": 15 frames,", times=2)  # a render noticed what was saved, and never the files it wrote itself
            process.send_signal(signal.SIGINT)
            assert process.wait(HANG) == 130
            assert "Traceback" not in log.read_text()
        finally:
            process.kill()
            process.wait()


def _until(what: object, log: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + HANG
    while not what():
        assert time.monotonic() < end, log.read_text()
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
