"""Plugins: what is broken is left out and named, the rest works."""

from __future__ import annotations

import math
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from ecs_core import (
    AudioFeature,
    AudioFrame,
    Canvas,
    FeatureTimeline,
    Look,
    ParticleType,
    Phase,
    PluginError,
    Position,
    RenderResult,
    Scene,
    SceneError,
    Settings,
    Sprites,
    System,
    Upkeep,
    Velocity,
    texture_number,
)
from ecs_core.plugin_api import particle_type, particle_types
from ecs_core.plugin_api.registry import GROUP, Registry, load
from ecs_core.rendering.simulation import Simulation
from tests.ecs_core.raster.painting import painted

ROOT = Path(__file__).parent.parent.parent
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
    "hook that there is not": (
        good("rain").replace("def motes_particle_types", "def motes_particle_type"),
        "there is no hook 'motes_particle_type'; there are: motes_particle_types, motes_layers, motes_audio_features, ",
    ),
    "sprite that there is not": (
        "from ecs_core import Sprite\n" + good("rain").replace("None)", "world.populate((), (Sprite('star'),)))"),
        "Sprite.shape = 'star': must be 'glow' or 'disc'",
    ),
    "picture that there is not": (
        "from pathlib import Path\nfrom ecs_core import Sprite\n"
        + good("rain").replace("None)", "world.populate((), (Sprite(texture=Path('star.png')),)))"),
        "texture 'star.png': No such file or directory: must be a PNG of at most 2048 × 2048 pixels and 8 MB",
    ),
    "misspelt argument": (good("rain").replace("(register)", "(registrar)"), "registrar"),
    "duplicate name": (good("sparks"), "particle type 'sparks' is registered already"),
    "not a particle type": (
        "from ecs_core import hookimpl\n@hookimpl\ndef motes_particle_types(register):\n    register('rain')\n",
        "'rain', which is not a ParticleType",
    ),
    "exit at import": ("raise SystemExit(3)\n", "SystemExit"),
    "no Exception at import": ("class Skipped(BaseException): pass\nraise Skipped('not here')\n", "Skipped: not here"),
    "unmarked hook": (
        good("rain").replace("@hookimpl\n", ""),
        "motes_particle_types is not marked with @hookimpl, so it would never be called",
    ),
    "populate that raises": (
        good("rain").replace("None)", "1 / 0)"),
        "particle type 'rain': populate failed: ZeroDivisionError: division by zero",
    ),
    "setting without a default": (
        "from ecs_core import option\n"
        + good("rain").replace('test", Settings', 'test", Mine')
        + "\nclass Mine(Settings):\n    power: float = option(..., 'how strong', group='look')\n",
        "particle type 'rain': its setting 'power' has no default; every setting needs one",
    ),
    "setting without a schema": (
        "from collections.abc import Callable\nfrom ecs_core import option\n"
        + good("rain").replace('test", Settings', 'test", Mine')
        + "\nclass Mine(Settings):\n    how: Callable[[], None] = option(print, 'how', group='look')\n",
        "particle type 'rain': settings: Cannot generate a JsonSchema",
    ),
    "description that is none": (
        good("rain").replace('"a test"', "5"),
        "particle type 'rain': description and features must be text, not 5",
    ),
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


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b'{"seed": 1,}', "not JSON: "),
        (b'{"seed": "\xff"}', "not JSON: 'utf-8' codec can't decode"),
        (b"[1]", "must be a JSON object, a config"),
    ],
)
def test_invalid_preset_is_named_with_its_file(load_plugins: Load, tmp_path: Path, written: bytes, reason: str) -> None:
    file = tmp_path / "calm.json"
    file.write_bytes(written)
    kind = ParticleType("rain", archetype=(Position,), presets=tmp_path)
    with pytest.raises(SceneError, match=f"preset 'calm' of 'rain': {file}: {reason}"):
        kind.preset("calm")
    source = "import pathlib\n" + good("rain").replace("None)", f"None, presets=pathlib.Path({str(tmp_path)!r}))")
    assert str(file) in load_plugins(rain=source).failures[0]


