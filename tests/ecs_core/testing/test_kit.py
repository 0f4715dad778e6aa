"""The kit for authors: what is right passes, and every deliberate mistake is caught and explained."""

from __future__ import annotations

import datetime
import importlib
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecs_core import (
    Burst,
    Canvas,
    Color,
    Gravity,
    Look,
    ParticleType,
    Phase,
    Position,
    SceneError,
    Settings,
    Size,
    Sprite,
    System,
    Velocity,
    World,
    option,
)
from ecs_core.plugin_api import particle_types
from ecs_core.testing import CHECKS, ConformanceError, Report, check_particle_type
from tests.ecs_core.testing.embers import EMBERS

FOLDER = Path(__file__).parent / "broken"

# What is broken, the checks that find it (no others do), and words of what is said.
MISTAKES = {
    "births_in_shells": ("births", "they fly in shells, as many a second as there are frames"),
    "births_per_frame": ("frame_rates", "the number of particles is"),
    "cache_in_module": ("resume", "cut after frame 0 and resumed in a fresh world, a run differs from frame 1 on"),
    "counted_drawing": ("resume", "a run differs from frame 1 on, in what systems draw (x)"),
    "dark_in_silence": ("silence", "nothing is seen in any of"),
    "decay_per_frame": ("frame_rates", "the mean speed (units/s) is"),
    "drawing_changes_columns": (
        "resume frame_rates",
        "only the last frame is drawn differs from frame 59",
    ),
    "drawing_in_pixels": ("sizes", "the mean x of what its systems draw (units) is 320 at 640 × 360 instead of 960"),
    "drawing_not_a_number": ("finite", "red, green, blue of 1 of 201 sprites that systems draw is NaN or infinite"),
    "drawing_per_frame": ("frame_rates", "the mean x of what its systems draw (units) is"),
    "endless_growth": ("bounds", "they grow without end"),
    "global_numpy_random": ("determinism", "differ from frame 0 on, in Position.x, Velocity.x"),
    "global_random": ("determinism", "never from numpy.random or random"),
    "hour_of_day": ("determinism", "never from time or datetime"),
    "hue_per_frame": ("frame_rates", "the mean green is"),
    "kept_view": ("resume", "systems keep something of their own from frame to frame: Sway.speeds"),
    "late_not_a_number": ("bounds", "Position.x, Velocity.x of 9 of 200 particles is NaN or infinite in frame 10"),
    "matrix_product": ("processors", "@ at tests.ecs_core.testing.broken.matrix_product:"),
    "move_per_frame": ("frame_rates", "the mean distance covered in 0.5 s (units) is"),
    "nameless_setting": ("schema", "strength has no description and no group and no minimum and no maximum"),
    "needs_a_song": ("silence finite frame_rates", "raises IndexError: index -1 is out of bounds"),
    "negative_drawing": ("finite", "red, green, blue of 1 of 201 sprites that systems draw is negative in frame 0"),
    "not_a_number": ("finite", "Position.x, Velocity.x of 1 of 200 particles is NaN or infinite in frame 0"),
    "not_without_particles": ("empty", "with particle_count = 0 it raises ValueError"),
    "overdrawn": ("overdraw", "particles would cover the picture more than 1000 times"),
    "pixels": ("sizes", "never from settings.width and settings.height"),
    "random_drawing": ("determinism", "differ from frame 0 on, in what systems draw (x, y)"),
    "runaway_speed": ("bounds", "more than 10 heights of the canvas a second"),
    "seconds_of_day": ("determinism", "never from time or datetime"),
    "slow_decay_per_frame": ("frame_rates", "compared with 10 frames a second"),
    "slow_growth": ("bounds", "they grow without end"),
    "slow_runaway": ("bounds", "the mean speed grows from"),
    "spring_per_frame": ("frame_rates", "at 1 frame a second instead of"),
    "state_in_component": ("resume", "in Position.x, Velocity.x"),
    "state_in_module": ("determinism", "keep nothing in variables of a module"),
    "state_on_system": ("resume", "Sway.angle"),
    "text_hash": ("determinism", "never use hash() of a text"),
    "wall_clock": ("determinism", "take the time from Clock"),
    "wraps_in_sight": ("wraps", "vanish at one edge and are at the opposite one at once, within sight"),
}
ONCE_FOR_ALL = {"late_births", "loop_over_particles"}  # these have tests of their own


