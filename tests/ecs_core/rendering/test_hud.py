"""The HUD: seen only when it is asked for, and then it tells what is heard."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest

from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.resources import AudioFrame
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.hud import ROWS, hud_sprites
from ecs_core.rendering.plan import with_levels
from ecs_core.rendering.simulation import Simulation
from ecs_core.scene.scene import Scene
from ecs_core.scene.settings import Settings

LIGHTS = 16


def heard(**features: float) -> FeatureTimeline:
    """Two frames in which the given features have these values."""
    silence = FeatureTimeline.silence(Fraction(30), 2)
    return silence.with_features({name: np.full(2, value, np.float32) for name, value in features.items()})


def first_frame(timeline: FeatureTimeline, **config: object) -> Sprites:
    kind, settings = Scene("zen", config={"particle_count": 30, "duration": 1.0, **config}).resolve()
    with Simulation(kind, settings, with_levels(timeline, settings)) as simulation:
        return simulation.frame()


def rows(**features: float) -> np.ndarray:
    """How bright each light is, (rows, lights)."""
    return hud_sprites(AudioFrame(0, heard(**features)), height=1080.0, scale=1.0).blue.reshape(len(ROWS), LIGHTS)


def test_off_unless_it_is_set() -> None:
    assert Settings().hud is False
    assert len(first_frame(heard(bass=1.0))) == 30


def test_adds_a_row_of_lights_for_each_feature_when_set() -> None:
    assert len(first_frame(heard(), hud=True)) == 30 + LIGHTS * len(ROWS)


def test_changes_nothing_else() -> None:
    without, with_hud = (first_frame(heard(bass=1.0), hud=hud) for hud in (False, True))
    for field in fields(Sprites):
        if getattr(without, field.name) is None:
            assert getattr(with_hud, field.name) is None
            continue
        np.testing.assert_array_equal(getattr(with_hud, field.name)[:30], getattr(without, field.name))


@pytest.mark.parametrize("hud", [False, True])
def test_can_be_set_without_particles(hud: bool) -> None:
    assert len(first_frame(heard(), particle_count=0, hud=hud)) == hud * LIGHTS * len(ROWS)


@pytest.mark.parametrize(("value", "lit"), [(0.0, 0), (0.5, 8), (1.0, 16)])
@pytest.mark.parametrize("feature", ROWS)
def test_as_many_lights_are_lit_as_the_feature_is_high(feature: str, value: float, lit: int) -> None:
    bright = rows(**{feature: value}) > 1
    assert bright[ROWS.index(feature)].tolist() == [True] * lit + [False] * (LIGHTS - lit)
    assert bright.sum() == lit


def test_unlit_lights_are_faint_not_black() -> None:
    assert 0 < rows().max() < 0.1


@pytest.mark.parametrize("height", [360, 1080, 2160])
def test_same_place_at_any_size(height: int) -> None:
    drawn = first_frame(heard(), hud=True, width=height * 16 // 9, height=height, particle_count=0)
    assert drawn.x.min() == pytest.approx(40 / 1080 * height)
    assert drawn.y.max() == pytest.approx(1040 / 1080 * height)
    assert drawn.radius.max() == pytest.approx(3 / 1080 * height)
