"""Components of space: depth, the volume that particles fill, and links between them. Units as in ``components``."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from ecs_core.arrays import F32
from ecs_core.ecs.components import FAR, TRAIL_POINTS, Limits
from ecs_core.ecs.table import Column
from ecs_core.ecs.values import Draw, Range


class Depth(Column):
    """Place and velocity in depth: ``z`` in units, 0 in the plane of the canvas and growing away from the viewer;
    ``vz`` in units/s.
    """

    z: F32
    vz: F32


class TrailDepths(Column):
    """The depth of each of a particle's TrailPoints, ``z0`` the newest, and in the last frame."""

    z: F32

    fields = (*(f"z{k}" for k in range(TRAIL_POINTS)), "z")


@dataclass(frozen=True, slots=True)
class Volume:
    """Where particles that have Depth are born, and what happens at the ends of that space.

    They are born evenly between the planes z = ``near`` and z = ``far`` (units), moving away from the viewer at
    ``speed`` (units/s; negative: towards). At the planes they "wrap", which shows nowhere, as their light is gone there
    and rises within ``fade`` units; or they "reflect", with the restitution of Walls that do; or the space is "open".
    """

    bindable: ClassVar[tuple[str, ...]] = ("speed",)

    near: float = -400.0
    far: float = 1200.0
    speed: Draw = Range(0.0, 0.0)
    walls: Literal["wrap", "reflect", "open"] = "wrap"
    fade: float = 150.0


@dataclass(frozen=True, slots=True)
class Links:
    """Lines between particles of the population that are nearer to each other than ``reach`` units, in space if they
    have Depth.

    A line is drawn where each of two particles is among the ``most`` nearest of the other, by birth id where distances
    are equal. Its light is ``light`` times theirs; it falls to 0 at ``reach``, and where the next neighbour is as near,
    so that lines fade in and out. ``width`` is its radius in units.
    """

    limits: ClassVar[Limits] = MappingProxyType(
        {"reach": (0.0, FAR), "most": (0, 16), "light": (0.0, 100.0), "width": (0.0, 100.0)}
    )

    reach: float = 140.0
    most: int = 4
    light: float = 0.4
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class MovingCamera:
    """A resource of worlds whose camera may move: streaks are then those of the way on the screen."""
