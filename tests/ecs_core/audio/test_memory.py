"""The analysis of a long song and its timeline take little memory: what is large is read in parts, or made anew."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ecs_core.audio.features import features_of
from ecs_core.audio.spectrum import MEL_BANDS, Spectrum
from ecs_core.audio.stored_rows import StoredRows
from ecs_core.rendering.timeline_file import save_timeline
from services.cli.demo_song import RATE, compose
from tests.ecs_core.audio.samples import spectrum

FPS = Fraction(60)
SECONDS = 20  # of the demo song, which is repeated
MOST = 9_500  # bytes for each second of a song; all that is kept of it would be three times as many


def repeated(once: Spectrum, times: int) -> Spectrum:
    """The spectrum of a song that is heard again and again."""

    def tiled(kept: Any) -> Any:
        arrays = {each.name: getattr(kept, each.name) for each in fields(kept)}
        arrays = {name: each for name, each in arrays.items() if isinstance(each, np.ndarray)}
        return replace(kept, **{name: np.concatenate([each] * times) for name, each in arrays.items()})

    mel_rows = StoredRows(MEL_BANDS, np.float16)
    for _ in range(times):
        mel_rows.append(once.mel_rows[:])
    whole: Spectrum = tiled(once)
    return replace(whole, mel_rows=mel_rows, measured=tiled(once.measured), samples=times * once.samples)


def peaks(once: Spectrum, times: int, path: Path) -> tuple[int, int]:
    """Bytes held at most while a song is analysed, and while its timeline is written into a file."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        analysis = features_of(repeated(once, times))
        analysing = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        timeline = analysis.timeline(FPS, int(analysis.exact_duration * FPS), lazily=True)
        save_timeline(timeline, path)
        return analysing - before, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_memory_hardly_grows_with_the_song(tmp_path: Path) -> None:
    once = spectrum(compose(SECONDS), rate=RATE)
    features_of(once)  # loads what is loaded once
    short, long = (peaks(once, times, tmp_path / "timeline.npy") for times in (15, 45))
    for one, other, what in zip(short, long, ("analysing", "planning"), strict=True):
        growth = (other - one) / (30 * SECONDS)
        print(f"{what}: {one / 2**20:.1f} MiB for five minutes, {growth:.0f} bytes for each second more")
        assert growth < MOST, what
