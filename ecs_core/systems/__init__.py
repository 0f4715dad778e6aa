"""Reusable systems: each acts on every population that has the components it asks for, and knows no other system."""

from ecs_core.ecs.world import System
from ecs_core.systems.audio_reaction import React, ReactInLook, ReactInMotion
from ecs_core.systems.collision import BounceOff
from ecs_core.systems.lifetime import Reap
from ecs_core.systems.motion import Attract, Gravitate, Move, Shake, Swell, Swirl
from ecs_core.systems.shading import Dim, Expose, Flicker, Glow, Grow, Tint
from ecs_core.systems.spawning import Emit

# What every world runs, in this order within each phase, before the systems of its particle type.
BUILT_IN: tuple[type[System], ...] = (
    React,
    Reap,
    Emit,
    Gravitate,
    Attract,
    Swirl,
    Shake,
    ReactInMotion,
    Move,
    Swell,
    BounceOff,
    Expose,
    Grow,
    Glow,
    Tint,
    Flicker,
    Dim,
    ReactInLook,
)
