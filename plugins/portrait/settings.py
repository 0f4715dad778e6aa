"""Settings of the ``portrait`` type."""

from typing import Literal

from pydantic import field_validator

from ecs_core import RGB, Settings, option
from plugins.portrait.picture import check_picture
from plugins.portrait.text import check_text


class PortraitSettings(Settings):
    """The shared settings, and what is shown, how large, and how strongly it moves."""

    ignored = (
        "speed_x",
        "speed_y",
        "speed_z",
        "bounce",
        "outer_movement_strength",
        "inner_movement_strength",
        *Settings.SPAWNING,
    )
    usual_speed = 250.0

    text: str = option(
        "motes", "a word or a short line; it breaks only where it has line breaks", group="shape", max_length=64
    )
    picture: str | None = option(
        None,
        "path of a picture that is shown instead of the text; in the API an uploaded image",
        group="shape",
        max_length=4096,
        asset="image",
    )
    colors: Literal["picture", "palette"] = option(
        "picture", "where a picture's particles have their colours from; a text's are particle_colors", group="look"
    )
    fill: float = option(0.82, "share of the width or the height that it fills", group="shape", ge=0.05, le=1)
    particle_count: int = option(6000, "particles, those of the sparks included", group="particles", ge=0, le=100_000)
    particle_colors: tuple[RGB, ...] = option(
        ((92, 120, 255), (176, 84, 255), (255, 76, 160), (255, 158, 74)),
        "along the text, from left to right; or the name of a palette",
        group="look",
        min_length=1,
        max_length=64,
    )
    scatter: float = option(1.0, "how far kicks and drops throw particles", group="motion", unit="times", ge=0, le=5)
    reform: float = option(0.6, "how long they take to come home", group="motion", unit="s", ge=0.1, le=10)
    breath: float = option(1.0, "how much it breathes in quiet parts", group="motion", unit="times", ge=0, le=10)
    sparks: float = option(0.02, "share of the particles that float around it", group="particles", ge=0, le=1)

    @field_validator("text")
    @classmethod
    def _writable(cls, value: str) -> str:
        return check_text(value)

    @field_validator("picture")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        return None if value is None else check_picture(value)
