"""Settings of layers: what all kinds of layers share, and those of particles."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ecs_core.raster.sprites import Blend
from ecs_core.scene.model import Model, Share, option
from ecs_core.scene.nested_settings import BindingSettings

PARTICLES = "particles"  # the kind of layers that have a particle type
Fraction = Annotated[float, Field(ge=-10, le=10)]  # of the picture's width or height
Enter = Literal["none", "fade", "rise", "fall", "grow"]


class LayerSettings(Model):
    """A layer of any kind: what all have; each kind adds its own, which its model checks."""

    model_config = ConfigDict(extra="allow")

    kind: str = option(
        PARTICLES, "what it shows: particles, image, text …", group="layers", min_length=1, max_length=64
    )
    name: str | None = option(
        None,
        "random draws depend on it, so that they stay when other layers come or go; null: that of its type or kind",
        group="layers",
        min_length=1,
        max_length=64,
    )
    behind: bool = option(
        False,
        "drawn before the scene's own particles, which shows where those cover it (blend)",
        group="layers",
    )
    opacity: Share = option(1.0, "share of its light, or of what it covers, that is seen", group="layers")


class ParticleLayer(LayerSettings):
    """More particles in the same picture, of another type or of the same one with other settings."""

    model_config = ConfigDict(extra="forbid")

    type: str = option(..., "particle type", group="layers", examples=["zen"], min_length=1, max_length=64)
    config: dict[str, Any] = option(
        dict, "settings of the type, except those of the whole video", group="layers", examples=[{"particle_count": 50}]
    )


class DrawnSettings(Model):
    """What all that is drawn beside particles has: when it is seen, and what moves it.

    ``bindable`` names the numbers that bindings can move, besides those that all layers have.
    """

    bindable: ClassVar[tuple[str, ...]] = ()

    begin: float = option(0.0, "when it appears, from the video's start", group="time", unit="s", ge=0, le=86_400)
    end: float | None = option(
        None, "when it has gone; null: with the video's end", group="time", unit="s", ge=0, le=86_400
    )
    enter: Enter = option("none", "how it appears", group="time")
    leave: Enter = option("none", "how it goes", group="time")
    enter_seconds: float = option(0.8, "how long that takes", group="time", unit="s", ge=0, le=60)
    leave_seconds: float = option(0.8, "how long that takes", group="time", unit="s", ge=0, le=60)
    bloom: bool = option(True, "its light spreads where the finish has bloom", group="look")
    bindings: tuple[BindingSettings, ...] = option(
        (), "lets any feature of the song move its numbers: opacity, scale, rotation …", group="music", max_length=64
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.end is not None and self.end <= self.begin:
            raise ValueError(f"end = {self.end:g}: must be after begin = {self.begin:g}")
        return self


class PlacedLayer(DrawnSettings, LayerSettings):
    """What a layer has that is drawn in one place: a picture, a text, bars. Kinds inherit from it."""

    model_config = ConfigDict(extra="forbid")

    x: Fraction = option(0.5, "its middle, as a fraction of the width", group="place")
    y: Fraction = option(0.5, "its middle, as a fraction of the height", group="place")
    size: float = option(0.5, "its size as a share of the picture's shorter side", group="place", gt=0, le=10)
    scale: float = option(1.0, "how much larger; best bound to the song", group="place", unit="times", ge=0, le=20)
    rotation: float = option(0.0, "turned clockwise", group="place", unit="degrees", ge=-36_000, le=36_000)
    spin: float = option(0.0, "turns by itself; a record: 200", group="place", unit="degrees/s", ge=-3600, le=3600)
    safe: bool = option(True, "lies within the safe_area, as if that were the whole picture", group="place")
    blend: Blend = option("over", "covers what is behind it, or adds its light to that", group="look")
    camera: bool = option(False, "moves with the scene's camera", group="place")


COMMON_TARGETS = ("opacity", "scale", "rotation", "x", "y")
