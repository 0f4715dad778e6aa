"""How much memory the process of a task is expected to take, from its spec alone; measured by
``bench/memory_estimate.py``.

Estimates are of all that is resident at the peak, what processes share included; they are 10 % too low at most and 60 %
too high. What cannot be known, as pictures that are not looked at here, is assumed to be as large as may be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from services.auth.limits import LimitError
from services.settings import ServiceSettings
from services.storage.object_keys import SINGLE_TASK_KINDS

_VIDEO_TASKS = ("plan", "segment", "sound", "join")
_BASE = 135e6  # bytes of any process, with its libraries
_SONG_SECOND = 24e3  # bytes a second of song, in a plan or an analysis
_FRAME = 200.0  # bytes a frame of the whole video, in its timeline
_PARTICLE = 460.0  # bytes of a particle that is drawn
_SIMULATED = 260.0  # bytes of one that is only simulated
_TRAILED = 1500.0  # bytes more of a particle with a trail
# Bytes a pixel, of the picture and of its encoder; of H.264 by quality.
_H264 = {"draft": 22.0, "standard": 86.0, "high": 95.0}
_LOOKAHEAD, _LEAST_LOOKAHEAD = 48.0, 100e6  # bytes a pixel of small pictures at high quality, and of all others
_ENCODED = {"webm": 145.0, "mov": 28.0, "png": 9.5, "gif": 20.0, "webp": 15.0}
_PAINTED = 9.5  # bytes a pixel of a picture that is only painted
_LOOPED = 16.0  # bytes a pixel of the second picture, and of what paints it
_FINISH = 4.0  # bytes a pixel of bloom and grain
_TEXEL, _MASK_TEXEL, _WORKED_TEXEL = 17.0, 7.0, 60.0  # bytes of a picture's, of a mask's, and while one is made
_BACKDROP = 15.0  # bytes a pixel of one, with what it is made of
_TEXT_TEXEL = 4.5  # bytes: pages that only hold what lies between letters are not there
_LONGEST = {"image": 4096, "record": 2160}  # texels of a side
_SHADOWED = {"image": 1.4, "record": 1.5}  # texels of the mask of the shadow to one of the picture
_READ, _PICTURED = 65e6, ("image", "video")  # bytes of a picture that is only read, and what has them
_DENSEST, _LONGEST_TEXT = 4.0, 8192  # texels a pixel, and of a side
_ADVANCE = 0.63  # of a letter, in sizes
_SUNG = " ".join(10 * ["letters"])  # stands for a line that is sung
_LETTERS_KEPT = 3.2  # times the whole text, in letters that come one by one and in what stands already


@dataclass(frozen=True)
class Needed:
    """Bytes that a task needs for something, and in words what for."""

    size: int
    what: str


def estimate_memory(scene: Mapping[str, Any], kind: str, *, seconds: float = 0.0) -> int:
    """Bytes that the process of a task of this kind takes at its peak, 0 if nothing is known of its scene.

    ``seconds`` are of the video, or of a song that is analysed; 0 if they are not known.
    """
    return sum(part.size for part in needs(scene, kind, seconds=seconds))


def largest_need(scene: Mapping[str, Any], kinds: tuple[str, ...], *, seconds: float = 0.0) -> tuple[int, str]:
    """The most bytes that any of a job's tasks takes, and what most of them are for."""
    found = [needs(scene, kind, seconds=seconds) for kind in kinds]
    most = max(found, key=lambda parts: sum(part.size for part in parts))
    what = max(most[1:], key=lambda part: part.size, default=Needed(0, ""))  # the first one is of all tasks
    return sum(part.size for part in most), what.what


def check_memory(settings: ServiceSettings, scene: Mapping[str, Any], kind: str, *, seconds: float) -> None:
    """Refuse a job of this kind of which a task needs more memory than any worker has for it.

    Raises:
        LimitError: says how much it needs, and most of it for what.
    """
    most = settings.max_task_memory or settings.worker_memory
    needed, what = largest_need(scene, (kind,) if kind in SINGLE_TASK_KINDS else _VIDEO_TASKS, seconds=seconds)
    if most and needed > most:
        said = f"{what}: takes about {needed // 10**6} MB of memory; lower it, in bytes"
        raise LimitError("max_task_memory", most, said)


def needs(scene: Mapping[str, Any], kind: str, *, seconds: float = 0.0) -> list[Needed]:
    """What the process of a task needs memory for, above all its own code and libraries; see above."""
    config = scene.get("config")
    if config is None:
        return []
    return [Needed(int(size), what) for size, what in _needs(scene, config, kind, seconds)]


