"""ParticleType: a name, a settings model, and how a world is filled for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ecs_core.raster.background import Background
from ecs_core.settings import Settings

if TYPE_CHECKING:
    from ecs_core.schedule import System
    from ecs_core.world import World

API_VERSION = 1


@dataclass(frozen=True, slots=True)
class ParticleType:
    """What a plugin registers.

    ``settings`` validates a scene's config; ``populate(world, settings)`` creates the populations of a fresh world;
    ``systems`` are added, in this order, after ecs_core's own; ``features`` are a few words on what the type can do;
    ``backdrop`` is the background where the settings name none.
    """

    name: str
    description: str
    settings: type[Settings]
    populate: Callable[[World, Any], None]
    systems: tuple[type[System], ...] = ()
    features: tuple[str, ...] = ()
    backdrop: Background = Background()
