"""docs/plugins.md is true: its commands run, its plugins load and keep the contract, its signatures are the hooks'."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

from ecs_core import ParticleType, hookimpl
from ecs_core.audio.timeline import EVENTS, FEATURES, LEVELS
from ecs_core.plugin_api import hooks
from ecs_core.testing import check_particle_type

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w[\w ]*)\n(.*?)^```", TEXT, re.M | re.S)
COMMANDS = [line[2:] for kind, text in BLOCKS if kind == "console" for line in text.splitlines() if line[:2] == "$ "]
CHROMA = [name for name in FEATURES if name.startswith("chroma_")]
SOURCES = [text for kind, text in BLOCKS if kind == "python"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, demo_song: Path) -> Path:
    """Where the reader is, with a song."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "song.wav").write_bytes(demo_song.read_bytes())
    return folder


def test_commands_run_one_after_the_other(folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(folder / "glitter")  # as if it were installed
    assert len(COMMANDS) == 5
    for command in COMMANDS:
        done = subprocess.run(
            shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert (folder / "glitter/preview.mp4").stat().st_size > 10_000
    assert (folder / "zen.mp4").exists()


@pytest.mark.parametrize("number", range(len(SOURCES)))
def test_python_runs(number: int) -> None:
    exec(compile(SOURCES[number], f"docs/plugins.md, block {number}", "exec", dont_inherit=True), {"__name__": "docs"})


def test_table_of_sources_has_every_feature_and_every_event() -> None:
    table = TEXT[TEXT.index("| Source |") : TEXT.index("| your own |")]
    names = {*re.findall(r"`(\w+)`(?=.* \|)", table.replace("`chroma_cs` … `chroma_b`", "")), *CHROMA}
    assert names - {"bass_threshold", "s"} == {*FEATURES, *LEVELS, *EVENTS}


def test_plugin_of_the_docs_keeps_the_contract() -> None:
    module = types.ModuleType("drizzle")
    exec(SOURCES[0], module.__dict__)
    registered: list[ParticleType] = []
    module.motes_particle_types(registered.append)
    assert check_particle_type(registered[0], budget=50.0)


def test_signatures_are_those_of_the_hooks() -> None:
    [told] = [text for kind, text in BLOCKS if kind == "py"]
    real = [
        f"def {name}{inspect.signature(hook)}: ..." for name, hook in vars(hooks).items() if name.startswith("motes_")
    ]
    assert told.splitlines() == [line.replace("'", "") for line in real]


def test_hooks_named_in_the_text_exist() -> None:
    assert hookimpl
    named = set(re.findall(r"\bmotes_(?!api_version|glitter)\w+", TEXT))
    assert named == {name for name in vars(hooks) if name.startswith("motes_")}


def test_components_named_in_the_text_are_public() -> None:
    import ecs_core

    listed = TEXT[TEXT.index("- **Components**") : TEXT.index("- **Simple types**")]
    assert all(hasattr(ecs_core, name) for name in re.findall(r"`(\w+)`", listed))
