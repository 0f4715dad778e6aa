"""What ``ecs_core`` promises is there, and costs nothing until it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ecs_core

# Programs and plugins of others import these. One that gets another name keeps this one as an alias.
PUBLIC = """
    API_VERSION Attraction AudioError AudioFeature AudioFrame Background Binding Bounds Burst Canvas Clock Collide
    Color ColorOverLife Column Curve Drag Emission F32 FRAME FadeWithDistance FeatureTimeline Gradient Gravity
    Growth Hue Jitter Lifetime LightOverLife Look MotesError OutputError Pareto ParticleType Phase PluginError
    Position Progress Pulse RGB Range Reactive RenderCancelled RenderError RenderResult ScaleWithDistance Scene
    SceneError Settings Size SizeOverLife Snapshot Spectrum Speed Sprite StructuralChangeError System Table
    Turbulence Twinkle Upkeep Velocity Walls World hookimpl linear_from_srgb option render render_frame
"""


@pytest.mark.parametrize("name", dir(ecs_core))
def test_public_name_is_there(name: str) -> None:
    assert getattr(ecs_core, name) is not None


def test_names_that_were_public_stay_public() -> None:
    assert set(PUBLIC.split()) <= set(dir(ecs_core))


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(ecs_core.__file__).read_text())
    imported = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ecs_core.")
        for alias in node.names
    }
    assert imported == set(dir(ecs_core))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Rain'"):
        _ = ecs_core.Rain


@pytest.mark.parametrize("statement", ["import ecs_core", "from ecs_core import Scene, SceneError, Settings"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    code = f"import sys; {statement}; print(*(m for m in ('librosa', 'numba', 'scipy', 'av') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_render_loads_nothing_before_its_processes_have_started() -> None:
    code = "import sys; from ecs_core import Scene, render; print(*({'numpy', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_whole_package_costs_nothing_until_used() -> None:
    code = "import sys; before = set(sys.modules); import ecs_core; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if name.startswith("ecs_core")] == ["ecs_core"]
