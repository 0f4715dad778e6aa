"""Boxes and records, layers that turn by themselves, and the safe area that layers lie in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ecs_core import Scene, SceneError
from ecs_core.layers.record import RecordSettings, record_picture
from ecs_core.raster.marks import BoxesMark, MaskMark, PictureMark
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation

SCENE: dict[str, Any] = {"width": 192, "height": 108, "duration": 4.0, "fps": 10, "particle_count": 0}


def marks(layer: dict[str, Any], *, at: float = 1.0, **config: Any) -> list[Any]:
    plan = make_plan(*Scene("zen", None, SCENE | {"layers": [layer]} | config).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(round(at * 10))
        simulation.frame()
        return [placed.mark for placed in simulation.marks]


class TestBox:
    def test_has_its_width_and_height_in_shares_of_the_shorter_side(self) -> None:
        (box,) = marks({"kind": "box", "size": 0.5, "height": 0.25})
        assert isinstance(box, BoxesMark)
        assert (box.wide[0] * 2, box.tall[0] * 2) == (54, 27)

    def test_is_a_square_without_a_height_and_a_disc_with_round_corners(self) -> None:
        (box,) = marks({"kind": "box", "size": 0.5, "corner": 0.5})
        assert box.wide[0] == box.tall[0] == box.corner[0] == 27

    def test_can_be_a_rim(self) -> None:
        (box,) = marks({"kind": "box", "size": 0.5, "rim": 0.1})
        assert box.rim[0] == pytest.approx(10.8)

    @pytest.mark.parametrize(
        ("layer", "message"),
        [({"height": 0}, "height = 0: must be over 0"), ({"corner": 0.7}, "corner = 0.7: must be between 0 and 0.5")],
    )
    def test_that_is_none_is_refused(self, layer: dict[str, Any], message: str) -> None:
        with pytest.raises(SceneError, match=message):
            marks({"kind": "box", **layer})


class TestRecord:
    def test_is_round_and_dark_with_a_label(self) -> None:
        pixels = record_picture(200, RecordSettings.model_validate({"kind": "record", "label": [250, 40, 40]}))
        assert pixels[0, 0, 3] == 0
        assert pixels[100, 30, 3] == 255
        assert pixels[100, 30, :3].max() < 120
        assert tuple(pixels[100, 80, :3]) == (250, 40, 40)
        assert pixels[100, 100, :3].max() < 20  # the hole

    def test_has_grooves_and_a_sheen_that_can_be_left_out(self) -> None:
        def light(sheen: float) -> float:
            settings = RecordSettings.model_validate({"kind": "record", "sheen": sheen})
            return float(record_picture(300, settings)[:, :, :3].mean())

        assert light(1) > light(0.2) > light(0)

    def test_has_a_shadow_and_an_arm(self) -> None:
        shadow, record, arm = marks({"kind": "record", "arm": True})
        assert isinstance(shadow, MaskMark)
        assert isinstance(record, PictureMark)
        assert isinstance(arm, BoxesMark)
        assert len(marks({"kind": "record", "shadow": 0})) == 1

    def test_has_its_diameter(self) -> None:
        record = marks({"kind": "record", "size": 0.5, "shadow": 0})[0]
        left, _, right, _ = record.bounds
        assert right - left == pytest.approx(54, abs=4)


class TestSpin:
    def test_turns_with_the_time(self) -> None:
        box = {"kind": "box", "spin": 90, "rotation": 10}
        assert marks(box, at=1)[0].angle[0] == pytest.approx(math.radians(100), abs=1e-5)
        assert marks(box, at=3)[0].angle[0] == pytest.approx(math.radians(280), abs=1e-5)

    def test_does_not_move_what_has_none(self) -> None:
        assert marks({"kind": "box"}, at=1)[0].angle[0] == marks({"kind": "box"}, at=3)[0].angle[0] == 0


AREA = {"left": 0.25, "right": 0.25, "top": 0.5, "bottom": 0}


class TestSafeArea:
    def test_is_the_picture_of_layers(self) -> None:
        (box,) = marks({"kind": "box", "size": 1, "x": 0, "y": 1}, safe_area=AREA)
        assert (box.x[0], box.y[0]) == (48, 108)
        assert box.wide[0] * 2 == 54  # the shorter side of what is left, 96 × 54

    def test_is_not_that_of_layers_that_are_not_to_be_safe(self) -> None:
        (box,) = marks({"kind": "box", "size": 1, "x": 0, "y": 1, "safe": False}, safe_area=AREA)
        assert (box.x[0], box.y[0], box.wide[0] * 2) == (0, 108, 108)

    def test_is_heeded_when_texts_are_checked(self) -> None:
        text = {"kind": "text", "text": "a long line of words " * 9, "size": 0.06, "lines": 1}
        marks(text)
        with pytest.raises(SceneError, match="smallest size that can be read"):
            marks(text, safe_area={"left": 0.4, "right": 0.4})

    def test_of_a_platform_is_clear_of_its_buttons(self) -> None:
        tall = {"platform": "tiktok", "width": 108, "height": 192, "fps": 30}
        left, top, right, bottom = marks({"kind": "box", "size": 1, "height": 1.6}, **tall)[0].bounds
        assert top >= 25 - 2
        assert bottom <= 192 - 42 + 2
        assert (left, right) == pytest.approx((17, 108 - 17), abs=2)


def test_marks_are_equal_where_nothing_changes() -> None:
    one, other = marks({"kind": "record"}, at=1), marks({"kind": "record"}, at=2)
    assert np.allclose(one[0].bounds, other[0].bounds)
