"""The picture of an analysis: waveform, sections, beats, bars, drums, bands, loudness and pitch classes over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.catalogue import NOTES
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.errors import OutputError
from ecs_core.rendering.output_file import write_atomically
from ecs_core.song_file.audio_file import AudioFile

if TYPE_CHECKING:
    from ecs_core.audio.analysis import Analysis

_COLUMNS = 2400  # of the waveform
_INK, _PAPER, _FAINT = "#1d2433", "#ffffff", "#9aa3b5"
_SECTIONS = ("#f4b183", "#a8d1e7", "#b5d99c", "#d7b5e6", "#f2d06b", "#f0a3b1", "#9fd8cb", "#c9c2b0")
# From top to bottom, with their colours.
_EVENTS = {
    "downbeats": "#1d2433",
    "beats": "#7b8499",
    "kicks": "#d1495b",
    "snares": "#2e86ab",
    "hats": "#8a9a5b",
    "onsets": "#b8860b",
}
_WORDS = ((0.5, "sure"), (0.2, "fairly sure"), (0.0, "unsure"))  # lowest confidence for each word
_BANDS = ("air", "high", "mid", "low_mid", "bass", "sub")


def draw(analysis: Analysis, song: Path, output: Path, *, track: int | None = None) -> None:
    """Draw the analysis of a song's ``track``: write a PNG of 2000 × 1320 pixels.

    Raises:
        OutputError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure  # optional, and slow to load
    except ImportError:
        raise OutputError("--plot needs matplotlib: pip install matplotlib") from None
    duration = float(analysis.exact_duration)
    figure = Figure(figsize=(20, 13.2), dpi=100, facecolor=_PAPER, layout="constrained")
    axes = figure.subplots(5, 1, sharex=True, height_ratios=(3, 2, 2.2, 1.8, 2.2))
    figure.suptitle(_title(analysis, song), x=0.01, ha="left", fontsize=15, color=_INK)
    for axis in axes:
        axis.tick_params(colors=_INK, labelsize=10)
        for side in ("top", "right", "left", "bottom"):
            axis.spines[side].set_visible(False)
    _waveform(axes[0], analysis, song, track)
    _events(axes[1], analysis)
    _rows(axes[2], np.stack([_level(analysis, name) for name in _BANDS]), _BANDS, "magma")
    _loudness(axes[3], analysis)
    _rows(axes[4], analysis.curves["chroma"].T[::-1], NOTES[::-1], "viridis")
    for axis, name in zip(axes, ("waveform, sections", "events", "bands", "LUFS", "pitch classes"), strict=True):
        axis.set_title(name, loc="left", fontsize=11, color=_INK)
    axes[0].set_xlim(0, duration)
    axes[-1].set_xlabel("seconds", color=_INK)
    write_atomically(output, lambda part: figure.savefig(part, format="png"))


def _title(analysis: Analysis, song: Path) -> str:
    name = song.name if len(song.name) <= 70 else f"{song.name[:67]}…"
    minutes, seconds = divmod(float(analysis.exact_duration), 60)
    facts = [f"{int(minutes)}:{seconds:04.1f}"]
    if analysis.tempo:
        facts.append(f"{analysis.tempo:.1f} BPM{_sure(analysis, 'beats')}")
    if analysis.metre:
        facts.append(f"{analysis.metre} beats a bar{_sure(analysis, 'metre')}")
    if analysis.key:
        facts.append(f"{analysis.key}{_sure(analysis, 'key')}")
    facts.append(f"{analysis.loudness:.1f} LUFS")
    return f"{name.replace('$', '')}   " + " · ".join(facts)


def _sure(analysis: Analysis, name: str) -> str:
    """The confidence in words, as it is not a probability."""
    if name not in analysis.confidence:
        return ""
    return f" ({next(word for least, word in _WORDS if analysis.confidence[name] >= least)})"


