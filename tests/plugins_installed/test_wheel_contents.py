"""The wheel of Motes holds every file of its packages; that it works where it is installed is a campaign."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("ecs_core", "plugins", "services")


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files of the sources, as a clone has them."""
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [name for name in listed.split("\0") if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    needed = [name for name in tracked if name.startswith(PACKAGES) or "/" not in name]
    for name in needed:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tree / name)
    build = f"import setuptools.build_meta as build; build.build_wheel({str(folder)!r})"
    subprocess.run((sys.executable, "-c", build), cwd=tree, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return zipfile.Path(path)


def test_wheel_holds_every_file_of_the_packages(wheel: zipfile.Path, tracked: list[str]) -> None:
    files = {name for name in tracked if name.startswith(tuple(f"{package}/" for package in PACKAGES))}
    pictures = {name for name in files if name.endswith("/picture.webp")}  # for the READMEs of a clone
    assert files - pictures <= set(wheel.root.namelist())


def test_wheel_holds_nothing_else(wheel: zipfile.Path) -> None:
    tops = {name.partition("/")[0] for name in wheel.root.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_wheel_installs_the_command_and_the_types(wheel: zipfile.Path) -> None:
    [described] = [each for each in wheel.iterdir() if each.name.endswith(".dist-info")]
    points = (described / "entry_points.txt").read_text()
    assert "motes = services.cli.start:main" in points
    assert "snow = plugins.snow" in points
