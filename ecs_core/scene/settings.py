"""Settings: the settings that all particle types share, strictly validated.

A particle type's own model inherits from :class:`Settings` and adds fields. Numbers refer to 1920 × 1080 at 30 frames
per second and are scaled to other sizes and rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    GetJsonSchemaHandler,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ecs_core.audio.catalogue import FEATURES as CATALOGUE
from ecs_core.audio.catalogue import STRONG
from ecs_core.audio.guidance import Guidance, Hearing
from ecs_core.audio.timeline import EVENTS, FEATURES
from ecs_core.ecs.components import FRAME
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.values import Gradient, Range
from ecs_core.errors import SceneError
from ecs_core.formats import FACTS, Form, check_length
from ecs_core.frame_times import frame_at
from ecs_core.platforms import PLATFORMS, Platform, check_rate, check_seconds, check_shape, stands_for
from ecs_core.raster.colour import linear_from_srgb
from ecs_core.raster.finish import Finish
from ecs_core.raster.sprites import Blend
from ecs_core.raster.textures import Picture
from ecs_core.scene.backdrop_settings import BACKDROPS, Backdrop, BackdropSettings
from ecs_core.scene.layer_settings import LayerSettings
from ecs_core.scene.model import RGB, Model, Share, limits_shown, option
from ecs_core.scene.nested_settings import (
    BindingSettings,
    CameraSettings,
    EnhancedMode,
    FinishSettings,
    HearingSettings,
)
from ecs_core.scene.palettes import PALETTES
from ecs_core.scene.safe_area import SafeArea
from ecs_core.scene.shapes import Shape, in_shape, shape_of
from ecs_core.scene.variants import HEIGHTS, MOST_VARIANTS, WIDTHS, VariantSettings, variant_names
from ecs_core.validation_messages import error_message

# NTSC rates, which are fractions but usually written as decimals: 23.976, 29.97, 59.94, 119.88.
_NTSC = {round(n * 1000 / 1001, digits): Fraction(n * 1000, 1001) for n in (24, 30, 60, 120) for digits in (2, 3)}
_SLOWEST, _FASTEST = 1, 240
_PHASES = tuple(feature.name for feature in CATALOGUE if feature.kind == "phase")


def frame_rate(value: object) -> Fraction:
    """The exact frame rate of ``30``, ``29.97``, ``"29.97"`` or ``"30000/1001"``.

    Raises:
        ValueError: not a number between 1 and 240.
    """
    text = str(value)
    try:
        if len(text) > 50 or "e" in text.lower():  # not a rate, and Fraction("1e999999999") would take hours
            raise ValueError(text)
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"fps must be a number or a fraction such as 30000/1001, not {text[:50]!r}") from None
    rate = _NTSC.get(round(float(rate), 3), rate.limit_denominator(1001)) if rate.denominator > 1 else rate
    if not _SLOWEST <= rate <= _FASTEST:
        raise ValueError(f"fps must be between {_SLOWEST} and {_FASTEST}")
    return rate


_SPAWNING = (
    "steady_spawn_rate",
    "max_particles",
    "spawn_center_x",
    "spawn_center_y",
    "spawn_area_width",
    "spawn_area_height",
)
# Settings that only a type's own code can heed; Motes heeds all others.
LEFT_TO_TYPES = (
    "x_position",
    "y_position",
    "particle_count",
    "particle_colors",
    "speed_x",
    "speed_y",
    "speed_z",
    "bounce",
    "outer_movement_strength",
    "inner_movement_strength",
    *_SPAWNING,
)


# Settings that Motes heeds for some populations alone, such as those that have a Velocity: a type may ignore them.
NOT_OF_ALL = ("color_by", "dust", "shutter")

MOST_TRAILS = 50_000  # particles; of more, trails would hide each other and take seconds a frame
_FEW = 1000  # particles; more have no trails unless asked for, so that crowds cost what they always did
_COUNTS = ("particle_count", "max_particles")

# What each layer has for itself, besides the settings that its type adds; all others are of the whole video.
_PER_LAYER = (
    *LEFT_TO_TYPES,
    "color_by",
    "blend",
    "trail",
    "shutter",
    "dust",
    "texture",
    "texture_scale",
    "bass_threshold",
    "enhanced_mode",
    "bindings",
)


class Settings(Model):
    """What all particle types share: the output, where and how many, colours, and how strongly music moves them.

    A type that does without some of them names those in ``ignored``: they are accepted, and users are told.
    """

    SPAWNING: ClassVar[tuple[str, ...]] = _SPAWNING  # the settings of continuous spawning, to be ignored together
    ignored: ClassVar[tuple[str, ...]] = ()
    usual_speed: ClassVar[float] = 150.0  # units/s of the type's particles, for color_by
    # Whether a trail that the type has by default is left out for many particles, pictures, and particles that cover.
    trails_of_few: ClassVar[bool] = False

    width: int = option(1920, "picture width, even", group="output", unit="px", ge=WIDTHS[0], le=WIDTHS[1])
    height: int = option(1080, "picture height, even", group="output", unit="px", ge=HEIGHTS[0], le=HEIGHTS[1])
    fps: Annotated[int | float, limits_shown(_SLOWEST, _FASTEST)] | str = option(
        30, 'frames per second, 1–240: 30, 29.97 or "30000/1001"', group="output", unit="1/s"
    )
    duration: Annotated[float, limits_shown(0, 86_400)] | Literal["audio"] | None = option(
        10.0, 'length; null or "audio": as long as the song', group="output", unit="s"
    )
    start: Annotated[float, limits_shown(0, 86_400)] | Literal["drop"] = option(
        0.0,
        'second of the song at which the video begins; "drop": a bar before its strongest drop',
        group="output",
        unit="s",
    )
    fade_in: float = option(0.0, "picture from black and sound from silence", group="output", unit="s", ge=0, le=3600)
    fade_out: float = option(0.0, "picture to black and sound to silence", group="output", unit="s", ge=0, le=3600)
    seed: int = option(
        0, "another seed, another video; the same seed, the same frames", group="output", ge=0, le=2**63 - 1
    )
    track: int | None = option(
        None,
        "sound track of the song's file, from 0 as in ffmpeg's 0:a:1; null: the default one that can be read",
        group="output",
        ge=0,
        le=63,
    )
    blend: Blend | None = option(
        None,
        "particles add light, or cover what is behind them, which shows on bright backgrounds; null: as the type does",
        group="look",
    )
    trail: float = option(0.0, "tail behind each particle", group="look", unit="s", ge=0, le=10)
    shutter: float = option(
        0.0,
        "motion blur: how long the shutter is open, so that particles are streaks as long as they are fast",
        group="look",
        unit="1/30 s",
        ge=0,
        le=30,
    )
    texture: Picture | None = option(
        None, "picture that particles are drawn with, turning as they fly; null: as the type does", group="look"
    )
    texture_scale: float = option(
        4.0, "how much larger pictures are than the particles they stand for", group="look", ge=0.1, le=100
    )
    dust: float = option(0.0, "smaller particles that each one leaves behind", group="look", unit="1/s", ge=0, le=1000)
    background: RGB | None = option(None, "flat background colour; null: the type's own gradient", group="look")
    backdrop: Backdrop | None = option(
        None,
        "what lies under everything: a colour, a gradient, an image or a video; not with background",
        group="look",
        examples=[{"kind": "gradient", "colors": [[12, 12, 40], [90, 30, 80]]}],
    )
    format: Form = option(
        "mp4",
        "mp4: H.264 and AAC; mov: ProRes 4444; webm: VP9; png: numbered frames in a zip file; webp and gif: short ones",
        group="output",
    )
    alpha: bool | None = option(
        None,
        "nothing lies behind the particles; null: so it is in mov, webm and png, unless they have a background or the "
        "type's own is bright",
        group="output",
    )
    hud: bool = option(False, "show what is heard in a corner of the picture", group="output")
    poster: Annotated[float, limits_shown(0, 86_400)] | None = option(
        None, "moment of the video that its poster shows; null: the strongest drop or moment", group="output", unit="s"
    )
    flash_guard: Literal["report", "limit", "off"] = option(
        "report",
        "say where the picture flashes more often than WCAG 2.3.1 allows; or dim what is too much, too",
        group="output",
    )
    subtitles: str | None = option(
        None,
        "lyrics (LRC, SRT or WebVTT) as a track of mp4 and mov that players show when they are asked to",
        group="output",
        asset="lyrics",
        max_length=4096,
    )
    sound: bool = option(True, "whether the song is heard, not only seen", group="output")
    loop: bool = option(
        False, "its last frame is followed by its first, after whole bars where the song has them", group="output"
    )
    poster_frame: bool = option(False, "show the poster as the first frame", group="output")
    platform: Platform | None = option(
        None,
        "where the video is posted: stands for its size, length and safe_area, unless they are given; what it does not "
        "take is refused",
        group="output",
    )
    safe_area: SafeArea | None = option(
        None,
        "within which layers of text and images are placed: clear of a platform's buttons; title: 90 % of the picture; "
        "or the shares that are kept free",
        group="output",
        examples=["tiktok", {"top": 0.1, "bottom": 0.2, "left": 0, "right": 0}],
    )
    shapes: dict[Shape, dict[str, Any]] = option(
        dict,
        "settings that are others in pictures of one shape: tall, square or wide; layers have shapes, too",
        group="output",
        examples=[{"tall": {"y_position": 0.4}}],
    )
    variants: tuple[VariantSettings, ...] = option(
        (),
        "further sizes and formats of the same video, made with it",
        group="output",
        max_length=MOST_VARIANTS,
        examples=[[{"size": "1080x1920"}]],
    )

    x_position: Share = option(0.5, "centre, as a fraction of the width", group="place")
    y_position: Share = option(0.5, "centre, as a fraction of the height", group="place")
    particle_count: int = option(200, "particles at the start", group="particles", ge=0, le=1_000_000)
    particle_colors: tuple[RGB, ...] = option(
        ((255, 255, 255),),
        "one is picked per particle; or the name of a palette",
        group="look",
        min_length=1,
        max_length=64,
    )
    color_by: Literal["birth", "speed", "height", "band"] | None = option(
        None,
        "what a particle's colour shows, from the first of particle_colors to the last: when it was born, how fast or "
        "how high it is, or the band of the song that its light follows; null: as the type does",
        group="look",
    )
    speed_x: float = option(
        0.0, "0: as the type has it, mostly random ±0.5", group="motion", unit="px/frame", ge=-200, le=200
    )
    speed_y: float = option(
        0.0, "0: as the type has it, mostly random ±0.5", group="motion", unit="px/frame", ge=-200, le=200
    )
    speed_z: float = option(0.0, "change of size; 0: random ±0.1", group="motion", unit="px/frame", ge=-10, le=10)
    bounce: bool = option(False, "reflect at the edges", group="motion")
    bass_threshold: Share = option(0.3, 'bass over this is "high"', group="music")
    outer_movement_strength: float = option(2.0, "push outward when the bass is high", group="music", ge=0, le=100)
    inner_movement_strength: float = option(1.0, "pull inward when the bass is low", group="music", ge=0, le=100)
    enhanced_mode: EnhancedMode = option(
        lambda: EnhancedMode.model_validate({}), "how much louder loud passages count", group="music"
    )
    bpm: float | None = option(
        None, "tempo of the song; null: as heard", group="music", unit="beats/min", ge=20, le=400
    )
    beat_offset: float | None = option(
        None,
        "when any beat is; with bpm, beats lie on an even grid; null: as heard",
        group="music",
        unit="s",
        ge=0,
        le=86_400,
    )
    beat_octave: Literal["half", "double"] | None = option(
        None, "count half or double the beats that are heard; not with bpm", group="music"
    )
    metre: int | None = option(None, "beats a bar; null: as heard", group="music", unit="beats", ge=2, le=12)
    hearing: dict[str, HearingSettings] = option(
        dict, "how features and events are heard, by name: {bass: {threshold: 40, full: 90}}", group="music"
    )
    steady_spawn_rate: float = option(
        0.5,
        "continuous spawning, for each 1000 of max_particles",
        group="particles",
        unit="particles/frame",
        ge=0,
        le=1000,
    )
    max_particles: int = option(1000, "continuous spawning stops at this many", group="particles", ge=0, le=1_000_000)
    spawn_center_x: Share = option(0.5, "continuous spawning: from where, fraction of the width", group="place")
    spawn_center_y: Share = option(0.5, "continuous spawning: from where, fraction of the height", group="place")
    spawn_area_width: Share = option(0.0, "continuous spawning: fraction of the width; 0: a point", group="place")
    spawn_area_height: Share = option(0.0, "continuous spawning: fraction of the height; 0: a point", group="place")
    layers: tuple[LayerSettings, ...] = option(
        (),
        "what else is in the picture, drawn in this order: more particles, pictures, texts … (motes layers)",
        group="layers",
        max_length=16,
    )
    camera: CameraSettings | None = option(
        None, "zooms, moves and turns the picture; {} for one that only bindings move", group="camera"
    )
    finish: FinishSettings | None = option(
        None, "bloom, exposure, tints, vignette, grain; {} for one that only bindings change", group="finish"
    )
    bindings: tuple[BindingSettings, ...] = option(
        (), "lets any feature of the song move any parameter", group="music", max_length=64
    )

    @field_validator("particle_colors", mode="before")
    @classmethod
    def _palette(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in PALETTES:
                raise ValueError(
                    f"must be a list of colours, such as [[255, 180, 90]], or a palette: {', '.join(PALETTES)}"
                )
            return PALETTES[value]
        return value

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

    @field_validator("start")
    @classmethod
    def _within_a_day(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 <= value <= 24 * 3600:
            raise ValueError('must be between 0 and 86400 seconds, or "drop"')
        return value

    @model_validator(mode="before")
    @classmethod
    def _as_it_is_meant(cls, values: Any) -> Any:
        """What a platform's name stands for, what is said of pictures of this shape, and trails where they suit."""
        if not isinstance(values, dict):
            return values
        return cls._without_trails_that_do_not_suit(cls.in_its_shape(values))

    @classmethod
    def in_its_shape(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values with what a platform's name stands for, and with what they say of pictures of their shape.

        Raises:
            ValueError: ``shapes`` is wrong somewhere.
        """
        meant = dict(values)
        if meant.get("platform") in PLATFORMS:
            meant = stands_for(meant["platform"]) | meant
        sides = [meant.get(name, cls.model_fields[name].default) for name in ("width", "height")]
        if all(isinstance(side, int | float) for side in sides):  # else they are refused
            meant = in_shape(meant, shape_of(*sides))
        return meant

    @classmethod
    def _without_trails_that_do_not_suit(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A type's default trail is left out where it would cost much or could not be seen well."""
        if not cls.trails_of_few or "trail" in values:
            return values
        counts = [values.get(name) for name in _COUNTS if name not in cls.ignored]
        many = any(isinstance(count, int | float) and count > _FEW for count in counts)
        if many or values.get("blend") == "over" or values.get("texture") is not None:
            return {**values, "trail": 0.0}
        return values

    @model_validator(mode="after")
    def _trails_of_few_enough(self) -> Self:
        counts = {name: getattr(self, name) for name in _COUNTS if name not in self.ignored}
        many = max(counts.values(), default=0)
        if self.trail and many > MOST_TRAILS:
            name = next(name for name, count in counts.items() if count == many)
            raise ValueError(
                f"trail = {self.trail:g} with {name} = {many}: at most {MOST_TRAILS} particles have trails"
            )
        return self

    @model_validator(mode="after")
    def _one_frame_at_least(self) -> Self:
        if isinstance(self.duration, float) and self.frames(Fraction(0)) < 1:
            raise ValueError(f"duration {self.duration:g} s is shorter than half a frame at {self.fps} fps")
        return self

    @model_validator(mode="after")
    def _poster_in_video(self) -> Self:
        if self.poster is not None:
            frames = self.frames(Fraction(0)) if isinstance(self.duration, float) else int(86_400 * self.rate)
            frame_at("poster", self.poster, rate=self.rate, frames=frames)
        return self

    @model_validator(mode="after")
    def _platform_takes_it(self) -> Self:
        if self.platform is not None:
            check_shape(self.platform, self.width, self.height)
            check_rate(self.platform, self.rate)
            if isinstance(self.duration, float):
                check_seconds(self.platform, self.duration)
        return self

    @model_validator(mode="after")
    def _loops(self) -> Self:
        if not self.loop:
            return self
        for name in ("fade_in", "fade_out", "poster_frame"):
            if value := getattr(self, name):
                raise ValueError(f"loop = true with {name} = {value}: what loops has no beginning and no end")
        if self.flash_guard == "limit":
            raise ValueError('loop = true with flash_guard = "limit": is of videos that do not loop; use "report"')
        return self

    @model_validator(mode="after")
    def _format_holds_it(self) -> Self:
        facts, alpha = FACTS[self.format], self.alpha is True
        if alpha and not facts.holds_alpha:
            having = ", ".join(form for form, each in FACTS.items() if each.holds_alpha)
            raise ValueError(f"alpha = true: {self.format} has no alpha; formats that have it: {having}")
        if alpha and self.background is not None:
            raise ValueError(f"alpha = true with background = {list(self.background)}: give one of them")
        if self.subtitles is not None and not facts.holds_subtitles:
            having = ", ".join(form for form, each in FACTS.items() if each.holds_subtitles)
            raise ValueError(f"subtitles with format = {self.format}: it holds none; formats that do: {having}")
        if alpha and self.backdrop is not None:
            raise ValueError(f"alpha = true with a backdrop ({self.backdrop.kind}): give one of them")
        if facts.most_fps is not None and self.rate > facts.most_fps:
            raise ValueError(
                f"fps = {self.fps} with format = {self.format}: it shows at most {facts.most_fps} frames per second"
            )
        if isinstance(self.duration, float):
            check_length(self.format, self.duration)
        return self

    @field_validator("subtitles")
    @classmethod
    def _can_be_read(cls, value: str | None) -> str | None:
        if value is not None:
            from ecs_core.text.lyrics import load_lyrics  # noqa: PLC0415 - rarely needed

            try:
                load_lyrics(Path(value))
            except SceneError as error:
                raise ValueError(str(error).removeprefix(f"lyrics: {value}: ")) from None
        return value

    @model_validator(mode="after")
    def _variants_have_names(self) -> Self:
        self.variant_names()
        return self

    @field_validator("backdrop", mode="before")
    @classmethod
    def _of_a_kind(cls, value: Any) -> Any:
        kinds = f"{', '.join(BACKDROPS[:-1])} or {BACKDROPS[-1]}"
        if isinstance(value, dict) and value.get("kind") not in BACKDROPS:
            given = f"kind = {value['kind']!r}" if "kind" in value else "kind is missing"
            raise ValueError(f"{given}: must be {kinds}")
        if value is not None and not isinstance(value, dict | BackdropSettings):
            raise ValueError(f"must be an object whose kind is {kinds}")
        return value

    @model_validator(mode="after")
    def _one_ground(self) -> Self:
        usual = type(self).model_fields["background"].default
        if self.backdrop is not None and self.background is not None and self.background != usual:
            raise ValueError(
                f"background = {list(self.background)} with a backdrop ({self.backdrop.kind}): give one of them"
            )
        return self

    @field_validator("hearing")
    @classmethod
    def _known(cls, value: dict[str, HearingSettings]) -> dict[str, HearingSettings]:
        for name, hearing in value.items():
            if name not in (*FEATURES, *EVENTS):
                known = ", ".join(sorted((*FEATURES, *EVENTS)))
                raise ValueError(f"{name!r}: no such feature or event; there are: {known}")
            if name in _PHASES:
                raise ValueError(f"{name}: follows from events, and is heard in one way alone")
            if name in EVENTS and name not in STRONG:
                raise ValueError(f"{name}: have no strength to go by; of events, these have: {', '.join(STRONG)}")
            if name in EVENTS and hearing.full is not None:
                raise ValueError(f"{name}.full = {hearing.full:g}: is of features; events have threshold alone")
        return value

    @model_validator(mode="after")
    def _one_tempo(self) -> Self:
        if self.bpm is not None and self.beat_octave is not None:
            raise ValueError(
                f"beat_octave {self.beat_octave!r} is of the tempo that is heard; not with bpm {self.bpm:g}"
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        colours = properties["particle_colors"]
        listed = {key: colours.pop(key) for key in ("type", "items", "minItems", "maxItems") if key in colours}
        colours["anyOf"] = [listed, {"type": "string", "enum": [*PALETTES]}]
        for name in cls.ignored:
            what = f"no effect on this type ({properties[name]['description']})"
            properties[name] |= {"ignored": True, "description": what}
        return schema

    @property
    def warnings(self) -> list[str]:
        """What was set in vain, a line each."""
        default = type(self).model_fields
        found = [
            f"{name} = {getattr(self, name)}: has no effect on this particle type"
            for name in self.ignored
            if name in self.model_fields_set and getattr(self, name) != default[name].get_default()
        ]
        if self.color_by is not None and "color_by" not in self.ignored and len(set(self.particle_colors)) == 1:
            found.append(f"color_by = {self.color_by}: has no effect with a single one of particle_colors")
        return found

    @property
    def guidance(self) -> Guidance:
        """The user's guidance for the analysis: tempo, offset and metre."""
        return Guidance(self.bpm, self.beat_offset, self.beat_octave, self.metre)

    @property
    def heard(self) -> dict[str, Hearing]:
        """Sensitivity by feature or event, in percentiles."""
        return {name: Hearing(each.threshold, each.full) for name, each in self.hearing.items()}

    @property
    def rate(self) -> Fraction:
        """Frames per second as an exact fraction."""
        return Fraction(self.fps)

    @property
    def fades(self) -> tuple[Fraction, Fraction]:
        """``fade_in`` and ``fade_out`` in seconds, exact as written."""
        return Fraction(str(self.fade_in)), Fraction(str(self.fade_out))

    @property
    def takes_length_of_song(self) -> bool:
        """Whether the video has the length of its song."""
        return not isinstance(self.duration, float)

    @property
    def drift(self) -> tuple[Range, Range]:
        """``speed_x`` and ``speed_y`` as distributions in units/s; random where they are 0."""
        x, y = (speed * FRAME for speed in (self.speed_x, self.speed_y))
        at_random = Range(-0.5 * FRAME, 0.5 * FRAME)
        return Range(x, x) if x else at_random, Range(y, y) if y else at_random

    @property
    def growth(self) -> Range:
        """``speed_z`` as a distribution in units/s."""
        z = self.speed_z * FRAME
        return Range(z, z) if z else Range(-0.1 * FRAME, 0.1 * FRAME)

    @property
    def palette(self) -> Gradient:
        """``particle_colors`` in linear light."""
        linear = linear_from_srgb(np.divide(self.particle_colors, 255))
        return Gradient(tuple((float(r), float(g), float(b)) for r, g, b in linear))

    @property
    def picture_finish(self) -> Finish | None:
        """The ``finish`` with its colours in linear light."""
        if self.finish is None:
            return None
        values = self.finish.model_dump()
        for name in ("shadows", "lights"):
            shown = values.pop(name)
            if shown is not None:
                r, g, b = linear_from_srgb(np.divide(shown, 255))
                values[name] = float(r), float(g), float(b)
        return Finish(**values)

    def centre(self, canvas: Canvas) -> tuple[float, float]:
        """``x_position`` and ``y_position`` in units."""
        return self.x_position * canvas.width, self.y_position * canvas.height

    def of_size(self, width: int, height: int) -> Self:
        """The same for a picture of another size, in pixels, and of the same shape."""
        return self.model_copy(update={"width": width, "height": height})

    def variant_names(self) -> list[str]:
        """What the variants are called, in order.

        Raises:
            ValueError: two have the same name.
        """
        return variant_names(self.variants, width=self.width, height=self.height, form=self.format)

    @property
    def looks_for_flashes(self) -> bool:
        """Whether flashes are counted in the video; only those in MP4 files are."""
        return self.flash_guard != "off" and self.format == "mp4"

    def of_the_video(self) -> dict[str, Any]:
        """The settings that all layers share."""
        return {name: getattr(self, name) for name in OF_THE_VIDEO if name not in _ONCE}

    def level(self, bass: NDArray[np.float32]) -> NDArray[np.float32]:
        """The bass, 0–1, with loud passages amplified by ``enhanced_mode``."""
        mode = self.enhanced_mode
        if not mode.active:
            return bass
        return np.where(bass >= mode.threshold, np.minimum(bass * np.float32(mode.factor), np.float32(1)), bass)

    def frames(self, song: Fraction) -> int:
        """Number of frames of the video, given the length in seconds of the song from ``start`` to its end.

        That is duration × fps, rounded half up.
        """
        seconds = Fraction(str(self.duration)) if isinstance(self.duration, float) else song
        return int(seconds * self.rate + Fraction(1, 2))


_ONCE = ("layers", "camera", "finish", "backdrop", "variants")  # of the video; its layers have none
OF_THE_VIDEO = tuple(name for name in Settings.model_fields if name not in _PER_LAYER)


def validate(model: type[Settings], values: Mapping[str, Any], *, owner: str) -> Settings:
    """Validate plain values with ``model``; ``owner`` says in messages whose settings they are.

    Raises:
        SceneError: invalid fields; the message names each, its value, and what is allowed.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise SceneError(error_message(error, model, owner)) from None