def test_plugin_without_the_hook_registers_nothing(load_plugins: Load) -> None:
    registry = load_plugins(empty="")
    assert (dict(registry.types), dict(registry.features), registry.failures) == ({}, {}, ())


def test_half_a_broken_plugin_is_not_registered(load_plugins: Load) -> None:
    source = good("rain") + "    register(ParticleType('sparks', 'again', Settings, lambda world, settings: None))\n"
    registry = load_plugins(first=good("sparks"), second=source)
    assert list(registry.types) == ["sparks"]
    assert len(registry.failures) == 1


def test_own_types_are_found_through_entry_points() -> None:
    registry = particle_types()
    assert {"snow", "enhanced"} <= set(registry.types)
    assert registry.failures == ()


def test_motes_types_warns_of_a_broken_plugin(
    load_plugins: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ecs_core import plugin_api
    from services.cli import particle_types
    from services.cli.main import build_parser

    registry = load_plugins(good=good("sparks"), broken="1 / 0")
    monkeypatch.setattr(plugin_api, "particle_types", lambda: registry)
    particle_types.run(build_parser().parse_args(["types"]))
    out, err = capsys.readouterr()
    assert "sparks: a test" in out
    assert err.startswith("motes: warning: ")
    assert "plugin 'broken'" in err


def test_plugin_for_another_version_is_refused_with_the_reason(load_plugins: Load) -> None:
    registry = load_plugins(old="motes_api_version = 99\n" + good("rain"))
    assert list(registry.types) == []
    assert "is written for plugin API 99; this Motes has API 1 and 2" in registry.failures[0]


OF_VERSION_1 = """
import numpy as np
from ecs_core import (
    Bounds, Color, Emission, Look, ParticleType, Phase, Position, Range, Settings, Size, Sprite, System, Velocity,
    hookimpl,
)

motes_api_version = 1

class Sway(System):
    phase = Phase.FORCE
    random_key = "Sway"
    writes = (Velocity,)

    def process(self):
        for entity, (velocity,) in self.world.query(Velocity):
            velocity.x += self.world.rng(self, entity).normal(0.0, 20.0, len(velocity.x)) * self.world.dt

def populate(world, settings):
    # The canvas was 1080 units high in any picture.
    world.populate(
        (Position, Velocity, Size, Color, Look),
        (
            Emission(x=300.0, y=540.0, shape="area", width=600.0, height=1080.0, rate=400.0, palette=settings.palette),
            Bounds(margin=40.0),
            Sprite("glow"),
        ),
    )

@hookimpl
def motes_particle_types(register):
    register(ParticleType("drizzle", "drops", Settings, populate, systems=(Sway,)))
"""


DRAWS_ITS_COLUMNS = """
from ecs_core import Burst, Color, Look, ParticleType, Phase, Position, Settings, Size, Sprites, System, Turn, hookimpl
from ecs_core import texture_number
import numpy as np
motes_api_version = 2

class Drawing(System):
    phase = Phase.EXTRACT
    def process(self):
        for _, (at, look, color, turn) in self.world.query(Position, Look, Color, Turn):
            turn.angle += np.float32(0.1)  # in the column itself
            n = len(at.x)
            full = np.full(n, texture_number("petal"), np.uint8)
            zeros = np.zeros(n, np.uint8)
            self.world.draw(Sprites(at.x, at.y, look.radius, color.r, color.g, color.b, look.light, zeros, texture=full,
                                    angle=turn.angle, squeeze=turn.flip))

def populate(world, settings):
    world.populate((Position, Size, Color, Look, Turn), (Burst(400.0, 300.0, count=5),))

@hookimpl
def motes_particle_types(register):
    register(ParticleType("turning", "petals", Settings, populate, systems=(Drawing,)))
"""


def test_what_a_plugin_drew_stays_as_it_was_when_frames_are_simulated_ahead(load_plugins: Load) -> None:
    registry = load_plugins(turning=DRAWS_ITS_COLUMNS)
    assert registry.failures == ()
    kind = registry.types["turning"]
    timeline = FeatureTimeline.silence(Fraction(30), 30, more=("level", "bass_high"))
    with Simulation(kind, kind.settings(width=320, height=180, duration=1.0), timeline) as simulation:
        simulation.skip_to(3)
        drawn = simulation.frame()
        assert drawn.angle is not None
        assert drawn.squeeze is not None
        kept = drawn.angle.copy(), drawn.squeeze.copy(), drawn.skirt.copy()
        simulation.skip_to(9)
        simulation.frame()
    for column, before in zip((drawn.angle, drawn.squeeze, drawn.skirt), kept, strict=True):
        np.testing.assert_array_equal(column, before)


def test_plugin_of_version_1_draws_as_it_always_did(load_plugins: Load) -> None:
    registry = load_plugins(old=OF_VERSION_1)
    assert registry.failures == ()
    kind = registry.types["drizzle"]
    assert kind.api_version == 1
    settings = kind.settings(width=180, height=320, duration=1.0)
    timeline = FeatureTimeline.silence(Fraction(30), 30, more=("level", "bass_high"))
    with Simulation(kind, settings, timeline) as simulation:
        assert simulation.world.get(Canvas) == Canvas(width=pytest.approx(607.5), height=1080.0)
        for _ in range(30):
            drawn = simulation.frame()
    assert len(drawn) > 300
    assert drawn.y.min() < 40  # all over the picture
    assert drawn.y.max() > 280


def test_plugin_that_states_no_version_is_of_this_one(load_plugins: Load) -> None:
    assert load_plugins(new=good("rain")).types["rain"].api_version == 2


@pytest.mark.parametrize("stated", ["motes_api_version = 99", "motes_api_version: int = 99"])
def test_version_mismatch_is_reported_before_import_errors(load_plugins: Load, stated: str) -> None:
    registry = load_plugins(old=f"{stated}\nfrom ecs_core import SomethingOf99\n")
    assert "is written for plugin API 99; this Motes has API 1 and 2" in registry.failures[0]
    registry = load_plugins(old="motes_api_version = 1\nfrom ecs_core import SomethingOf99\n")
    assert "ImportError: cannot import name 'SomethingOf99'" in registry.failures[0]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("'Bad-Name', '', Settings, populate", "its name must be of small letters, digits and _"),
        ("'rain', '', dict, populate", "settings must be a class that inherits from Settings"),
        ("'rain', '', Settings(), populate", "settings must be a class that inherits from Settings, not one Settings"),
        ("'rain', '', Settings, populate, systems=dict", "systems must be a tuple, not <class 'dict'>"),
        ("'rain', '', Settings, populate, features='loud'", "features must be a tuple, not 'loud'"),
        ("'rain', '', Settings, populate, systems=(dict,)", "systems must be classes that inherit from System"),
        ("'rain', '', Settings, archetype=(dict,)", "archetype must be classes that inherit from Column"),
        ("'rain', '', Settings", "give either populate or an archetype"),
    ],
)
def test_malformed_type_is_refused_by_name(load_plugins: Load, arguments: str, reason: str) -> None:
    source = (
        "from ecs_core import ParticleType, Settings, hookimpl\npopulate = lambda world, settings: None\n"
        f"@hookimpl\ndef motes_particle_types(register):\n    register(ParticleType({arguments}))\n"
    )
    registry = load_plugins(broken=source)
    assert len(registry.failures) == 1
    assert reason in registry.failures[0]


