"""Boxes: panels behind text, frames, rules, discs and rings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from ecs_core.layers.kind import Drawer, LayerKind, Moment, Stage
from ecs_core.scene.layer_settings import PlacedLayer
from ecs_core.scene.model import RGB, option

if TYPE_CHECKING:
    from ecs_core.raster.marks import Mark, Pose


class BoxSettings(PlacedLayer):
    """A box with round corners; ``size`` is its width."""

    bindable = ("rim",)

    height: Annotated[float, Field(gt=0, le=10)] | None = option(
        None, "its height as a share of the picture's shorter side; null: as its width", group="place"
    )
    corner: float = option(
        0.0, "radius of its corners, as a share of its shorter side; 0.5: a disc", group="look", ge=0, le=0.5
    )
    rim: float = option(
        0.0, "width of its rim, as a share of the picture's shorter side; 0: it is filled", group="look", ge=0, le=1
    )
    color: RGB = option((255, 255, 255), "its colour", group="look")


def _prepare(settings: BoxSettings, stage: Stage) -> Drawer:
    from ecs_core.raster.light_pictures import light_of  # noqa: PLC0415 - slow, and not needed to read settings
    from ecs_core.raster.marks import BoxesMark  # noqa: PLC0415 - slow, and not needed to read settings

    light = np.array(light_of(settings.color), np.float32)
    wide = settings.size * stage.short / 2
    tall = wide if settings.height is None else settings.height * stage.short / 2
    x, y, half, high = (np.array([value], np.float32) for value in (0, 0, wide, tall))

    def draw(now: BoxSettings, moment: Moment, pose: Pose) -> Sequence[Mark]:
        return [
            BoxesMark.at(
                pose, x, y, half, high, light,
                corner=settings.corner * 2 * min(wide, tall), rim=now.rim * stage.short, blend=now.blend,
            )
        ]  # fmt: skip

    return draw


BOX = LayerKind("box", "a panel, a frame, a rule, a disc or a ring", BoxSettings, _prepare)
