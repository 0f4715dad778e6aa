"""Settings within settings: bindings, hearing, the camera, the finish."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ecs_core.scene.model import RGB, Model, Percent, Share, option


class EnhancedMode(Model):
    """A level at or over ``threshold`` counts ``factor`` times, up to 1."""

    active: bool = option(True, "whether loud passages are amplified", group="music")
    threshold: Share = option(0.3, "levels at or over this are amplified", group="music")
    factor: float = option(2.0, "by how much", group="music", unit="times", ge=0, le=10)


class BindingSettings(Model):
    """Lets any feature of the song move any bindable parameter (``motes types TYPE`` lists both)."""

    source: str = option(
        ...,
        "a feature of the song: bass, onset, level …; or an event: kick, beat, drop …",
        group="music",
        examples=["bass"],
    )
    target: str = option(
        ..., "a parameter: size, speed, light, color, emission.rate …", group="music", examples=["size"]
    )
    op: Literal["multiply", "add", "set"] | None = option(
        None, "value × (1 + v), value + v or v; null: multiply, or add to a parameter that rests at 0", group="music"
    )
    gain: float = option(1.0, "v is the curve's value times this", group="music", ge=-1e6, le=1e6)
    threshold: Share = option(0.0, "the feature counts as 0 below this; weaker events are left out", group="music")
    curve: (
        Literal["linear", "square", "root", "smooth", "step"]
        | Annotated[
            tuple[tuple[Share, Annotated[float, Field(ge=-1e6, le=1e6)]], ...], Field(min_length=2, max_length=64)
        ]
    ) = option(
        "linear",
        "from feature to v: a name, or points [[feature, v], …] in ascending order",
        group="music",
        examples=["smooth", [[0, 0], [0.5, 0.2], [1, 1]]],
    )
    attack: float = option(0.0, "time constant of rising", group="music", unit="s", ge=0, le=60)
    release: float = option(
        0.0, "time constant of falling; of an event, 0 means 0.15", group="music", unit="s", ge=0, le=60
    )
    look_ahead: float = option(0.0, "how far ahead of the song", group="music", unit="s", ge=-10, le=10)
    quantise: Literal["bar", "beat", "half", "quarter"] | None = option(
        None, "events move to the nearest bar, beat or part of a beat; features change there alone", group="music"
    )

    @field_validator("curve")
    @classmethod
    def _ascending(cls, value: Any) -> Any:
        if not isinstance(value, str) and any(a[0] >= b[0] for a, b in pairwise(value)):
            raise ValueError("points must have ascending positions")
        return value


class HearingSettings(Model):
    """How a feature or an event is heard, in percentiles of the song."""

    threshold: Percent | None = option(
        None, "the feature is 0 up to here; weaker events are left out", group="music", unit="%"
    )
    full: Percent | None = option(
        None, "the feature is 1 from here on: the lower, the more sensitive", group="music", unit="%"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.threshold is not None and self.full is not None and self.threshold >= self.full:
            raise ValueError(f"threshold {self.threshold:g} must be under full {self.full:g}")
        return self


class CameraSettings(Model):
    """What is seen of the scene; bindings can move it: camera.zoom, camera.shake, camera.angle, …."""

    x: float = option(0.5, "what lies in the middle, as a fraction of the width", group="camera", ge=-10, le=10)
    y: float = option(0.5, "what lies in the middle, as a fraction of the height", group="camera", ge=-10, le=10)
    zoom: float = option(1.0, "how much larger", group="camera", unit="times", ge=0.05, le=20)
    roll: float = option(0.0, "turned clockwise", group="camera", unit="degrees", ge=-36_000, le=36_000)
    drift: float | None = option(
        None,
        "slow, endless wandering of the view; null: as the type has it",
        group="camera",
        unit="units",
        ge=0,
        le=2000,
    )
    shake: float | None = option(
        None,
        "fast, small tremor, best bound to kicks; null: as the type has it",
        group="camera",
        unit="units",
        ge=0,
        le=500,
    )
    orbit: float | None = option(
        None,
        "turns space, of types with depth; null: as the type has it",
        group="camera",
        unit="degrees/s",
        ge=-720,
        le=720,
    )
    angle: float | None = option(
        None, "how far space is turned; null: as the type has it", group="camera", unit="degrees", ge=-36_000, le=36_000
    )
    tilt: float | None = option(
        None,
        "leaning of space, seen from above; null: as the type has it",
        group="camera",
        unit="degrees",
        ge=-90,
        le=90,
    )
    pivot: float | None = option(
        None,
        "depth of the axis of orbit and tilt; null: as the type has it",
        group="camera",
        unit="units",
        ge=-10_000,
        le=10_000,
    )
    perspective: float | None = option(
        None,
        "distance of the viewer; less looks deeper; null: as the type has it",
        group="camera",
        unit="units",
        ge=50,
        le=100_000,
    )
    focus: float | None = option(
        None, "depth that is in focus; null: as the type has it", group="camera", unit="units", ge=-10_000, le=100_000
    )
    aperture: float | None = option(
        None, "radius of discs far out of focus; null: as the type has it", group="camera", unit="units", ge=0, le=500
    )
    fog: float | None = option(
        None, "light falls by a factor of e in 1000 units / fog; null: as the type has it", group="camera", ge=0, le=20
    )


class FinishSettings(Model):
    """What is done to the light of the whole picture; bindings can move its numbers, as finish.bloom."""

    bloom: float = option(
        0.0, "share of its light that each particle spreads around itself, as in a lens", group="finish", ge=0, le=10
    )
    bloom_radius: float = option(120.0, "how far it spreads", group="finish", unit="px", ge=16, le=540)
    exposure: float = option(0.0, "brighter or darker", group="finish", unit="stops", ge=-8, le=8)
    contrast: float = option(
        1.0, "over 1: dark parts are darker, and bright ones brighter", group="finish", unit="times", ge=0.5, le=2
    )
    saturation: float = option(1.0, "strength of colours; 0: grey", group="finish", unit="times", ge=0, le=4)
    shadows: RGB | None = option(None, "colour that dark parts are tinted with", group="finish")
    lights: RGB | None = option(None, "colour that bright parts are tinted with", group="finish")
    vignette: float = option(0.0, "share of the light that is lost in the corners", group="finish", ge=0, le=0.95)
    aberration: float = option(
        0.0, "how far red and blue lie apart in the corners", group="finish", unit="px", ge=-100, le=100
    )
    grain: Share = option(0.0, "roughness of the light, as of film; it does not move", group="finish")