SLOW = 50.0  # µs per particle: what is right passes on a slow machine, too


def broken(name: str) -> ParticleType:
    kind: ParticleType = importlib.import_module(f"tests.ecs_core.testing.broken.{name}").BROKEN
    return kind


def refused(particle_type: ParticleType, *checks: str, budget: float = 2.0) -> Report:
    """The report of a type that does not pass the checks, or all of them."""
    with pytest.raises(ConformanceError) as caught:
        check_particle_type(particle_type, checks=checks or tuple(CHECKS), budget=budget)
    return caught.value.report


# --- what is right -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", particle_types().types)
def test_builtin_types_pass(name: str) -> None:
    assert check_particle_type(name, budget=SLOW).passed == tuple(CHECKS)


def test_small_third_party_plugin_passes() -> None:
    assert check_particle_type(EMBERS, budget=SLOW).passed == tuple(CHECKS)


def test_population_without_columns_passes() -> None:
    def populate(world: World, settings: Settings) -> None:
        EMBERS.fill(world, settings)
        world.populate((), (Gravity(),), name="nothing")

    kind = replace(EMBERS, populate=populate, archetype=(), components=())
    assert check_particle_type(kind, checks=("finite", "bounds")).passed == ("finite", "bounds")


def test_only_requested_checks_run() -> None:
    assert check_particle_type(EMBERS, checks=("determinism",)).passed == ("determinism",)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(SceneError, match="Invalid particle type: ember"):
        check_particle_type("ember")


def test_invalid_config_is_refused() -> None:
    with pytest.raises(SceneError, match="particle_count"):
        check_particle_type(EMBERS, config={"particle_count": -1})


def global_state() -> tuple[object, ...]:
    clocks = time.time, time.time_ns, time.monotonic, time.perf_counter, time.localtime, time.strftime
    theirs = vars(importlib.import_module("tests.ecs_core.testing.broken.hour_of_day"))
    return (*clocks, datetime.datetime, datetime.date, theirs["datetime"], theirs.get("hash"))


def test_checks_leave_no_global_state_changed() -> None:
    before = global_state()
    numbers = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - what must not be changed
    check_particle_type(EMBERS, checks=("determinism",))
    refused(broken("hour_of_day"), "determinism")
    assert global_state() == before
    assert (random.getstate(), np.random.get_state()[1].tolist()) == numbers  # noqa: NPY002 - likewise


# --- what is wrong -----------------------------------------------------------------------------------------------


def test_every_broken_plugin_is_tried() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == MISTAKES.keys() | ONCE_FOR_ALL


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_caught_and_explained(name: str) -> None:
    checks, words = MISTAKES[name]
    report = refused(broken(name))
    assert report.failed == tuple(checks.split())
    assert words in " ".join(str(report).split())


def test_loop_over_particles_is_too_slow() -> None:
    (problem,) = refused(broken("loop_over_particles"), "time_budget", budget=0.01).problems  # on any machine
    assert "µs per particle with 2000 particles; the budget is 0.01 µs. Steer takes" in problem.saw


def test_exception_is_reported_once_with_its_place() -> None:
    (problem,) = refused(broken("late_births")).problems
    assert "raises StructuralChangeError" in problem.saw
    assert "at late_births.py:" in problem.saw
    assert "in process: table.spawn(1) (in frame 0, 30 fps, song: silence)" in problem.saw


def test_exception_in_populate_is_reported() -> None:
    def populate(world: object, settings: Settings) -> None:
        raise KeyError("no such colour")

    (problem,) = refused(ParticleType("raises", populate=populate)).problems
    assert "raises KeyError: 'no such colour' at test_kit.py:" in problem.saw
    assert "(while it was set up" in problem.saw


def test_all_problems_are_reported_together() -> None:
    worse = replace(broken("runaway_speed"), settings=broken("nameless_setting").settings)
    report = refused(worse)
    assert report.failed == ("schema", "ignored", "bounds")
    assert str(report).startswith("particle type 'runaway_speed' has 3 problems:\n1. schema: ")


