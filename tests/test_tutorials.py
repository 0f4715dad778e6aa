"""The tutorials are true: their commands run one after the other, and their changes apply to what is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

from ecs_core import ParticleType
from ecs_core.testing import check_particle_type

TUTORIALS = Path(__file__).parents[1] / "docs/tutorials"
STEP = re.compile(r"^```(console|diff)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, demo_song: Path) -> Path:
    """Where the reader is, with a song."""
    (tmp_path / "song.wav").write_bytes(demo_song.read_bytes())
    return tmp_path


def follow(tutorial: str, folder: Path, *, edited: Path | None = None) -> None:
    """Run the commands and apply the changes, in the order of the page."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    steps = STEP.findall((TUTORIALS / tutorial).read_text(encoding="utf-8"))
    assert len(steps) >= 5
    for kind, text in steps:
        if kind == "diff":
            assert edited is not None
            apply(text, edited)
            continue
        for command in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
            done = subprocess.run(
                shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)


def apply(diff: str, path: Path) -> None:
    """Change a file as a diff says; what it takes away must be there once."""
    lines = diff.splitlines()
    before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
    after = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, before
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_first_video(folder: Path) -> None:
    follow("first-video.md", folder)
    assert {"frame.png", "draft.mp4", "more.png", "aurora.png", "kick.mp4"} <= {path.name for path in folder.iterdir()}


def test_first_plugin(folder: Path) -> None:
    module = folder / "glitter/motes_glitter.py"

    follow("first-plugin.md", folder, edited=module)

    assert (folder / "glitter/preview.mp4").stat().st_size > 10_000
    names = types.ModuleType("motes_glitter")
    exec(compile(module.read_text(encoding="utf-8"), str(module), "exec", dont_inherit=True), names.__dict__)
    registered: list[ParticleType] = []
    names.motes_particle_types(registered.append)
    assert "fall" in registered[0].settings.model_fields
    assert check_particle_type(registered[0], checks=("determinism", "schema"))
