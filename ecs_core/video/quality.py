"""Quality: a preset, a bit rate, or a size that the file must not exceed, and the rates that follow from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ecs_core.errors import SceneError
from ecs_core.formats import FACTS, Form
from ecs_core.video.format import QUALITIES, Quality, Rates

QualityLike: TypeAlias = "str | Mapping[str, Any]"
_AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kM]?)")
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000}
_LEAST_RATE, _MOST_RATE = 50_000, 500_000_000  # bits/s
_MOST_BYTES = 1 << 40
ALLOWED = f'{", ".join(QUALITIES)}, a bit rate such as "8M", or {{"max_bytes": 8000000}}'

# Shares of a file that may be neither picture nor sound: its cover, and its index.
COVER_SHARE = 0.05
_INDEX_BYTES = 4096
SUBTITLE_BYTES = 80  # of each one at most, besides its text: two samples, and their places in the index
_SOUND_SHARE, _LEAST_SOUND, _MOST_SOUND = 1 / 6, 32_000, 320_000  # of the whole rate; bits/s
_SOUND_OVER = 1.15  # times its rate, which the encoder keeps in the mean
_SOUND_INDEX = 8_000  # bits/s of an index of packets
_FRAME_INDEX = 320  # bits of a frame in an index
# The picture of a video that does not move, encoded as coarsely as can be: bits for each pixel, and for each frame.
_PIXEL_BITS, _FRAME_BITS = 0.002, 400


@dataclass(frozen=True, slots=True)
class Wanted:
    """A quality as asked for: a preset, and perhaps a bit rate of the picture (bits/s) or a size (bytes)."""

    quality: Quality
    bit_rate: int | None = None
    max_bytes: int | None = None

    def to_json(self) -> str | dict[str, int]:
        """The same as plain data, which :func:`wanted` takes."""
        if self.max_bytes is not None:
            return {"max_bytes": self.max_bytes}
        if self.bit_rate is None:
            return self.quality
        whole = self.bit_rate % 10_000 == 0 and self.bit_rate >= _TIMES["M"]
        return f"{self.bit_rate / _TIMES['M']:.15g}M" if whole else f"{self.bit_rate / 1000:.15g}k"


def wanted(value: QualityLike) -> Wanted:
    """A quality from ``"high"``, ``"8M"`` (bits a second), ``{"max_bytes": 8000000}`` or ``"max_bytes=8M"``.

    Raises:
        SceneError: anything else; says what is allowed.
    """
    problem = SceneError(f"unknown quality {value!r}; allowed: {ALLOWED}"[:400])
    if isinstance(value, Mapping):
        size = value.get("max_bytes")
        if set(value) != {"max_bytes"} or not isinstance(size, int) or isinstance(size, bool):
            raise problem
        return Wanted("standard", max_bytes=_within("max_bytes", size, 1, _MOST_BYTES))
    if not isinstance(value, str):
        raise problem
    for quality in QUALITIES:
        if value == quality:
            return Wanted(quality)
    name, equals, text = value.rpartition("=")
    amount = _AMOUNT.fullmatch(text)
    if amount is None or (equals and name != "max_bytes") or not (equals or amount[2]):
        raise problem
    number = round(float(amount[1]) * _TIMES[amount[2]])
    if equals:
        return Wanted("standard", max_bytes=_within("max_bytes", number, 1, _MOST_BYTES))
    return Wanted("standard", bit_rate=_within(f"quality {value!r}: bits/s", number, _LEAST_RATE, _MOST_RATE))


def _within(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise SceneError(f"{name} = {value}: must be between {low} and {high}")
    return value


def check_form(asked: Wanted, form: Form) -> None:
    """Refuse a bit rate or a size of a format that has none.

    Raises:
        SceneError: as above.
    """
    if (asked.bit_rate is None and asked.max_bytes is None) or FACTS[form].has_rate:
        return
    what = "bit rate" if asked.max_bytes is None else "max_bytes"
    having = ", ".join(each for each, facts in FACTS.items() if facts.has_rate)
    raise SceneError(
        f"quality {asked.to_json()!r}: {form} has no {what}; use {', '.join(QUALITIES)}, or a format of {having}"
    )


def rates_for(
    asked: Wanted, form: Form, *, pixels: int, fps: float, seconds: float, has_sound: bool, more: int = 0
) -> Rates:
    """The rates with which a video is encoded as asked for, beside ``more`` bytes of its file.

    Raises:
        SceneError: the format has no rates, or the file cannot be as small as that; says how small it can be.
    """
    check_form(asked, form)
    if asked.max_bytes is None:
        return Rates(picture=asked.bit_rate)
    index = _FRAME_INDEX * fps
    least = (_PIXEL_BITS * pixels + _FRAME_BITS) * fps + index
    more += _INDEX_BYTES
    whole = (asked.max_bytes * (1 - COVER_SHARE) - more) * 8 / seconds
    sound = min(max(whole * _SOUND_SHARE, _LEAST_SOUND), _MOST_SOUND) if has_sound else 0.0
    most = whole - _with_index(sound)
    if most < least:
        # Sound takes its least, its share, or its most.
        low, high = (_with_index(rate if has_sound else 0.0) for rate in (_LEAST_SOUND, _MOST_SOUND))
        shared = (least + (_SOUND_INDEX if has_sound else 0)) / (1 - _SOUND_SHARE * _SOUND_OVER)
        needed = max(least + low, min(shared, least + high))
        smallest = int((needed * seconds / 8 + more) / (1 - COVER_SHARE)) + 1
        raise SceneError(
            f"max_bytes = {asked.max_bytes}: too few for {seconds:.15g} s of this size and frame rate; "
            f"at least {smallest}"
        )
    return Rates(most=int(most - index), sound=int(sound) if has_sound else None, max_bytes=asked.max_bytes)


def _with_index(sound: float) -> float:
    """Bits a second that sound of a rate takes in a file."""
    return sound * _SOUND_OVER + _SOUND_INDEX if sound else 0.0
