"""analyze(): from a song to an Analysis. For the features see ``ecs_core/audio/catalogue.py`` and docs/listening.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.audio import loudness, stereo
from ecs_core.audio.analysis import Analysis, gate_of
from ecs_core.audio.bars import bars_of
from ecs_core.audio.beats import Beats, beats_of, tempo_curve
from ecs_core.audio.catalogue import EVENTS
from ecs_core.audio.curves import Coarse, Curves, Scaled
from ecs_core.audio.drums import drums_of
from ecs_core.audio.guidance import AS_HEARD, Guidance
from ecs_core.audio.meters import STEP, Measured
from ecs_core.audio.onsets import SECONDS_PER_HOP, onset_envelope, pick_onsets, rise_of, whitening
from ecs_core.audio.sections import find_drops, find_sections
from ecs_core.audio.sonogram import sonogram_of
from ecs_core.audio.spectrum import BANDS, CHROMA_HOP, HOP, RMS, Spectrum, spectrum_of
from ecs_core.audio.timeline import AudioFeature
from ecs_core.audio.tonal import harmonic_share, key_of, pitch_classes
from ecs_core.heartbeat import beat
from ecs_core.song_file.audio_file import AudioFile, Song
from ecs_core.song_file.mixdown import cut_warning

_Arrays = TypeVar("_Arrays", Spectrum, Measured)

_OUT_OF_PHASE = 0.999  # share of the sides at which the mono mix is 30 dB quieter
_CUT = 0.02  # seconds: an abrupt end sounds like a click, but is not an onset


def analyze(
    path: str | Path,
    *,
    track: int | None = None,
    more: Sequence[AudioFeature] = (),
    guidance: Guidance = AS_HEARD,
    progress: Callable[[float], None] = lambda share: None,
) -> Analysis:
    """Analyse a ``track`` of a song (see AudioFile) with the given ``guidance``; ``progress`` gets shares from 0 to 1.

    A pure function of the decoded samples, ``more`` and ``guidance``.

    Raises:
        AudioError: the song cannot be read.
    """
    with AudioFile(path, track=track) as song:
        return analyze_song(song, more=more, guidance=guidance, progress=progress)


def analyze_song(
    song: Song,
    *,
    more: Sequence[AudioFeature] = (),
    guidance: Guidance = AS_HEARD,
    progress: Callable[[float], None] = lambda share: None,
) -> Analysis:
    """Analyse an open song, like :func:`analyze`."""
    expected = (song.seconds or 180.0) * song.rate

    def on_samples(done: int) -> None:
        progress(min(0.99, done / expected) if expected > 0 else 0.0)

    progress(0.0)
    spectrum = spectrum_of(song.blocks(), rate=song.rate, layout=song.layout, on_samples=on_samples)
    warnings = tuple(song.warnings)
    analysis = features_of(spectrum, warnings, more=more, guidance=guidance)
    progress(1.0)
    return analysis


def features_of(
    spectrum: Spectrum,
    warnings: tuple[str, ...] = (),
    *,
    more: Sequence[AudioFeature] = (),
    guidance: Guidance = AS_HEARD,
) -> Analysis:
    """The features of a song from its spectrum; a feature of ``more`` that fails is 0 and gives a warning."""
    duration = Fraction(spectrum.samples, spectrum.rate)
    gains = whitening(spectrum.mel_rows)
    rise = rise_of(spectrum.mel_rows, gains, gate_of(spectrum.rms * RMS))
    envelope = onset_envelope(rise.whole)
    beat()
    events: dict[str, F64] = {name: np.zeros(0) for name in EVENTS}
    hops, onsets = pick_onsets(rise)
    hops, onsets = hops[onsets < float(duration) - _CUT], onsets[onsets < float(duration) - _CUT]
    drums = drums_of(spectrum.mel_rows, gains, hops, onsets)
    events["onsets"] = onsets
    events |= {name: struck.times for name, struck in drums.items()}
    beat()
    beats = beats_of(rise, bpm=guidance.bpm, beat_at=guidance.beat_offset, octave=guidance.octave)
    events["beats"] = beats.times[beats.times < float(duration)]
    warnings += cut_warning(spectrum.layout, spectrum.peak) + _doubts(guidance, beats) + _cancelled(spectrum.measured)
    bars = bars_of(spectrum.mel_rows, gains, spectrum.chroma, rise.whole, events["beats"], metre=guidance.metre)
    events["downbeats"] = bars.downbeats
    del rise  # large in a long song
    beat()
    energy = loudness.together(spectrum.measured.loudness, spectrum.layout)
    kept = _curves(spectrum, envelope, events["beats"], energy)
    curves = Curves(len(envelope), kept)
    beat()
    events["builds"], events["drops"] = find_drops(curves, events)
    events["sections"], labels = find_sections(spectrum, curves, events)
    key, sure = key_of(spectrum.chroma)
    beat()
    added = {}
    for feature in more:
        try:
            kept[feature.name] = _checked(feature.compute(_read_only(spectrum)), hops=len(spectrum.rms))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            warnings += (f"audio feature {feature.name!r} is left out: {type(error).__name__}: {error}",)
            kept[feature.name] = np.zeros(len(spectrum.rms), np.float32)
        added[feature.name] = feature.kind
        beat()
    return Analysis(
        duration,
        beats.tempo,
        Curves(len(envelope), kept),
        events,
        warnings,
        strengths={"onsets": _strengths(envelope, onsets)} | {name: struck.strengths for name, struck in drums.items()},
        labels=labels,
        metre=bars.metre,
        loudness=round(loudness.integrated(energy), 2),
        key=key,
        confidence={
            "beats": beats.confidence,
            "metre": round(beats.confidence * bars.sure_of_metre, 3) if guidance.metre is None else 1.0,
            "downbeats": round(beats.confidence * bars.confidence, 3),
            **{name: struck.confidence for name, struck in drums.items()},
            "key": sure,
        },
        added=added,
        peak=spectrum.peak,
        sonogram=sonogram_of(spectrum),
    )


def _doubts(guidance: Guidance, beats: Beats) -> tuple[str, ...]:
    """Warnings about the given tempo."""
    if (guidance.bpm is None and not guidance.octave) or beats.confidence > 0:
        return ()
    said = f"beat_octave {guidance.beat_octave}" if guidance.bpm is None else f"bpm {guidance.bpm:g}"
    if not beats.times.size:
        return (f"{said}: no beats are heard in the song",)
    return (f"{said}: nothing in the song comes back at this tempo; its beats are an even grid",)


def _cancelled(measured: Measured) -> tuple[str, ...]:
    """A warning if left and right cancel each other in the mono mix."""
    sides = float(stereo.width(measured.stereo.sum(axis=0, keepdims=True))[0])
    if measured.loudness.shape[1] != 2 or sides < _OUT_OF_PHASE:
        return ()
    return ("left and right cancel: their mix to mono, in which beats are heard, is silent; is one inverted?",)


def _curves(spectrum: Spectrum, envelope: F32, beats: F64, energy: F64) -> dict[str, F32 | Scaled | Coarse]:
    """All curves in natural units; ``energy`` is that of each tenth of a second."""
    hops, measured = len(spectrum.rms), spectrum.measured
    edges = np.arange(len(energy) + 1) * STEP
    middles = (np.arange(len(measured.stereo)) + 0.5) * STEP
    eighths = np.arange(len(spectrum.chroma)) * (CHROMA_HOP / HOP) * SECONDS_PER_HOP
    air = np.zeros(hops, np.float32)
    air[: min(hops, len(measured.air))] = measured.air[:hops]
    return {
        **{name: Scaled(spectrum.bands[:, band], RMS) for band, name in enumerate(BANDS)},
        "air": air,
        "rms": Scaled(spectrum.rms, RMS),
        "momentary": Coarse(edges, loudness.momentary(energy)),
        "short_term": Coarse(edges, loudness.short_term(energy)),
        "onset": envelope,
        "centroid": spectrum.centroid,
        "flatness": spectrum.flatness,
        "harmonic": harmonic_share(spectrum.mel_rows),
        "width": Coarse(middles, stereo.width(measured.stereo)),
        "balance": Coarse(middles, stereo.balance(measured.stereo)),
        "chroma": Coarse(eighths, pitch_classes(spectrum.chroma)),
        "tempo": tempo_curve(beats, np.arange(hops, dtype=np.float64) * SECONDS_PER_HOP),
    }


def _strengths(envelope: F32, times: F64) -> F32:
    """Strengths of the onsets at the given times, 0–1."""
    hops = np.rint(times / SECONDS_PER_HOP).astype(np.int64)
    around = [envelope[np.clip(hops + offset, 0, len(envelope) - 1)] for offset in (-1, 0, 1)]
    return np.minimum(np.max(around, axis=0), 1).astype(np.float32) if times.size else np.zeros(0, np.float32)


def _read_only(what: _Arrays) -> _Arrays:
    """A read-only view for plugins, so that none can change what others get."""

    def seen(value: Any) -> Any:
        if isinstance(value, Measured):
            return _read_only(value)
        if isinstance(value, np.ndarray):
            value = value.view()
            value.setflags(write=False)
        return value

    return replace(what, **{each.name: seen(getattr(what, each.name)) for each in fields(what)})


def _checked(values: NDArray[Any], *, hops: int) -> F32:
    """A plugin's result as (hops,) float32 in 0–1."""
    curve = np.asarray(values, np.float32)
    if curve.shape != (hops,):
        raise ValueError(f"returned shape {curve.shape}, not ({hops},): a value for each hop")
    return np.clip(np.nan_to_num(curve, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
