"""Cost: what a render takes of the machines, estimated from its spec before anything of it is done.

Seconds are those of one core of the machine on which it was calibrated (an Intel Xeon at 2.1 GHz with AVX-512, two
hyperthreads, November 2026); on others all are longer or shorter by about the same factor, so only ratios matter to
shares and charges. The constants are milliseconds of processor time a frame, fitted to 60 frames of 55 scenes: every
type with its own number of particles and with 5000, ``snow`` in four sizes, three qualities and all formats, and with
each part of a look alone. ``bench/cost_estimate.py`` measures a dozen scenes again; the goal is a factor of two.

An estimate errs where content decides: how busy the picture is for the encoder, how much of it particles cover.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from ecs_core.video.format import SEGMENT_SECONDS, pieces_of_sound
from ecs_core.video.quality import wanted
from services.jobs.artefacts import has_sound

# What a rendered second of a quota is worth, in core seconds. Every built-in type, as it is by default and in all its
# presets, costs less in 1080p at 30 frames a second: then a second of video counts as one.
RENDERED_SECOND = 2.5
# A task of a standard video, in core seconds: two seconds of snow in 1080p. A turn of the fair scheduler.
STANDARD_TASK = 1.4

_MEGA = 1e6
_FULL_HD = 1920 * 1080 / _MEGA


class _PerParticle(NamedTuple):
    """Microseconds of a particle and frame: to move it, to find out where and how it is drawn, and to draw it."""

    move: float
    show: float
    draw: float


# By type, of each that ``particle_count`` says; those of constellation have links, those of orbits and flow long tails.
_TYPES: Mapping[str, _PerParticle] = {
    "bouncing": _PerParticle(0.02, 0.05, 1.1),
    "constellation": _PerParticle(0.35, 4.5, 4.5),
    "continuous_spawning": _PerParticle(0.03, 0.05, 0.4),
    "enhanced": _PerParticle(0.03, 0.05, 0.5),
    "flow": _PerParticle(0.4, 0.6, 7.0),
    "no_music": _PerParticle(0.02, 0.05, 0.7),
    "orbits": _PerParticle(0.12, 1.3, 13.0),
    "petals": _PerParticle(0.15, 0.3, 17.0),
    "portrait": _PerParticle(1.0, 0.1, 0.8),
    "snow": _PerParticle(0.03, 0.03, 0.5),
    "tunnel": _PerParticle(0.04, 0.5, 2.5),
    "zen": _PerParticle(0.03, 0.06, 0.9),
}
_OTHER_TYPE = _PerParticle(0.2, 0.5, 3.0)
_COUNTED_BY_MOST = ("continuous_spawning",)  # types that have max_particles of them
_TAIL = 1.5  # µs of a particle with a tail, once more for each second of it
_BLUR = 1.0  # µs of a particle that is blurred along its way
_TEXTURE = 5.5  # µs of a particle that is a picture
_DUST = 0.8  # grains that live at a time, for each one a second
_GRAIN = _PerParticle(0.1, 0.1, 0.1)
_MOVE, _SHOW = 0.1, 0.45  # ms of a frame besides its particles
_GROUND = (0.6, 0.6)  # ms of a picture, and of each million of its pixels
_MARKS = 1.4  # ms of a million pixels for a layer, or a backdrop, that is no particles
_DECODED = 5.0  # ms of a million pixels for a video under everything
_FINISH, _BLOOM = 1.2, 1.2  # ms of a million pixels
_METER = 0.15  # ms of a million pixels, to look for flashes
_SMALL_PICTURE = 1.5  # ms of a frame, to limit its flashes
_LOOP = 1.3  # of painting: some pictures of a loop are mixed of two

# ms of a million pixels of a calm picture as standard MP4; a picture full of particles takes up to 2.2 times that.
_ENCODE = 8.7
_BUSIER, _FEW = 1.2, 3000.0
_BY_QUALITY = {"draft": 0.32, "standard": 1.0, "high": 2.8}
_BY_FORM = {"mp4": 1.0, "mov": 1.5, "webm": 9.3, "png": 0.9, "webp": 2.5, "gif": 2.5}
_ENCODED_WHOLE = {"webp": 50.0, "gif": 50.0}  # ms of a million pixels, when they are joined

_ANALYSIS = (0.5, 0.008)  # s of a song, and of each second of it
_JOIN = (0.2, 0.005)  # s of a video, and of each second of it
_SOUND = 0.03  # s of a second of sound
_TASK = 0.05  # s of a task, to begin with
_PNG = 0.1  # s of a picture

# Bits of a pixel of a calm picture, and of a busy one besides.
_BITS = {
    "mp4": (0.02, 0.2),
    "webm": (0.03, 0.25),
    "mov": (1.9, 2.5),
    "png": (1.0, 3.0),
    "webp": (0.2, 1.5),
    "gif": (0.6, 3.0),
}
_BITS_BY_QUALITY = {"draft": 1.8, "standard": 1.0, "high": 1.3}
_SOUND_BYTES = 40_000  # of a second
_PNG_BITS = 1.5  # of a pixel


@dataclass(frozen=True)
class Cost:
    """What a job takes: core seconds by what they are spent on, the frames that it shows, and the bytes of its result.

    ``ahead`` is simulated before anything is drawn: by the plan of a video, for its segments, or before a frame.
    """

    frames: int
    bytes: int
    analyse: float = 0.0
    ahead: float = 0.0
    simulate: float = 0.0
    paint: float = 0.0
    encode: float = 0.0
    sound: float = 0.0
    join: float = 0.0

    @property
    def plan(self) -> float:
        """Core seconds of the first task."""
        return self.analyse + self.ahead + _TASK

    @property
    def segments(self) -> float:
        """Core seconds of all segments."""
        return self.simulate + self.paint + self.encode

    @property
    def seconds(self) -> float:
        """Core seconds of everything."""
        return self.plan + self.segments + self.sound + self.join

    @property
    def turns(self) -> float:
        """The same in tasks of a standard video."""
        return self.seconds / STANDARD_TASK


def cost_of(scene: Mapping[str, Any], kind: str, *, seconds: float, heard: float) -> Cost:
    """Estimate what a job of a kind costs, from its spec (``services.jobs.render_spec``).

    ``seconds`` is the duration of its video, ``heard`` that of its song, 0 without one.
    """
    analyse = _ANALYSIS[0] + _ANALYSIS[1] * heard if scene["audio"] is not None else 0.0
    if kind in ("analysis", "curves"):
        return Cost(0, int((200 if kind == "analysis" else 4000) * heard), analyse)
    config = scene["config"]
    rate = float(Fraction(str(config["fps"])))
    pixels = config["width"] * config["height"] / _MEGA
    limiting = _SMALL_PICTURE if config.get("flash_guard") == "limit" else 0.0
    move, show, draw = (sum(each) for each in zip(*_particles(scene["type"], config), strict=True))
    moved, shown, painted = _MOVE + move, _SHOW + show, _painted(config, pixels, draw)
    if kind == "frame":
        before = rate * scene["at"]
        ahead = (before * (moved + limiting) + painted) / 1000
        return Cost(1, int(_PNG_BITS * pixels * _MEGA / 8), analyse, ahead=ahead, encode=_PNG * pixels / _FULL_HD)
    frames = max(1, round(seconds * rate))
    form, quality = config.get("format", "mp4"), wanted(scene["quality"])
    busy = _busy(scene["type"], config)
    encoded = _ENCODE * pixels * _BY_QUALITY[quality.quality] * _BY_FORM[form] * (1 + _BUSIER * busy)
    sounds = has_sound(scene)
    return Cost(
        frames,
        _bytes(scene, frames=frames, seconds=seconds, busy=busy, sounds=sounds),
        analyse,
        ahead=frames * (moved + limiting) / 1000,
        simulate=frames * (moved + shown) / 1000 + _TASK * max(1, round(seconds / SEGMENT_SECONDS)),
        paint=frames * painted / 1000,
        encode=frames * encoded / 1000,
        sound=_TASK * pieces_of_sound(seconds) + seconds * _SOUND if sounds else 0.0,
        join=_JOIN[0] + seconds * _JOIN[1] + frames * _ENCODED_WHOLE.get(form, 0.0) * pixels / 1000,
    )


def rendered_seconds(cost: Cost, seconds: float) -> float:
    """What a job counts in a quota of rendered seconds: its video's duration, or more if it costs more than usual."""
    return max(seconds, cost.seconds / RENDERED_SECOND)


