"""Platforms that videos are posted on: the size and length that they want, and what their buttons hide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, get_args

Platform = Literal["youtube", "shorts", "tiktok", "reels", "square", "feed", "canvas", "apple-motion"]
PLATFORMS: tuple[Platform, ...] = get_args(Platform)


@dataclass(frozen=True, slots=True)
class Margins:
    """What is hidden at each edge, in pixels of the platform's size."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """What a platform takes.

    ``width`` and ``height`` are in pixels; ``shapes`` are the other sizes whose shapes it takes, and ``any_shape`` says
    that it takes all. ``shortest`` and ``longest`` are in seconds, ``slowest`` and ``fastest`` in frames per second,
    ``max_bytes`` is of the file. ``seconds`` is the length of a video that says none itself; None: the song's.
    ``loops``: it is played again and again. ``has_sound``: it may have any. ``margins`` are what buttons hide.
    """

    _: KW_ONLY
    width: int
    height: int
    shapes: tuple[tuple[int, int], ...] = ()
    any_shape: bool = False
    shortest: float | None = None
    longest: float | None = None
    seconds: float | None = None
    slowest: int | None = None
    fastest: int = 60
    loops: bool = False
    has_sound: bool = True
    margins: Margins = Margins()
    max_bytes: int | None = None


# What apps for phones lay over a video: tabs above, title and progress below, buttons on the right. Platforms move them
# by some pixels every year; this is clear of all three.
_BUTTONS = Margins(top=250, bottom=420, right=170)

FACTS: Mapping[Platform, PlatformFacts] = MappingProxyType(
    {
        # support.google.com/youtube: recommended upload encoding settings; uploads of 256 GB or 12 hours.
        "youtube": PlatformFacts(width=1920, height=1080, any_shape=True, longest=43_200, max_bytes=256 * 10**9),
        # support.google.com/youtube: square or tall, up to three minutes.
        "shorts": PlatformFacts(
            width=1080, height=1920, shapes=((1080, 1080), (1080, 1350)), longest=180, margins=_BUTTONS
        ),
        # developers.tiktok.com: content posting API, media transfer guide.
        "tiktok": PlatformFacts(
            width=1080,
            height=1920,
            shapes=((1080, 1080), (1920, 1080)),
            longest=600,
            slowest=23,
            margins=_BUTTONS,
            max_bytes=4 * 10**9,
        ),
        # developers.facebook.com: Instagram platform, reel specifications.
        "reels": PlatformFacts(
            width=1080, height=1920, shortest=3, longest=900, slowest=23, margins=_BUTTONS, max_bytes=300 * 10**6
        ),
        "square": PlatformFacts(width=1080, height=1080),
        "feed": PlatformFacts(width=1080, height=1350),
        # support.spotify.com/artists: Canvas guidelines.
        "canvas": PlatformFacts(
            width=1080, height=1920, shortest=3, longest=8, seconds=8, fastest=30, loops=True, has_sound=False
        ),
        # help.apple.com/itc/videoaudioassetguide and what distributors ask for: album motion, tall and square.
        "apple-motion": PlatformFacts(
            width=2048,
            height=2732,
            shapes=((3840, 3840),),
            shortest=8,
            longest=20,
            seconds=16,
            fastest=30,
            loops=True,
            has_sound=False,
        ),
    }
)


def check_shape(platform: Platform, width: int, height: int) -> None:
    """Refuse a picture of another shape than the platform takes; sizes in pixels may be smaller or larger.

    Raises:
        ValueError: as above.
    """
    facts = FACTS[platform]
    if facts.any_shape:
        return
    taken = ((facts.width, facts.height), *facts.shapes)
    # Sizes are even, so that a smaller picture of the same shape can be two pixels off.
    if not any(abs(width * high - height * wide) <= 2 * max(wide, high) for wide, high in taken):
        listed = ", ".join(f"{wide}x{high}" for wide, high in taken)
        raise ValueError(
            f"width = {width} with height = {height} and platform = {platform}: it takes {listed}, or the same smaller"
        )


def check_rate(platform: Platform, rate: Fraction) -> None:
    """Refuse frames per second that the platform does not take.

    Raises:
        ValueError: as above.
    """
    facts = FACTS[platform]
    if rate > facts.fastest or (facts.slowest is not None and rate < facts.slowest):
        least = "at most" if facts.slowest is None else f"{facts.slowest} to"
        raise ValueError(f"fps = {float(rate):.15g} with platform = {platform}: it takes {least} {facts.fastest}")


def check_seconds(platform: Platform, seconds: float) -> None:
    """Refuse a video that is longer or shorter than the platform takes.

    Raises:
        ValueError: as above; says what to do.
    """
    facts = FACTS[platform]
    low, high = facts.shortest or 0, facts.longest
    if (high is None or seconds <= high) and seconds >= low:
        return
    taken = f"{low:g} to {high:g}" if high is not None and low else f"at most {high:g}" if high else f"at least {low:g}"
    raise ValueError(
        f"platform = {platform} with {seconds:.15g} s of video: it takes {taken} s; give a duration, and a start"
    )


def stands_for(platform: Platform) -> dict[str, object]:
    """The settings that the platform's name stands for, as plain values by name."""
    facts = FACTS[platform]
    said: dict[str, object] = {"width": facts.width, "height": facts.height, "safe_area": platform}
    said |= {} if facts.seconds is None else {"duration": facts.seconds}
    said |= {"loop": True} if facts.loops else {}
    return said | ({} if facts.has_sound else {"sound": False})


def too_large(platform: Platform | None, size: int) -> tuple[str, ...]:
    """A warning, if a file of so many bytes is larger than the platform takes."""
    most = None if platform is None else FACTS[platform].max_bytes
    if most is None or size <= most:
        return ()
    return (f"the file has {size} bytes; {platform} takes at most {most}: use --quality max_bytes={most // 10**6}M",)