def test_archetype_alone_makes_a_visible_population() -> None:
    kind = ParticleType("rain", archetype=(Position, Velocity), components=(Upkeep(5.0, 5.0, count=3),))
    with Simulation(kind, Settings(), FeatureTimeline.silence(Fraction(30), 2)) as simulation:
        sprites = simulation.frame()
    assert len(sprites.x) == 3
    assert (sprites.red > 0).all()


def test_negative_light_is_dark() -> None:
    class Darken(System):
        phase = Phase.SHADE

        def process(self) -> None:
            for _, (look,) in self.world.query(Look):
                look.light[:] = [-0.06, 0.5, 1.0]

    columns, components = (Position, Velocity), (Upkeep(5.0, 5.0, count=3),)
    kind = ParticleType("dark", archetype=columns, components=components, systems=(Darken,))
    with Simulation(kind, Settings(), FeatureTimeline.silence(Fraction(30), 2)) as simulation:
        sprites = simulation.frame()
    for channel in (sprites.red, sprites.green, sprites.blue):
        assert channel[0] == 0
        assert (channel[1:] > 0).all()


@pytest.mark.compiled
@pytest.mark.parametrize("covers", [False, True])
@pytest.mark.parametrize("light", [-0.06, math.nan, math.inf, -math.inf, 1e30])
def test_any_light_that_a_system_draws_is_within_the_range_of_video(light: float, covers: bool) -> None:
    class Draw(System):
        phase = Phase.EXTRACT

        def process(self) -> None:
            x = np.array([300.0, 900.0, 1500.0], np.float32)
            bright, fine = np.full(3, light), np.full(3, 0.5)
            glow = Sprites(x, x, fine + 20, bright, fine, bright, fine, np.array([0, 1, 0], np.uint8))
            self.world.draw(replace(glow, texture=np.array([0, 0, texture_number("petal")], np.uint8)))
            self.world.draw(replace(glow, dx=fine + 200, dy=fine, fade=bright, taper=fine))
            if covers:
                self.world.draw(replace(glow, red=fine, blue=fine, cover=bright))
                self.world.draw(replace(glow, cover=fine))

    kind = ParticleType("odd", archetype=(Position,), systems=(Draw,))
    small = Settings(width=192, height=108)
    with Simulation(kind, small, FeatureTimeline.silence(Fraction(30), 2)) as simulation:
        planes = painted(simulation.frame(), size=(192, 108))
    assert planes.luma.min() >= 16
    assert planes.luma.max() <= 235


