"""``motes plugin``: what is written is whole and works; what is wrong is told in a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services.cli.conftest import Run

MOTES = (sys.executable, "-m", "services.cli.main")


class TestList:
    def test_names_every_plugin_with_its_distribution(self, run: Run) -> None:
        outcome = run("plugin", "list", "--json")
        plugins = {plugin["name"]: plugin for plugin in json.loads(outcome.stdout)}
        assert plugins["spawning"]["types"] == ["continuous_spawning"]
        assert plugins["spawning"]["distribution"] == "motes"
        assert plugins["spawning"]["failure"] is None

    def test_says_why_one_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text('[project.entry-points.motes]\nrain = "motes_test_rain"\n')
        (tmp_path / "motes_test_rain.py").write_text("raise ValueError('not today')")
        environment = {**os.environ, "MOTES_PLUGIN_PATH": str(tmp_path)}
        done = subprocess.run((*MOTES, "plugin", "list"), env=environment, capture_output=True, text=True, check=True)
        assert "left out: ValueError: not today" in done.stdout

    def test_loads_nothing_heavy(self) -> None:
        code = (
            "import sys; from services.cli.main import main; main(['plugin', 'list']); "
            "sys.exit(str(sorted({'numba', 'scipy', 'librosa', 'av', 'watchfiles'} & set(sys.modules))))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.stderr.strip() == "[]"


class TestNew:
    @pytest.mark.parametrize("name", ["9lives", "motes-", "my type", "Größe", "a" * 60])
    def test_name_that_is_none_is_refused(self, run: Run, tmp_path: Path, name: str) -> None:
        outcome = run("plugin", "new", str(tmp_path / name))
        assert outcome.code == 2
        assert "a plugin's name must be of letters" in outcome.error
        assert list(tmp_path.iterdir()) == []

    def test_name_that_is_taken_is_refused(self, run: Run, tmp_path: Path) -> None:
        outcome = run("plugin", "new", str(tmp_path / "snow"))
        assert outcome.code == 2
        assert "'snow': there is a particle type of this name already" in outcome.error

    def test_folder_that_holds_something_stays_as_it_is(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "rain").mkdir()
        (tmp_path / "rain" / "mine.txt").write_text("mine")
        outcome = run("plugin", "new", str(tmp_path / "rain"))
        assert outcome.code == 2
        assert "exists and is not an empty folder" in outcome.error
        assert [path.name for path in (tmp_path / "rain").iterdir()] == ["mine.txt"]

    def test_folder_in_no_folder_is_refused(self, run: Run, tmp_path: Path) -> None:
        outcome = run("plugin", "new", str(tmp_path / "nowhere" / "rain"))
        assert outcome.code == 2
        assert "No such file or directory" in outcome.error

    def test_what_is_written_is_clean(self, run: Run, tmp_path: Path) -> None:
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

    def test_renders_again_when_a_file_is_saved_and_survives_mistakes(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "rain"
        assert run("plugin", "new", str(folder)).code == 0
        module, preview, log = folder / "motes_rain.py", folder / "preview.mp4", tmp_path / "log"
        with log.open("w") as file:
            command = (*MOTES, "plugin", "dev", str(folder), "--seconds", "0.5")
            process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        try:
            _until(lambda: "watching" in log.read_text(), log, process)
            first = preview.stat().st_mtime_ns
            source = module.read_text()
            module.write_text(source + "\nraise ValueError('a mistake')\n")
            _until(lambda: "motes: rain: ValueError: a mistake" in log.read_text(), log, process)
            assert preview.stat().st_mtime_ns == first
            module.write_text(source)
            _until(lambda: preview.stat().st_mtime_ns > first, log, process)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        finally:
            process.kill()
            process.wait()


def _until(what: object, log: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, log.read_text()
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
