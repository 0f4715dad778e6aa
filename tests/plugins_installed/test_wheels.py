"""Motes and third-party plugins as people get them: wheels, installed into a fresh environment, without the sources."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ("--size", "160x90", "--duration", "1", "--quality", "draft")


@dataclass(frozen=True)
class Fresh:
    """An environment with nothing but wheels in it, and a folder to be in that holds no sources."""

    python: Path
    site: Path
    folder: Path

    def run(self, *command: str | Path) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MOTES"))}
        done = subprocess.run(
            [str(self.python.with_name(str(command[0]))), *map(str, command[1:])],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def types(self) -> set[str]:
        return {each["type"] for each in json.loads(self.run("motes", "types", "--json"))}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    folder = tmp_path_factory.mktemp("wheels")
    tree = folder / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    motes = Path(sys.executable).with_name("motes")
    subprocess.run([motes, "plugin", "new", folder / "shower"], check=True, capture_output=True)
    wheels = folder / "dist"
    shutil.copytree(tree / "examples/motes-embers/tests", folder / "cwd/tests_of_embers")
    sources = (tree, tree / "examples/motes-embers", folder / "shower")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    subprocess.run((*pip, "wheel", "--no-deps", "-w", wheels, *sources), check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, capture_output=True)
    python = folder / "venv/bin/python"
    # What Motes needs comes from this environment; Motes itself does not: its editable install is a .pth file, and
    # those are heeded only in the environment's own folder.
    site = Path(
        subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    )
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    shutil.rmtree(tree)
    install = (
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
        "--ignore-installed",
        *wheels.glob("*.whl"),
    )
    subprocess.run(install, check=True, capture_output=True)
    return Fresh(python, site, folder / "cwd")


@pytest.mark.campaign
class TestInstalledFromWheels:
    def test_nothing_comes_from_the_sources(self, fresh: Fresh) -> None:
        modules = "ecs_core, motes_embers, services.cli.main, plugins.snow"
        code = f"import {modules}; print(*(module.__file__ for module in ({modules})))"
        assert all(
            "/venv/" in path and str(ROOT / "ecs_core") not in path for path in fresh.run("python", "-c", code).split()
        )

    def test_no_plugin_comes_from_the_environment_with_the_dependencies(self, fresh: Fresh) -> None:
        code = (
            "from importlib.metadata import entry_points\n"
            "for point in entry_points(group='motes'): print(point.dist.locate_file(''))"
        )
        assert set(fresh.run("python", "-c", code).splitlines()) == {str(fresh.site)}

    def test_types_of_all_packages_are_there(self, fresh: Fresh) -> None:
        assert fresh.types() == {
            *("bouncing", "continuous_spawning", "enhanced", "no_music", "petals", "snow", "zen"),
            *("embers", "shower"),
        }

    @pytest.mark.parametrize("words", [("embers", "--preset", "candle"), ("shower",), ("snow", "--preset", "blizzard")])
    def test_they_render(self, fresh: Fresh, demo_song: Path, words: tuple[str, ...]) -> None:
        video = fresh.folder / f"{words[0]}.mp4"
        told = fresh.run("motes", "render", demo_song, "--type", *words, *SMALL, "-o", video, "--json")
        assert json.loads(told)["frames"] == 30
        assert video.stat().st_size > 3000

    def test_example_passes_its_own_tests(self, fresh: Fresh) -> None:
        told = fresh.run("python", "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "tests_of_embers")
        assert " passed" in told

    def test_service_makes_its_database(self, fresh: Fresh) -> None:
        assert " none → " in fresh.run("motes", "db", "upgrade", "--data", fresh.folder / "data")

    def test_typing_marker_and_data_are_packaged(self, fresh: Fresh) -> None:
        code = "import ecs_core, pathlib; print((pathlib.Path(ecs_core.__file__).parent / 'py.typed').exists())"
        assert fresh.run("python", "-c", code).strip() == "True"
        fresh.run("motes", "plugin", "new", fresh.folder / "another")
        assert (fresh.folder / "another/motes_another.py").exists()

    def test_uninstalled_type_disappears(self, fresh: Fresh) -> None:
        fresh.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", "motes-embers")
        assert "embers" not in fresh.types()
        assert "shower" in fresh.types()
