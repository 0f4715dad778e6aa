"""What is in a release: all that Motes needs to run, and nothing else."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, Built, build

PACKAGES = ("ecs_core", "plugins", "services")
NOT_SHIPPED = "plugins/*/picture.webp"  # pictures of the types, for their docs


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(built: Built) -> dict[str, list[str]]:
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        parsed = Parser().parsestr(archive.read(name).decode())
    return {key: parsed.get_all(key, []) for key in parsed}


def test_wheel_has_every_file_of_the_packages_and_no_other(built: Built) -> None:
    tracked = subprocess.run(["git", "ls-files", "--", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {name for name in tracked.stdout.splitlines() if (ROOT / name).is_file()}
    wanted = {name for name in wanted if not Path(name).match(NOT_SHIPPED)}
    assert len(wanted) > 200
    assert {name for name in names(built.wheel) if ".dist-info/" not in name} == wanted


def test_source_distribution_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (sources,) = tmp_path.iterdir()
    again = build("build_wheel", sources, tmp_path)
    assert names(again) == names(built.wheel)
    with zipfile.ZipFile(again) as ours, zipfile.ZipFile(built.wheel) as theirs:
        recorded = next(name for name in theirs.namelist() if name.endswith("RECORD"))
        assert sorted(ours.read(recorded).splitlines()) == sorted(theirs.read(recorded).splitlines())


def test_source_distribution_has_no_tests_docs_or_caches(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        tops = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    assert tops == {
        *PACKAGES,
        "LICENSE",
        "README.md",
        "PKG-INFO",
        "MANIFEST.in",
        "pyproject.toml",
        "setup.cfg",
        "motes.egg-info",
    }


def test_metadata_has_what_an_index_shows(metadata: dict[str, list[str]]) -> None:
    assert metadata["Name"] == ["motes"]
    assert metadata["License-Expression"] == ["MIT"]
    assert metadata["License-File"] == ["LICENSE"]
    assert metadata["Requires-Python"] == [">=3.11"]
    assert metadata["Description-Content-Type"] == ["text/markdown"]
    assert {"service", "otel", "plot"} <= set(metadata["Provides-Extra"])


def test_command_and_particle_types_are_entry_points(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(name).decode()
    assert "[console_scripts]\nmotes = services.cli.start:main" in text
    for package in sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").is_file()):
        assert f"plugins.{package}" in text
