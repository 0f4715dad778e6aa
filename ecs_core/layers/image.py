"""Images: covers, logos, watermarks. They are read, scaled and cut once in each process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import field_validator

from ecs_core.layers.kind import Drawer, LayerKind, Moment, Stage
from ecs_core.scene.layer_settings import PlacedLayer
from ecs_core.scene.model import Share, option

if TYPE_CHECKING:
    from ecs_core.raster.marks import Mark, Pose

_LONGEST = 4096  # texels of a side: more than any picture shows
_SHADOW_SIZE, _SHADOW_DROP = 0.03, 0.012  # of the shadow, as shares of the image's longer side: blur, and how far down


class ImageSettings(PlacedLayer):
    """A picture; ``size`` is its longer side."""

    bindable = ("shadow",)

    file: str = option(
        ...,
        "the picture: a file (JPEG, PNG, WebP, AVIF …); in the API an uploaded image",
        group="layers",
        asset="image",
        min_length=1,
        max_length=4096,
    )
    crop: Literal["none", "square", "circle"] = option("none", "what of it is seen", group="look")
    corner: float = option(0.0, "radius of its corners, as a share of its shorter side", group="look", ge=0, le=0.5)
    shadow: Share = option(0.0, "how dark its shadow is", group="look")

    @field_validator("file")
    @classmethod
    def _readable(cls, value: str) -> str:
        from ecs_core.raster.picture_file import read_picture  # noqa: PLC0415 - slow, and many scenes have no image

        read_picture(value)
        return value


def _prepare(settings: ImageSettings, stage: Stage) -> Drawer:
    from PIL import Image, ImageFilter  # noqa: PLC0415 - slow, and many scenes have no image

    from ecs_core.raster.light_pictures import LightMask, LightPicture  # noqa: PLC0415 - likewise
    from ecs_core.raster.marks import MaskMark, PictureMark  # noqa: PLC0415 - likewise
    from ecs_core.raster.picture_file import take_picture  # noqa: PLC0415 - likewise

    pixels = take_picture(settings.file)
    if settings.crop != "none":
        side = min(pixels.shape[:2])
        top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    longer = settings.size * stage.short
    density = min(1.0, _LONGEST / longer)
    factor = longer * density / max(pixels.shape[:2])
    width, height = (max(1, round(side * factor)) for side in pixels.shape[1::-1])
    scaled = np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=4.0))
    radius = min(width, height) / 2 if settings.crop == "circle" else settings.corner * min(width, height)
    if radius:
        scaled[:, :, 3] = np.round(scaled[:, :, 3] * _rounded(width, height, radius))
    picture = LightPicture.of(scaled)
    left, top = float(-(width // 2)) / density, float(-(height // 2)) / density
    shadow = None
    if settings.shadow or "shadow" in (each.target for each in settings.bindings):
        blur = max(1, round(_SHADOW_SIZE * max(width, height)))
        padded = Image.fromarray(np.pad(scaled[:, :, 3], 3 * blur))
        shadow = LightMask.of(np.asarray(padded.filter(ImageFilter.GaussianBlur(blur)), np.float32) / np.float32(255))
        margin, drop = 3 * blur / density, round(_SHADOW_DROP * longer)

    def draw(now: ImageSettings, moment: Moment, pose: Pose) -> Sequence[Mark]:
        shown = PictureMark(picture, pose, left, top, density, now.blend)
        if shadow is None or not now.shadow or now.blend == "add":
            return [shown]
        black = MaskMark(shadow, pose, left - margin, top - margin + drop, (0.0, 0.0, 0.0), density=density)
        return [black.dimmed(now.shadow), shown]

    return draw


def _rounded(width: int, height: int, radius: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """How much of each pixel lies within a rounded box of this size, (height, width) float32."""
    x, y = np.abs(np.arange(width) + 0.5 - width / 2), np.abs(np.arange(height) + 0.5 - height / 2)
    along, down = np.maximum(x - (width / 2 - radius), 0), np.maximum(y - (height / 2 - radius), 0)
    within: np.ndarray[tuple[int, int], np.dtype[np.float32]] = np.clip(
        radius + 0.5 - np.hypot(along[None, :], down[:, None]), 0, 1
    ).astype(np.float32)
    return within


IMAGE = LayerKind("image", "a picture: cover, logo, watermark", ImageSettings, _prepare)
