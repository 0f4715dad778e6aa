"""A plugin that is not installed, only written: its feature moves a binding, its hooks hear of the render."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecs_core.plugin_api import particle_types

PYPROJECT = '[project.entry-points.motes]\nthrob = "motes_test_throb"\n'
MODULE = """
import json, os, sys
import numpy as np
from ecs_core import AudioFeature, hookimpl

def throb(spectrum):
    return np.where(np.arange(len(spectrum.rms)) % 40 < 20, 5.0, np.nan)  # clipped to 1, and 0

@hookimpl
def motes_audio_features(register):
    register(AudioFeature("throb", "on and off", throb))
    register(AudioFeature("broken", "of the wrong shape", lambda spectrum: np.zeros(3)))
    register(AudioFeature("leaves", "ends the process", lambda spectrum: sys.exit(1)))

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
    assert "audio feature 'leaves' is left out: SystemExit: 1" in done.stderr


def test_hooks_run_and_a_binding_uses_the_feature(environment: dict[str, str], demo_song: Path, tmp_path: Path) -> None:
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


FAILING = """
from ecs_core import ParticleType, Phase, Position, Settings, System, hookimpl

class Breaks(System):
    phase = Phase.FORCE

    def process(self):
        raise RuntimeError("not\\nnow")

def populate(world, settings):
    if settings.seed == 13:
        raise KeyError("bad luck")
    world.populate([Position])

@hookimpl
def motes_particle_types(register):
    register(ParticleType("throb", populate=populate, systems=(Breaks,)))
"""


@pytest.mark.parametrize(
    ("seed", "said"),
    [
        (0, "rendering failed: particle type 'throb' failed in frame 0: RuntimeError: not now"),
        (13, "particle type 'throb': populate failed: KeyError: 'bad luck'"),
    ],
)
def test_failing_type_is_a_one_line_error(environment: dict[str, str], tmp_path: Path, seed: int, said: str) -> None:
    (tmp_path / "motes_test_throb.py").write_text(FAILING)
    common = ("--type", "throb", "--size", "64x36", "--duration", "0.4", "--seed", seed)
    done = motes(environment, "render", *common, "-o", tmp_path / "v.mp4")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"motes: error: {said}")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "v.mp4").exists()


def test_broken_type_is_left_out_and_the_others_are_listed(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "motes_test_throb.py").write_text(FAILING.replace("seed == 13", "seed == 0"))
    code = "from services.api.routes.particle_types import all_types; print(all_types().decode())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    named = {each["type"] for each in json.loads(done.stdout)}
    assert named == set(particle_types().types)
    done = motes(environment, "frame", "--type", "throb", "--at", "0", "-o", tmp_path / "f.png")
    assert done.returncode == 2
    assert done.stderr.endswith("left out: PluginError: particle type 'throb': populate failed: KeyError: 'bad luck'\n")
