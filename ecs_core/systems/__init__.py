"""Built-in systems, named after their components. Each acts on every population that has them, and knows no other."""

from ecs_core.ecs.world import System
from ecs_core.systems.audio_reaction import ReactiveColumnsSystem, ReactiveComponentsSystem, ReactiveLookSystem
from ecs_core.systems.collision import CollideSystem
from ecs_core.systems.extraction import SpriteSystem
from ecs_core.systems.lifetime import LifetimeSystem
from ecs_core.systems.links import LinkLines
from ecs_core.systems.motion import (
    AttractionSystem,
    GravitySystem,
    GrowthSystem,
    JitterSystem,
    MotionSystem,
    TurbulenceSystem,
    WrapSystem,
)
from ecs_core.systems.shading import (
    ColorBySystem,
    ColorOverLifeSystem,
    FadeWithDistanceSystem,
    LightOverLifeSystem,
    LookSystem,
    ScaleWithDistanceSystem,
    SizeOverLifeSystem,
    TwinkleSystem,
)
from ecs_core.systems.space import DepthSystem, VolumeFadeSystem
from ecs_core.systems.spawning import EmissionSystem
from ecs_core.systems.trails import TrailLines, TrailSystem
from ecs_core.systems.tumbling import TumbleSystem

# Every world runs these, in this order within a phase, before the systems of its particle type.
BUILT_IN: tuple[type[System], ...] = (
    ReactiveComponentsSystem,
    LifetimeSystem,
    WrapSystem,
    EmissionSystem,
    GravitySystem,
    AttractionSystem,
    TurbulenceSystem,
    JitterSystem,
    ReactiveColumnsSystem,
    MotionSystem,
    DepthSystem,
    GrowthSystem,
    TumbleSystem,
    CollideSystem,
    LookSystem,
    SizeOverLifeSystem,
    LightOverLifeSystem,
    ColorOverLifeSystem,
    ColorBySystem,
    TwinkleSystem,
    FadeWithDistanceSystem,
    ScaleWithDistanceSystem,
    VolumeFadeSystem,
    ReactiveLookSystem,
    TrailSystem,
    TrailLines,
    LinkLines,
    SpriteSystem,
)
