"""Settings: what every particle type can be told, checked strictly at the edge.

A particle type's own model inherits from :class:`Settings` and adds fields. Numbers mean what they mean at
1920 × 1080 and 30 frames a second and are scaled to any other size and rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ecs_core.errors import SceneError

Byte = Annotated[int, Field(ge=0, le=255)]
RGB = tuple[Byte, Byte, Byte]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

# Rates that people write as decimals but that are fractions: 23.976, 29.97, 59.94, 119.88.
_NTSC = {round(n * 1000 / 1001, digits): Fraction(n * 1000, 1001) for n in (24, 30, 60, 120) for digits in (2, 3)}
_SLOWEST, _FASTEST = 1, 240


def frame_rate(value: object) -> Fraction:
    """The exact frame rate meant by ``30``, ``29.97``, ``"29.97"`` or ``"30000/1001"``.

    Raises:
        ValueError: not a number between 1 and 240.
    """
    try:
        rate = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"fps must be a number or a fraction such as 30000/1001, not {value!r}") from None
    rate = _NTSC.get(round(float(rate), 3), rate.limit_denominator(1001)) if rate.denominator > 1 else rate
    if not _SLOWEST <= rate <= _FASTEST:
        raise ValueError(f"fps must be between {_SLOWEST} and {_FASTEST}")
    return rate


class Model(BaseModel):
    """A strict, frozen settings model: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class EnhancedMode(Model):
    """A level at or over ``threshold`` counts ``factor`` times, up to 1."""

    active: bool = Field(True, description="whether loud passages are amplified")
    threshold: Share = Field(0.3, description="levels at or over this are amplified")
    factor: float = Field(2.0, ge=0, le=10, description="by how much")

    def __call__(self, level: float) -> float:
        """The amplified level, 0–1."""
        return min(1.0, level * self.factor) if self.active and level >= self.threshold else level


class Settings(Model):
    """What all particle types share: the output, where and how many, colours, and how strongly music moves them."""

    width: int = Field(1920, ge=16, le=7680, description="picture width, px, even")
    height: int = Field(1080, ge=16, le=4320, description="picture height, px, even")
    fps: float | str = Field(30, description='frames per second, 1–240: 30, 29.97 or "30000/1001"')
    duration: float | Literal["audio"] | None = Field(
        10.0, description='length, s; null or "audio": as long as the song', json_schema_extra={"unit": "s"}
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="another seed, another video; the same seed, the same frames")
    background: RGB | None = Field(None, description="flat background colour; null: the type's own gradient")

    x_position: Share = Field(0.5, description="centre, as a fraction of the width")
    y_position: Share = Field(0.5, description="centre, as a fraction of the height")
    particle_count: int = Field(200, ge=0, le=1_000_000, description="particles at the start")
    particle_colors: tuple[RGB, ...] = Field(
        ((255, 255, 255),), min_length=1, max_length=64, description="one is picked per particle"
    )
    speed_x: float = Field(0.0, ge=-200, le=200, description="px a frame; 0: random ±0.5")
    speed_y: float = Field(0.0, ge=-200, le=200, description="px a frame; 0: random ±0.5")
    speed_z: float = Field(0.0, ge=-10, le=10, description="change of size a frame; 0: random ±0.1")
    bounce: bool = Field(False, description="reflect at the edges")
    bass_threshold: Share = Field(0.3, description='bass over this is "high"')
    outer_movement_strength: float = Field(2.0, ge=0, le=100, description="push outward when the bass is high")
    inner_movement_strength: float = Field(1.0, ge=0, le=100, description="pull inward when the bass is low")
    enhanced_mode: EnhancedMode = Field(
        default_factory=lambda: EnhancedMode.model_validate({}), description="how much louder loud passages count"
    )

    @field_validator("width", "height")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even, as H.264 4:2:0 needs")
        return value

    @field_validator("fps")
    @classmethod
    def _rate(cls, value: float | str) -> float | str:
        rate = frame_rate(value)
        return int(rate) if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"

    @field_validator("duration")
    @classmethod
    def _length(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, float) and not 0 < value <= 24 * 3600:
            raise ValueError('must be over 0 and at most 86400 seconds, or "audio"')
        return value

    @model_validator(mode="after")
    def _one_frame_at_least(self) -> Self:
        if isinstance(self.duration, float) and self.frames(Fraction(0)) < 1:
            raise ValueError(f"duration {self.duration:g} s is shorter than half a frame at {self.fps} fps")
        return self

    @property
    def rate(self) -> Fraction:
        """Frames per second, exactly."""
        return Fraction(self.fps)

    @property
    def takes_length_of_song(self) -> bool:
        """Whether the video is as long as its song."""
        return not isinstance(self.duration, float)

    def frames(self, song: Fraction) -> int:
        """How many frames the video has, given the song's length in seconds: round(duration × fps), half up."""
        seconds = Fraction(str(self.duration)) if isinstance(self.duration, float) else song
        return int(seconds * self.rate + Fraction(1, 2))


def validate(model: type[Settings], values: Mapping[str, Any], *, owner: str) -> Settings:
    """The settings of ``model`` from plain values.

    Raises:
        SceneError: names each field that is wrong, its value, and what is allowed; ``owner`` says whose settings.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise SceneError("; ".join(_explain(detail, model, owner) for detail in error.errors())) from None


def _explain(detail: Any, model: type[Settings], owner: str) -> str:
    # pydantic also names the branch of a union that it tried.
    parts = [str(part) for part in detail["loc"]]
    path = ".".join(part for part in parts if part not in ("float", "str", "int") and not part.startswith("literal["))
    if detail["type"] == "extra_forbidden":
        fields = model.model_fields
        for part in parts[:-1]:
            nested = fields[part].annotation if part in fields else None
            if isinstance(nested, type) and issubclass(nested, BaseModel):
                fields = nested.model_fields
        return f"unknown setting {path!r} for {owner}; it has: {', '.join(fields)}"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{path} = {detail['input']!r}: {message}" if path else message
