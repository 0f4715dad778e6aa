"""Plugins: what is broken is left out and named, the rest works."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ecs_core.plugin_api import particle_types
from ecs_core.plugin_api.registry import GROUP, Registry, load

GOOD = """
from ecs_core import ParticleType, Settings, hookimpl

@hookimpl
def motes_particle_types(register):
    register(ParticleType("NAME", "a test", Settings, lambda world, settings: None))
"""

Load = Callable[..., Registry]


@pytest.fixture
def load_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads modules made of the given source texts, as if each were an installed plugin."""
    monkeypatch.syspath_prepend(tmp_path)

    def load_them(**sources: str) -> Registry:
        points = []
        for name, source in sources.items():
            module = f"motes_test_{name}"
            monkeypatch.delitem(sys.modules, module, raising=False)
            (tmp_path / f"{module}.py").write_text(source)
            points.append(EntryPoint(name, module, GROUP))
        return load(points)

    return load_them


def good(name: str) -> str:
    return GOOD.replace("NAME", name)


def test_types_of_all_plugins_by_name(load_plugins: Load) -> None:
    registry = load_plugins(b=good("sparks"), a=good("rain"))
    assert list(registry.types) == ["rain", "sparks"]
    assert registry.types["rain"].description == "a test"
    assert registry.failures == ()


BROKEN = {
    "import error": ("import a_module_that_is_not_there\n", "ModuleNotFoundError"),
    "syntax error": ("def motes_particle_types(register:\n", "SyntaxError"),
    "error in the hook": (
        "from ecs_core import hookimpl\n@hookimpl\ndef motes_particle_types(register):\n    1 / 0\n",
        "ZeroDivisionError",
    ),
    "misspelt hook": (good("rain").replace("def motes_particle_types", "def motes_particle_type"), "motes_particle_t"),
    "misspelt argument": (good("rain").replace("(register)", "(registrar)"), "registrar"),
    "duplicate name": (good("sparks"), "particle type 'sparks' is registered already"),
    "not a particle type": (
        "from ecs_core import hookimpl\n@hookimpl\ndef motes_particle_types(register):\n    register('rain')\n",
        "'rain', which is not a ParticleType",
    ),
    "exit at import": ("raise SystemExit(3)\n", "SystemExit"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_plugin_is_left_out_and_named(load_plugins: Load, name: str) -> None:
    source, reason = BROKEN[name]
    registry = load_plugins(first=good("sparks"), broken=source, last=good("snowflakes"))
    assert list(registry.types) == ["snowflakes", "sparks"]
    assert len(registry.failures) == 1
    assert "plugin 'broken' (motes_test_broken) is left out" in registry.failures[0]
    assert reason in registry.failures[0]
    assert "\n" not in registry.failures[0]


def test_plugin_without_the_hook_brings_nothing(load_plugins: Load) -> None:
    assert load_plugins(empty="") == Registry({}, ())


def test_half_a_broken_plugin_is_not_registered(load_plugins: Load) -> None:
    source = good("rain") + "    register(ParticleType('sparks', 'again', Settings, lambda world, settings: None))\n"
    registry = load_plugins(first=good("sparks"), second=source)
    assert list(registry.types) == ["sparks"]
    assert len(registry.failures) == 1


def test_own_types_are_found_through_entry_points() -> None:
    registry = particle_types()
    assert {"snow", "enhanced"} <= set(registry.types)
    assert registry.failures == ()


def test_broken_plugin_is_told_by_motes_types(
    load_plugins: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from services.cli import types
    from services.cli.main import build_parser

    registry = load_plugins(good=good("sparks"), broken="1 / 0")
    monkeypatch.setattr(types, "particle_types", lambda: registry)
    types.run(build_parser().parse_args(["types"]))
    out, err = capsys.readouterr()
    assert "sparks: a test" in out
    assert err.startswith("motes: warning: ")
    assert "plugin 'broken'" in err