def _waveform(axis: Any, analysis: Analysis, song: Path, track: int | None) -> None:
    """The waveform over its sections; build-ups shaded, drops marked."""
    duration = float(analysis.exact_duration)
    low, high = _extremes(song, track, duration)
    times = (np.arange(len(low)) + 0.5) * duration / len(low)
    letters = sorted(set(analysis.labels))
    edges = [*analysis.events["sections"].tolist(), duration]
    for label, start, stop in zip(analysis.labels, edges, edges[1:], strict=False):
        axis.axvspan(start, stop, color=_SECTIONS[letters.index(label) % len(_SECTIONS)], alpha=0.55, lw=0)
        axis.text(start, 0.97, f" {label}", fontsize=15, fontweight="bold", color=_INK, va="top", clip_on=True)
    axis.vlines(edges[1:-1], -1, 1, color=_INK, lw=1.2)
    axis.fill_between(times, low, high, color="#30475e", lw=0)
    for start in analysis.events["builds"].tolist():
        ends = analysis.events["drops"][analysis.events["drops"] > start]
        if ends.size:
            axis.fill([start, ends[0], ends[0]], [-1, -1, -0.6], color="#d1495b", alpha=0.8, lw=0)
    for time in analysis.events["drops"].tolist():
        axis.plot([time], [0.94], marker="v", ms=11, color="#d1495b", clip_on=False)
        axis.vlines([time], -1, 0.9, color="#d1495b", lw=1.6)
    axis.set_ylim(-1, 1)
    axis.set_yticks([])


def _extremes(song: Path, track: int | None, duration: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Minimum and maximum sample per column of the picture, relative to the loudest."""
    low, high = np.zeros(_COLUMNS, np.float32), np.zeros(_COLUMNS, np.float32)
    with AudioFile(song, track=track) as file:
        at, width = 0, max(1.0, duration * file.rate / _COLUMNS)
        for block in file.blocks():
            column = np.minimum((np.arange(at, at + block.shape[1]) / width).astype(np.int64), _COLUMNS - 1)
            first = np.flatnonzero(np.diff(column, prepend=-1))
            np.minimum.at(low, column[first], np.minimum.reduceat(block.min(axis=0), first))
            np.maximum.at(high, column[first], np.maximum.reduceat(block.max(axis=0), first))
            at += block.shape[1]
    loudest = max(float(high.max()), -float(low.min()), 1e-9)
    return low / loudest, high / loudest


def _events(axis: Any, analysis: Analysis) -> None:
    for row, (name, color) in enumerate(_EVENTS.items()):
        times = analysis.events[name]
        strong = analysis.strengths.get(name, np.ones(len(times), np.float32))
        y = len(_EVENTS) - 1 - row
        width = 0.6 if len(times) > 1500 else 1.4
        axis.vlines(
            times, y - 0.42 * np.maximum(strong, 0.15), y + 0.42 * np.maximum(strong, 0.15), color=color, lw=width
        )
    axis.set_yticks(range(len(_EVENTS)), list(_EVENTS)[::-1])
    axis.set_ylim(-0.6, len(_EVENTS) - 0.4)


def _level(analysis: Analysis, name: str) -> NDArray[np.float64]:
    """A band's level below its maximum: 50 dB mapped to 0–1."""
    curve = analysis.curves[name].astype(np.float64)
    loudest = max(float(curve.max()), 1e-9)
    return np.clip(1 + 20 * np.log10(np.maximum(curve, 1e-9) / loudest) / 50, 0, 1)


def _rows(axis: Any, values: NDArray[Any], names: tuple[str, ...], colours: str) -> None:
    """Rows of colour, reduced to the picture's width by their maximum."""
    step = max(1, values.shape[1] // _COLUMNS)
    cut = values[:, : values.shape[1] // step * step].reshape(len(values), -1, step).max(axis=2)
    seconds = values.shape[1] * SECONDS_PER_HOP
    extent = (0, seconds, len(values) - 0.5, -0.5)
    axis.imshow(cut, aspect="auto", extent=extent, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    axis.set_yticks(range(len(names)), names, fontsize=9)


def _loudness(axis: Any, analysis: Analysis) -> None:
    times = np.arange(len(analysis.curves["momentary"])) * SECONDS_PER_HOP
    floor = analysis.loudness - 25
    step = max(1, len(times) // _COLUMNS)
    for name, color, width in (("momentary", _FAINT, 1.0), ("short_term", "#2e86ab", 2.0)):
        axis.plot(times[::step], np.maximum(analysis.curves[name][::step], floor), color=color, lw=width, label=name)
    axis.axhline(analysis.loudness, color="#d1495b", lw=1.2, ls="--", label="integrated")
    axis.set_ylim(floor, max(-3.0, analysis.loudness + 8))
    axis.grid(axis="y", color="#e3e6ee", lw=0.8)
    axis.legend(loc="lower right", ncols=3, fontsize=9, frameon=False)
