"""Reusable systems: each acts on every population that has the components it asks for, and knows no other system."""

from ecs_core.ecs.world import System
from ecs_core.systems.audio_reaction import ReactiveColumnsSystem, ReactiveComponentsSystem, ReactiveLookSystem
from ecs_core.systems.collision import CollideSystem
from ecs_core.systems.lifetime import LifetimeSystem
from ecs_core.systems.motion import (
    AttractionSystem,
    GravitySystem,
    GrowthSystem,
    JitterSystem,
    MotionSystem,
    TurbulenceSystem,
)
from ecs_core.systems.shading import (
    ColorOverLifeSystem,
    FadeWithDistanceSystem,
    LightOverLifeSystem,
    LookSystem,
    SizeOverLifeSystem,
    TwinkleSystem,
)
from ecs_core.systems.spawning import EmissionSystem

# What every world runs, in this order within each phase, before the systems of its particle type.
BUILT_IN: tuple[type[System], ...] = (
    ReactiveComponentsSystem,
    LifetimeSystem,
    EmissionSystem,
    GravitySystem,
    AttractionSystem,
    TurbulenceSystem,
    JitterSystem,
    ReactiveColumnsSystem,
    MotionSystem,
    GrowthSystem,
    CollideSystem,
    LookSystem,
    SizeOverLifeSystem,
    LightOverLifeSystem,
    ColorOverLifeSystem,
    TwinkleSystem,
    FadeWithDistanceSystem,
    ReactiveLookSystem,
)
