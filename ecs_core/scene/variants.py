"""Variants: further sizes and formats in which one render gives its video, beside the main one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import field_validator

from ecs_core.formats import Form
from ecs_core.output_names import MAIN, name_in_file
from ecs_core.platforms import Platform, stands_for
from ecs_core.scene.model import Model, limits_shown, option

MOST_VARIANTS = 8
WIDTHS, HEIGHTS = (16, 7680), (16, 4320)  # pixels of pictures, from and to
_OF_PLATFORMS = frozenset({"platform", "safe_area", "loop", "sound"})  # of the main output's
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def picture_size(text: str) -> tuple[int, int]:
    """The width and height of ``"1920x1080"``.

    Raises:
        ValueError: another format.
    """
    size = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", text, re.IGNORECASE)
    if size is None:
        raise ValueError("must be WIDTHxHEIGHT, for example 1920x1080")
    return int(size[1]), int(size[2])


class VariantSettings(Model):
    """One more output of the same scene; what it does not say is as in the main one."""

    name: str | None = option(
        None,
        "what it is called: small letters, digits and hyphens; null: its platform and size, and its format if that is "
        "another",
        group="output",
    )
    platform: Platform | None = option(
        None, "where it is posted: size, length, loop and safe area are what this wants", group="output"
    )
    size: str | None = option(None, "width and height", group="output", unit="px", examples=["1080x1920"])
    format: Form | None = option(None, "as the setting of that name", group="output")
    fps: int | float | str | None = option(None, "as the setting of that name", group="output", unit="1/s")
    duration: Annotated[float, limits_shown(0, 86_400)] | Literal["audio"] | None = option(
        None, 'length; "audio": as long as the song', group="output", unit="s"
    )

    @field_validator("name")
    @classmethod
    def _can_be_part_of_a_path(cls, value: str | None) -> str | None:
        if value is not None and not _NAME.fullmatch(value):
            raise ValueError("must be 1 to 32 of a–z, 0–9 and hyphens, and no hyphen at its ends")
        if value == MAIN:
            raise ValueError("is the name of the scene's own output; give it another one")
        return value

    @field_validator("size")
    @classmethod
    def _is_size(cls, value: str | None) -> str | None:
        if value is None:
            return None
        width, height = picture_size(value)
        if width % 2 or height % 2 or not (_within(width, WIDTHS) and _within(height, HEIGHTS)):
            least, most = (f"{w}x{h}" for w, h in zip(WIDTHS, HEIGHTS, strict=True))
            raise ValueError(f"must be even, from {least} to {most}")
        return f"{width}x{height}"

    def config(self) -> dict[str, Any]:
        """What it changes in the scene's config."""
        changed = {name: getattr(self, name) for name in ("platform", "format", "fps", "duration")}
        if self.size is not None:
            changed["width"], changed["height"] = picture_size(self.size)
        return {name: value for name, value in changed.items() if value is not None}

    def left_out(self) -> frozenset[str]:
        """The settings of the scene's config that it has no use for: what its platform stands for."""
        return frozenset() if self.platform is None else frozenset(stands_for(self.platform)) | _OF_PLATFORMS


def variant_names(variants: Sequence[VariantSettings], *, width: int, height: int, form: Form) -> list[str]:
    """The names of the variants of a scene of this size and format, in order.

    Raises:
        ValueError: two have the same name, or files of the same name.
    """
    names: list[str] = []
    files: set[tuple[str, Form]] = set()
    for number, variant in enumerate(variants):
        own = variant.format or form
        name = variant.name or _default_name(variant, f"{width}x{height}", form)
        file = (name_in_file(name, own), own)
        if name in names or file in files:
            raise ValueError(f"variants.{number}.name = {name!r}: another output has this name; give it one of its own")
        names.append(name)
        files.add(file)
    return names


def _default_name(variant: VariantSettings, size: str, form: Form) -> str:
    parts = [each for each in (variant.platform, variant.size) if each]
    parts += [variant.format] if variant.format not in (None, form) else []
    return "-".join(part for part in parts if part) or size


def _within(number: int, limits: tuple[int, int]) -> bool:
    return limits[0] <= number <= limits[1]
