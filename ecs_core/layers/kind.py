"""LayerKind: what a layer can show besides particles, such as pictures and texts; plugins add kinds.

A kind has a settings model, a :class:`~ecs_core.scene.layer_settings.PlacedLayer`, and a function ``prepare`` that
makes a *drawer* from such settings once per process: what takes long, such as reading a picture, is done there. It is
called for each frame in which the layer is seen, with the settings as bindings have them in that frame, and returns
marks: pictures, masks, boxes (``ecs_core.raster.marks``) or Sprites in pixels. It must depend on nothing but the frame,
so that a video can be cut anywhere; where nothing changes it should return equal marks, which are not drawn anew.
``ecs_core/layers/image.py`` is an example.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

from ecs_core.errors import PluginError
from ecs_core.scene.layer_settings import COMMON_TARGETS, PARTICLES, LayerSettings, PlacedLayer

if TYPE_CHECKING:
    from ecs_core.audio.timeline import FeatureTimeline
    from ecs_core.raster.marks import Mark, Pose
    from ecs_core.raster.sprites import Sprites


@dataclass(frozen=True, eq=False)
class Stage:
    """What a layer is drawn on: a picture of ``width × height`` pixels, and the song.

    ``timeline`` has one value of each feature per frame.
    """

    width: int
    height: int
    fps: Fraction
    timeline: FeatureTimeline

    @property
    def short(self) -> int:
        """The shorter side, pixels; sizes are shares of it."""
        return min(self.width, self.height)

    @property
    def unit(self) -> float:
        """Pixels of a unit, of which the shorter side has 1080."""
        return self.short / 1080


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame: its number, its second ``t`` of the video, and ``song``, its second of the song.

    ``entered`` and ``staying`` are 0–1: the share of the layer's entering that is done, of its leaving that is left.
    """

    frame: int
    t: float
    song: float
    entered: float = 1.0
    staying: float = 1.0


Drawer: TypeAlias = "Callable[[Any, Moment, Pose], Sequence[Mark | Sprites]]"


@dataclass(frozen=True, slots=True)
class LayerKind:
    """What a plugin registers with ``motes_layers``.

    ``prepare(settings, stage)`` returns the drawer, which is called as ``drawer(settings, moment, pose)`` for each
    frame. ``check(settings)``, if there is one, refuses what cannot be drawn with a SceneError, before any work;
    ``fits(settings, width, height)`` refuses what cannot be drawn in a picture of so many pixels. With ``sonogram``,
    the stage's timeline has the song's (None without a song). Kinds that draw lines of light, with Sprites, should say
    so by ``lines``: then what draws these is compiled before the first frame. Where a kind shows what never comes
    again, such as a song's progress, it says that it does not ``loops``.

    Raises:
        PluginError: an argument is invalid; the message names it.
    """

    name: str
    description: str
    settings: type[PlacedLayer]
    prepare: Callable[[Any, Stage], Drawer]
    check: Callable[[Any], None] | None = None
    fits: Callable[[Any, int, int], None] | None = None
    sonogram: bool = False
    lines: bool = False
    loops: bool = True

    def __post_init__(self) -> None:
        def refuse(what: str) -> None:
            raise PluginError(f"layer kind {self.name!r}: {what}")

        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", str(self.name)) or self.name == PARTICLES:
            refuse("its name must be of small letters, digits and _, begin with a letter, and be free")
        settings: object = self.settings
        if not (isinstance(settings, type) and issubclass(settings, PlacedLayer)):
            refuse(f"settings must be a class that inherits from PlacedLayer, not {self.settings!r}")
        unknown = set(self.settings.bindable) - self.settings.model_fields.keys()
        if unknown:
            refuse(f"bindable names {min(unknown)!r}, which is no setting of it")

    @property
    def targets(self) -> tuple[str, ...]:
        """What bindings of such a layer can move."""
        return (*COMMON_TARGETS, *self.settings.bindable)


def is_of_particles(layer: LayerSettings) -> bool:
    """Whether a layer has a particle type."""
    return layer.kind == PARTICLES
