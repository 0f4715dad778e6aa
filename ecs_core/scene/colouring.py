"""Colours by what particles do: the setting ``color_by``, for all populations that may have several colours."""

from __future__ import annotations

from ecs_core.ecs.components import (
    Brightness,
    Burst,
    Color,
    ColorBy,
    ColorOverLife,
    Emission,
    EmitFrom,
    Upkeep,
    Velocity,
)
from ecs_core.ecs.world import World
from ecs_core.scene.settings import Settings


def color_populations(world: World, settings: Settings) -> None:
    """Let particles have the colours of their births' palette by what the settings say.

    Not those that have their colours from elsewhere: by their age, from others at which they are born, or by a ColorBy
    of their type.
    """
    if settings.color_by is None or "color_by" in settings.ignored:
        return
    others = (Burst, Emission, Upkeep, EmitFrom, ColorOverLife, ColorBy, Velocity)
    for entity, (_, *births, origin, over_life, own, velocity) in world.query(Color, optional=others):
        palette = next((birth.palette for birth in births if birth is not None), None)
        tinted = origin is not None and origin.tinted
        still = settings.color_by == "speed" and velocity is None
        if palette is None or len(set(palette.colours)) < 2 or tinted or over_life or own or still:
            continue
        world.replace(entity, ColorBy(settings.color_by, palette, usual=settings.usual_speed))
        if settings.color_by != "birth" and world.component(entity, Brightness) is None:
            world.add_column(entity, Brightness)
