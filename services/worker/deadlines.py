"""How long a task may take before it counts as hung, from what it does. Generous: a hundred times what is usual."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

TRIES = 11  # of a segment of a given size: ecs_core.video.encoding.STEPS, which would load FFmpeg
_LEAST = 900.0  # seconds of any task: files come from afar, kernels are compiled
_FRAME = 0.5  # seconds of a frame, simulated
_PARTICLE = 20e-6  # and of each of its particles
_PIXEL = 5e-6  # seconds of a pixel, drawn and encoded; at 1080p, ten seconds a frame
_SMALL = 480 * 270  # pixels in which flashes are limited, several times a frame
_SONG = 2.0  # seconds of a second of song that is heard
_LONGEST_SONG = 10_800.0  # seconds, where its length is not known


def deadline_of(scene: Mapping[str, Any], kind: str, *, frames: int, seconds: float) -> float:
    """Seconds that a task of this kind may take: a segment of so many frames, or of a video of so many seconds.

    Seconds of 0 are unknown.
    """
    config = scene.get("config", {})
    heard = seconds or _LONGEST_SONG
    song = _SONG * heard if scene.get("audio") else 0.0
    if kind in ("analysis", "curves"):
        return _LEAST + _SONG * _LONGEST_SONG
    rate = Fraction(str(config.get("fps", 30)))
    pixels: int = config.get("width", 1920) * config.get("height", 1080)
    if kind == "segment":
        tries = TRIES if isinstance(scene.get("quality"), dict) else 1  # of a size, it may be too large at first
        return _LEAST + tries * frames * (_simulated(config) + _PIXEL * pixels)
    whole = int(float(scene.get("at", heard)) * rate) + 1 if kind == "frame" else int(heard * rate)
    painted = 10 * _PIXEL * _SMALL if config.get("flash_guard") == "limit" else 0.0
    if kind == "sound":
        return _LEAST + song
    if kind == "join":
        return _LEAST + whole * _FRAME
    return _LEAST + _SONG * _LONGEST_SONG * bool(scene.get("audio")) + whole * (_simulated(config) + painted)


def _simulated(config: Mapping[str, Any]) -> float:
    """Seconds of a frame that is simulated."""
    layers = [config, *(layer.get("config", {}) for layer in config.get("layers", ()))]
    particles = sum(max(layer.get("particle_count") or 0, layer.get("max_particles") or 0) for layer in layers)
    return _FRAME * len(layers) + _PARTICLE * particles