FEATURE = """
import numpy as np
from ecs_core import AudioFeature, hookimpl

@hookimpl
def motes_audio_features(register):
    register(AudioFeature("shine", "what is above all", lambda spectrum: np.full(len(spectrum.rms), 3.0)))
"""


def test_audio_feature_of_a_plugin_is_registered(load_plugins: Load) -> None:
    registry = load_plugins(shine=FEATURE)
    assert list(registry.features) == ["shine"]
    assert registry.plugins[0].features == ("shine",)


@pytest.mark.parametrize("name", ["bass", "level", "count", "before", "not a name"])
def test_audio_feature_name_must_be_unique(load_plugins: Load, name: str) -> None:
    registry = load_plugins(shine=FEATURE.replace('"shine"', repr(name)))
    assert f"audio feature {name!r}: the name is taken, or no identifier" in registry.failures[0]


def test_audio_feature_cannot_have_the_name_of_what_an_audio_frame_has() -> None:
    taken = {name for name in dir(AudioFrame) if not name.startswith("_")}
    assert taken >= {"count", "recent", "frame"}
    for name in taken:
        with pytest.raises(PluginError, match="the name is taken"):
            AudioFeature(name, "a test", lambda spectrum: spectrum.rms)


def test_audio_feature_must_be_of_a_known_kind(load_plugins: Load) -> None:
    registry = load_plugins(shine=FEATURE.replace("3.0)", '3.0), kind="nix"'))
    assert "audio feature 'shine': kind = 'nix': must be 'hit' or 'slow'" in registry.failures[0]


HOOKS = """
from ecs_core import hookimpl

heard = []

@hookimpl
def motes_before_render(scene):
    heard.append(("before", scene))
    FAIL

@hookimpl
def motes_after_render(scene, stats):
    heard.append(("after", scene, stats))
"""
MEDDLER = """
from ecs_core import hookimpl

@hookimpl
def motes_before_render(scene):
    scene.config["particle_colors"].append("mine")

@hookimpl
def motes_after_render(scene, stats):
    stats.seconds.clear()
    scene.config["particle_colors"].append("mine")
    raise SystemExit(1)
"""


