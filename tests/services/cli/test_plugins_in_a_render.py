"""A plugin that is not installed, only written: its feature moves a binding, its hooks hear of the render."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PYPROJECT = '[project.entry-points.motes]\nthrob = "motes_test_throb"\n'
MODULE = """
import json, os
import numpy as np
from ecs_core import AudioFeature, hookimpl

def throb(spectrum):
    return np.where(np.arange(len(spectrum.rms)) % 40 < 20, 5.0, np.nan)  # clipped to 1, and 0

@hookimpl
def motes_audio_features(register):
    register(AudioFeature("throb", "on and off", throb))
    register(AudioFeature("broken", "of the wrong shape", lambda spectrum: np.zeros(3)))

@hookimpl
def motes_before_render(scene):
    open(os.environ["HEARD"], "w").write(scene.type)

@hookimpl
def motes_after_render(scene, stats):
    open(os.environ["HEARD"], "a").write(f" {stats.frames}")
    raise ValueError("that was it")
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "motes_test_throb.py").write_text(MODULE)
    return {**os.environ, "MOTES_PLUGIN_PATH": str(tmp_path), "HEARD": str(tmp_path / "heard")}


def motes(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli.main", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_feature_of_a_plugin_is_in_the_timeline(environment: dict[str, str], demo_song: Path) -> None:
    done = motes(environment, "analyze", demo_song)
    values = json.loads(done.stdout)["features"]["throb"]
    assert set(values) >= {0.0, 1.0}
    assert "audio feature 'broken' is left out: ValueError: returned shape (3,)" in done.stderr


def test_hooks_hear_of_a_render_and_a_binding_uses_the_feature(
    environment: dict[str, str], demo_song: Path, tmp_path: Path
) -> None:
    binding = json.dumps([{"source": "throb", "target": "light", "op": "set"}])
    common = ("render", demo_song, "--type", "zen", "--size", "64x36", "--duration", "0.4", "--frame-hashes")
    hashes = []
    for name, settings in (("bound", ("--set", f"bindings={binding}")), ("plain", ())):
        file = tmp_path / f"{name}.json"
        done = motes(environment, *common, file, *settings, "-o", tmp_path / "v.mp4")
        assert done.returncode == 0, done.stderr
        hashes.append(json.loads(file.read_text())["frames"])
    assert hashes[0] != hashes[1]
    assert Path(environment["HEARD"]).read_text() == "zen 12"
    assert "motes_after_render failed: ValueError: that was it" in done.stderr
