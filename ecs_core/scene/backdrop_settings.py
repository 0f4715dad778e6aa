"""Settings of backdrops: what lies under everything else of a video."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import Discriminator, Tag, field_validator, model_validator

from ecs_core.scene.layer_settings import DrawnSettings
from ecs_core.scene.model import RGB, Share, option

LEAST_COLOURS, MOST_COLOURS = 2, 8
VIDEO_STAND_IN = "stands for a video"  # in a file, and perhaps its seconds: one that is not here yet
_LONGEST_STAND_IN = 80  # bytes
BACKDROPS = ("color", "gradient", "image", "video")  # kinds


class BackdropSettings(DrawnSettings):
    """What backdrops of all kinds have."""

    bindable: ClassVar[tuple[str, ...]] = ("opacity",)

    opacity: Share = option(1.0, "share that is seen; the rest is the type's own background", group="look")
    enter: Literal["none", "fade"] = option("none", "how it appears", group="time")
    leave: Literal["none", "fade"] = option("none", "how it goes", group="time")


class ColorBackdrop(BackdropSettings):
    """A flat colour, as ``background``, but with a time span and bindings."""

    kind: Literal["color"] = option(..., "what it is", group="look")
    color: RGB = option(..., "the colour", group="look")


class GradientBackdrop(BackdropSettings):
    """Colours that pass into one another, in a direction or around a place."""

    bindable: ClassVar[tuple[str, ...]] = ("opacity", "angle", "x", "y", "size")

    kind: Literal["gradient"] = option(..., "what it is", group="look")
    colors: tuple[RGB, ...] = option(
        ..., "the colours, 2 to 8", group="look", min_length=LEAST_COLOURS, max_length=MOST_COLOURS
    )
    positions: tuple[Share, ...] | None = option(
        None,
        "where each of the colours is, from 0 to 1; null: in equal steps",
        group="look",
        min_length=LEAST_COLOURS,
        max_length=MOST_COLOURS,
    )
    shape: Literal["linear", "radial"] = option("linear", "in a direction, or around a place", group="look")
    mixing: Literal["oklab", "light"] = option(
        "oklab", "what lies between colours: as eyes see it, or as lights mix", group="look"
    )
    angle: float = option(
        90.0,
        "linear: the direction, clockwise; 0 is from left to right, 90 from top to bottom",
        group="place",
        unit="degrees",
        ge=-36_000,
        le=36_000,
    )
    x: float = option(0.5, "radial: its middle, as a fraction of the width", group="place", ge=-10, le=10)
    y: float = option(0.5, "radial: its middle, as a fraction of the height", group="place", ge=-10, le=10)
    size: float = option(
        1.0,
        "how far it reaches; 1: from corner to corner, or from its middle to the corners",
        group="place",
        gt=0,
        le=10,
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        given = self.positions
        if given is None:
            return self
        if len(given) != len(self.colors):
            raise ValueError(f"positions = {list(given)}: must be as many as colors, {len(self.colors)}")
        if list(given) != sorted(given):
            raise ValueError(f"positions = {list(given)}: must not decrease")
        return self


class PictureBackdrop(BackdropSettings):
    """What images and videos have: how they fill the frame, how soft and dark they are, and how they move."""

    bindable: ClassVar[tuple[str, ...]] = ("opacity", "scale", "x", "y", "dim")

    fit: Literal["cover", "contain", "fill"] = option(
        "cover", "fills the frame and is cut off; is seen as a whole; or is stretched", group="place"
    )
    x: Share = option(0.5, "what of its width is seen where it is cut off: 0 the left end, 1 the right", group="place")
    y: Share = option(0.5, "what of its height is seen where it is cut off: 0 the top, 1 the bottom", group="place")
    scale: float = option(1.0, "how much larger; best bound to the song", group="place", unit="times", ge=0.1, le=10)
    zoom: float = option(
        1.0,
        "slow zoom: how much larger it is at the end than when it begins; under 1: it begins larger",
        group="motion",
        unit="times",
        ge=0.25,
        le=4,
    )
    zoom_seconds: float | None = option(
        None,
        "how long the zoom takes, after which it goes back; null: as long as the backdrop is seen",
        group="motion",
        unit="s",
        ge=0.5,
        le=86_400,
    )
    drift: float = option(
        0.0,
        "slow drift: how far it goes to each side, as a share of the picture's shorter side",
        group="motion",
        ge=0,
        le=0.5,
    )
    drift_seconds: float = option(
        24.0, "how long the drift takes until it begins anew", group="motion", unit="s", ge=1, le=86_400
    )
    blur: float = option(0.0, "how soft it is", group="look", unit="px", ge=0, le=200)
    dim: Share = option(0.0, "how much darker it is", group="look")
    saturation: float = option(1.0, "how strong its colours are; 0: grey", group="look", unit="times", ge=0, le=4)


class ImageBackdrop(PictureBackdrop):
    """A picture."""

    kind: Literal["image"] = option(..., "what it is", group="look")
    file: str = option(
        ...,
        "the picture: a file (JPEG, PNG, WebP, AVIF …); in the API an uploaded image",
        group="look",
        asset="image",
        min_length=1,
        max_length=4096,
    )

    @field_validator("file")
    @classmethod
    def _readable(cls, value: str) -> str:
        from ecs_core.raster.picture_file import read_picture  # noqa: PLC0415 - slow, and many scenes have no image

        read_picture(value)
        return value


class VideoBackdrop(PictureBackdrop):
    """A video, over and over again, without its sound."""

    kind: Literal["video"] = option(..., "what it is", group="look")
    file: str = option(
        ...,
        "the video: a file (MP4, MOV, WebM, MKV …), whose sound is not heard; in the API an uploaded video",
        group="look",
        asset="video",
        min_length=1,
        max_length=4096,
    )
    start: float = option(0.0, "second of its own at which it begins", group="time", unit="s", ge=0, le=86_400)
    speed: float = option(1.0, "how fast it is", group="time", unit="times", ge=0.1, le=8)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (awaited := _awaited_seconds(self.file)) is not None:
            return self._begins_within(awaited)
        video_file = import_module("ecs_core.raster.video_file")  # FFmpeg, which no API may load: it opens no videos
        try:
            index = video_file.video_index(self.file)
        except ValueError as error:
            raise ValueError(f"file = {self.file!r}: {error}") from None
        return self._begins_within(float(index.seconds))

    def _begins_within(self, seconds: float) -> Self:
        if self.start >= seconds:
            raise ValueError(f"start = {self.start:g}: must be before the video's end, {seconds:.6g} s")
        return self


def _awaited_seconds(file: str) -> float | None:
    """The length of a video for which a file stands, infinite if it is not known; None: it stands for none."""
    try:
        path = Path(file)
        if not path.is_file() or path.stat().st_size > _LONGEST_STAND_IN:
            return None
        text = path.read_text().strip()
        return float(text.removeprefix(VIDEO_STAND_IN) or "inf") if text.startswith(VIDEO_STAND_IN) else None
    except (OSError, ValueError):
        return None


AnyBackdrop: TypeAlias = ColorBackdrop | GradientBackdrop | ImageBackdrop | VideoBackdrop


def _tag(value: Any) -> str:
    """What a backdrop's model is called in the paths of errors, where no field is called so."""
    return f"<{value.get('kind') if isinstance(value, dict) else value.kind}>"


Backdrop = Annotated[
    Annotated[ColorBackdrop, Tag("<color>")]
    | Annotated[GradientBackdrop, Tag("<gradient>")]
    | Annotated[ImageBackdrop, Tag("<image>")]
    | Annotated[VideoBackdrop, Tag("<video>")],
    Discriminator(_tag),
]