def test_unjudged_checks_do_not_count_as_passed() -> None:
    report = refused(broken("wall_clock"))
    assert report.unjudged.keys() == {"resume", "frame_rates", "sizes"}
    assert "Not judged: sizes, as two runs differ anyway." in str(report)


def test_place_outside_an_upright_picture_is_found() -> None:
    columns = (Position, Velocity, Size, Color, Look)
    aside = ParticleType("aside", archetype=columns, components=(Burst(1700.0, 540.0, count=200), Sprite()))
    (problem,) = refused(aside, "sizes").problems
    assert "0% of the particles are seen in an upright picture, and 100% in a wide one" in problem.saw


def test_ring_that_is_wider_than_an_upright_picture_is_found() -> None:
    columns = (Position, Velocity, Size, Color, Look)

    def populate(world: World, settings: Settings) -> None:
        canvas = world.get(Canvas)
        inner, outer = 0.45 * canvas.height, 0.49 * canvas.height
        ring = Burst(canvas.width / 2, canvas.height / 2, shape="ring", inner=inner, outer=outer, count=200)
        world.populate(columns, (ring, Sprite()))

    (problem,) = refused(ParticleType("ring", populate=populate), "sizes").problems
    assert "are seen in an upright picture" in problem.saw


def test_negative_light_is_found() -> None:
    class Dim(System):
        phase = Phase.SHADE

        def process(self) -> None:
            for _, (look,) in self.world.query(Look):
                look.light -= np.float32(1.1)

    columns = (Position, Velocity, Size, Color, Look)
    dim = ParticleType("dim", archetype=columns, components=(Burst(960.0, 540.0, count=20), Sprite()), systems=(Dim,))
    problems = refused(dim, "finite").problems
    assert "Look.light of 20 of 20 particles is negative in frame 0" in problems[0].saw


def test_picture_that_empties_is_found() -> None:
    columns = (Position, Velocity, Size, Color, Look)
    burst = ParticleType("burst", archetype=columns, components=(Burst(300.0, 540.0, count=200), Sprite()))
    (problem,) = refused(burst).problems
    assert "after 180 s of loud music none of 200 particles is seen any more" in problem.saw


def test_population_added_during_a_frame_is_found() -> None:
    class Add(System):
        phase = Phase.EMIT

        def process(self) -> None:
            if self.world.frame == 30:
                self.world.populate((Position,))

    (problem,) = refused(replace(EMBERS, systems=(*EMBERS.systems, Add)), "resume").problems
    assert "populations can be created only when a scene is set up, not within a step" in problem.saw


def test_default_outside_its_own_limits_is_found() -> None:
    class Reach(Settings):
        reach: float = option(5.0, "how far", group="motion", ge=0, le=1)

    (problem,) = refused(replace(EMBERS, settings=Reach), "schema").problems
    assert "the settings' own defaults are not valid" in problem.saw


def test_numbers_within_a_list_need_limits_too() -> None:
    class Steps(Settings):
        steps: tuple[float, ...] = option((1.0,), "how far each time", group="motion")

    (problem,) = refused(replace(EMBERS, settings=Steps), "schema").problems
    assert "steps has no minimum and no maximum" in problem.saw


def test_invalid_preset_is_named(tmp_path: Path) -> None:
    (tmp_path / "storm.json").write_text('{"particle_cuont": 5}')
    (problem,) = refused(replace(EMBERS, presets=tmp_path), "presets").problems
    assert "preset 'storm' does not work: unknown setting 'particle_cuont'" in problem.saw


def test_folder_without_presets_is_found(tmp_path: Path) -> None:
    (problem,) = refused(replace(EMBERS, presets=tmp_path / "pressets"), "presets").problems
    assert "there are no *.json files in" in problem.saw


# --- pytest ------------------------------------------------------------------------------------------------------


def test_pytest_plugin_loads_nothing_heavy() -> None:
    code = "import sys, ecs_core.testing.pytest_plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "numba", "esper", "pydantic"} & set(done.stdout.split())


def test_authors_get_the_fixture_without_an_import(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        'def test_snow(check_particle_type):\n    check_particle_type("snow", checks=("schema", "silence"))\n'
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "ecs_core.testing.pytest_plugin", str(tmp_path)]
    # Installed or not: named twice, it would be refused.
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=alone, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