def _layers(kind: str, config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The type and config of everything that shows particles."""
    yield kind, config
    for layer in config.get("layers", ()):
        if "config" in layer:
            yield layer["type"], layer["config"]


def _particles(kind: str, config: Mapping[str, Any]) -> Iterator[_PerParticle]:
    """Milliseconds a frame for the particles of each layer."""
    size = config["width"] * config["height"] / _MEGA / _FULL_HD
    for name, own in _layers(kind, config):
        count, each = _count(name, own) / 1000, _TYPES.get(name, _OTHER_TYPE)
        draw = each.draw
        draw += _TAIL * own["trail"] if own.get("trail", 0) and draw < _TYPES["flow"].draw else 0.0
        draw += _BLUR if own.get("shutter", 0) else 0.0
        draw += _TEXTURE if own.get("texture") is not None and draw < _TYPES["petals"].draw else 0.0
        grains = count * own.get("dust", 0) * _DUST
        yield _PerParticle(
            count * each.move + grains * _GRAIN.move,
            count * each.show + grains * _GRAIN.show,
            (count * draw + grains * _GRAIN.draw) * (1 + size) / 2,
        )


def _count(kind: str, config: Mapping[str, Any]) -> float:
    return float(config.get("max_particles" if kind in _COUNTED_BY_MOST else "particle_count", 0))


def _painted(config: Mapping[str, Any], pixels: float, draw: float) -> float:
    """Milliseconds that a picture takes to paint."""
    marks = sum(_MARKS for layer in config.get("layers", ()) if "config" not in layer)
    if (backdrop := config.get("backdrop")) is not None:
        marks += _DECODED if backdrop.get("kind") == "video" else _MARKS
    finish = config.get("finish")
    if finish is not None:
        marks += _FINISH + (_BLOOM if finish.get("bloom") else 0.0)
    marks += _METER if config.get("flash_guard") != "off" else 0.0
    painted = _GROUND[0] + pixels * (_GROUND[1] + marks) + draw
    return painted * (_LOOP if config.get("loop") else 1.0)


def _busy(kind: str, config: Mapping[str, Any]) -> float:
    """How much of a picture is in motion for the encoder, 0–1."""
    drawn = sum(_count(name, own) * _TYPES.get(name, _OTHER_TYPE).draw for name, own in _layers(kind, config))
    return drawn / (drawn + _FEW)


def _bytes(scene: Mapping[str, Any], *, frames: int, seconds: float, busy: float, sounds: bool) -> int:
    """About as many as the file of a video has."""
    config, quality = scene["config"], wanted(scene["quality"])
    sound = _SOUND_BYTES * seconds if sounds else 0.0
    if quality.bit_rate is not None:
        return int(quality.bit_rate * seconds / 8 + sound)
    calm, more = _BITS[config.get("format", "mp4")]
    bits = (calm + more * busy) * _BITS_BY_QUALITY[quality.quality]
    size = int(bits * frames * config["width"] * config["height"] / 8 + sound)
    return size if quality.max_bytes is None else min(size, quality.max_bytes)