def _needs(
    scene: Mapping[str, Any], config: Mapping[str, Any], kind: str, seconds: float
) -> Iterator[tuple[float, str]]:
    yield _BASE, "what every task needs"
    long = f"the length of {seconds:g} s"
    if kind in ("plan", "frame", "analysis", "curves") and scene.get("audio"):
        yield _SONG_SECOND * seconds, long
    if kind in ("analysis", "curves"):
        return
    rate = float(Fraction(str(config.get("fps", 30))))
    yield _FRAME * seconds * rate, f"{long} at {rate:g} frames a second"
    if kind in ("sound", "join"):
        return
    width, height = int(config.get("width", 1920)), int(config.get("height", 1080))
    pixels, shown = width * height, f"width × height = {width} × {height}"
    layers: list[Mapping[str, Any]] = list(config.get("layers", ()))
    pictured = [*layers, config.get("backdrop") or {}]
    of_types = [config, *(layer["config"] for layer in layers if "config" in layer)]
    count = sum(max(each.get("particle_count") or 0, 0) for each in of_types)
    yield count * (_SIMULATED if kind == "plan" else _PARTICLE), f"particle_count = {count}"
    trailed = sum(max(each.get("particle_count") or 0, 0) for each in of_types if each.get("trail"))
    yield trailed * _TRAILED if kind != "plan" else 0.0, f"particle_count = {trailed} with trails"
    if kind == "plan" and config.get("flash_guard") != "limit":
        yield _READ if any(each.get("kind") in _PICTURED for each in pictured) else 0.0, "pictures while they are read"
        return
    if kind == "segment":
        form, quality = config.get("format", "mp4"), scene.get("quality")
        name = quality if quality in _H264 else "standard"
        yield _encoder(config, form, pixels, name), f"{shown} in {form} at quality {name}"
    elif kind == "frame":
        yield pixels * _PAINTED, shown
    if kind != "plan" and any(each.get("finish") for each in of_types):
        yield pixels * _FINISH, f"{shown} with a finish"
    if config.get("loop") and kind != "plan":
        yield pixels * _LOOPED, f"{shown} in a loop"
    yield from _layers(config, layers, width, height)


def _encoder(config: Mapping[str, Any], form: str, pixels: int, quality: str) -> float:
    if form == "mp4":
        ahead = min(_LEAST_LOOKAHEAD, _LOOKAHEAD * pixels) if quality == "high" else 0.0
        return _H264[quality] * pixels + ahead
    ground = any(config.get(name) is not None for name in ("background", "backdrop"))
    has_alpha = config["alpha"] if config.get("alpha") is not None else not ground
    return _ENCODED[form] * pixels * (2 if form == "webm" and has_alpha else 1)  # colour, and again alpha


def _layers(
    config: Mapping[str, Any], layers: list[Mapping[str, Any]], width: int, height: int
) -> Iterator[tuple[float, str]]:
    """Of pictures and masks, which are kept while the process lives; the largest is made with more."""
    short, made = min(width, height), [(0.0, "")]
    for number, layer in enumerate(layers):
        kind, where = layer.get("kind"), f"layers.{number}: size = {layer.get('size', 1.0):g}"
        if kind in _LONGEST:
            side = min(_LONGEST[kind], float(layer.get("size", 1.0)) * short)
            shadow = _SHADOWED[kind] * _MASK_TEXEL if layer.get("shadow") or _is_bound(layer, "shadow") else 0.0
            made.append((side * side * _WORKED_TEXEL, f"{where}, while it is made"))
            yield side * side * (_TEXEL + shadow), where
        elif kind in ("text", "lyrics"):
            texels = _text_texels(layer, width, height)
            masks = 1 + bool(layer.get("outline")) + bool(layer.get("shadow") or _is_bound(layer, "shadow"))
            by_letter = kind == "lyrics" or {layer.get("enter"), layer.get("leave")} & {"letters", "typewriter"}
            made.append((texels * _WORKED_TEXEL / 3, f"{where}, while it is drawn"))
            yield texels * masks * _TEXT_TEXEL * (_LETTERS_KEPT if by_letter else 1), f"{where} of letters"
    backdrop = config.get("backdrop") or {}
    if backdrop.get("kind") in ("image", "video"):
        where = f"a backdrop of {width} × {height}"
        yield _BACKDROP * (1.5 if backdrop["kind"] == "video" else 1.0) * min(4096.0**2, width * height), where
    yield max(made, key=lambda each: each[0])


def _text_texels(layer: Mapping[str, Any], width: int, height: int) -> float:
    """Texels of the mask of a whole text, in letters as large as its box allows."""
    across, down = (float(layer.get(name) or 1.0) * of for name, of in (("width", width), ("height", height)))
    text = layer.get("text") or _SUNG
    longest = max(map(len, text.split()), default=1)
    fitting = across / (_ADVANCE * longest), math.sqrt(across * down / (_ADVANCE * len(text))), down
    size = min(float(layer.get("size", 0.1)) * min(width, height), *fitting)
    larger = float(layer.get("scale", 1.0)) * (1.5 if _is_bound(layer, "scale") else 1.0)
    density = max(1.0, min(larger, _DENSEST, _LONGEST_TEXT / max(1.0, across, down)))
    return density**2 * min(0.6 * len(text) * size**2, 0.75 * across * down)


def _is_bound(layer: Mapping[str, Any], name: str) -> bool:
    return any(each.get("target") == name for each in layer.get("bindings", ()))