def test_hooks_run_even_if_another_plugin_fails(load_plugins: Load) -> None:
    registry = load_plugins(bad=HOOKS.replace("FAIL", "raise ValueError('no')"), good=HOOKS.replace("FAIL", "pass"))
    warnings = registry.before_render("a scene")
    assert len(warnings) == 1
    assert warnings[0].endswith("bad': motes_before_render failed: ValueError: no")
    assert registry.after_render("a scene", "figures") == ()
    for name in ("bad", "good"):
        assert sys.modules[f"motes_test_{name}"].heard == [("before", "a scene"), ("after", "a scene", "figures")]


def test_hooks_can_neither_change_nor_stop_a_render(load_plugins: Load) -> None:
    registry = load_plugins(a=MEDDLER, b=HOOKS.replace("FAIL", "pass"))
    scene = Scene("snow", "song.ogg", {"particle_colors": [[255, 0, 0]]}, analysis="heard.json")
    stats = RenderResult(Path("v.mp4"), 30, 1.0, "30", 64, 36, seconds={"total": 2.0})
    assert registry.before_render(scene) == ()
    [warning] = registry.after_render(scene, stats)
    assert warning == "plugin 'not installed:a': motes_after_render failed: SystemExit: 1"
    assert (scene.config["particle_colors"], stats.seconds) == ([[255, 0, 0]], {"total": 2.0})
    assert sys.modules["motes_test_b"].heard == [("before", scene), ("after", scene, stats)]


class TestSelection:
    @pytest.fixture(autouse=True)
    def _afresh(self) -> Iterator[None]:
        particle_types.cache_clear()
        yield
        particle_types.cache_clear()

    def test_motes_plugins_limits_the_loaded_plugins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_PLUGINS", "snow, zen")
        assert list(particle_types().types) == ["snow", "zen"]
        assert particle_types().failures == ()

    def test_distribution_name_selects_all_its_plugins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_PLUGINS", "motes")
        declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["motes"]
        assert len(particle_types().types) == len(declared)

    def test_unknown_names_are_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTES_PLUGINS", "snow,rain")
        assert list(particle_types().types) == ["snow"]
        assert particle_types().failures == (
            "MOTES_PLUGINS: plugin 'rain' () is left out: no installed plugin has this name",
        )

    def test_builtin_types_keep_their_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        about = tmp_path / "a_thief-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: a-thief\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[motes]\nthief = a_motes_test_thief\n")
        (tmp_path / "a_motes_test_thief.py").write_text(good("snow"))
        monkeypatch.syspath_prepend(tmp_path)
        assert particle_types().types["snow"].description != "a test"
        assert particle_types().failures == (
            "a-thief: plugin 'thief' (a_motes_test_thief) is left out: "
            "PluginError: particle type 'snow' is registered already",
        )
        with pytest.raises(SceneError, match=r"Invalid particle type: rain\. Available .*; a-thief: plugin 'thief' "):
            particle_type("rain")

    def test_plugin_in_development_is_found_in_its_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "pyproject.toml").write_text('[project.entry-points.motes]\nrain = "motes_test_dev"\n')
        (tmp_path / "motes_test_dev.py").write_text(good("rain"))
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setenv("MOTES_PLUGIN_PATH", str(tmp_path))
        assert "rain" in particle_types().types

    def test_plugin_prints_go_to_stderr(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "pyproject.toml").write_text('[project.entry-points.motes]\nrain = "motes_test_loud"\n')
        (tmp_path / "motes_test_loud.py").write_text("print('hello')\n" + good("rain"))
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setenv("MOTES_PLUGIN_PATH", str(tmp_path))
        assert "rain" in particle_types().types
        assert capsys.readouterr() == ("", "hello\n")
