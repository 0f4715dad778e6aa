"""How accurate the analysis is: beats, onsets, drums, bars, sections and drops compared with known ground truth.

    python bench/listening.py             # 88 generated songs that nothing was tuned on; ours and librosa, some minutes
    python bench/listening.py --songs     # songs of Debian's games: no ground truth, only agreement between libraries

aubio and essentia are included if they are installed (``pip install aubio-ledfx essentia``); mir_eval does the scoring.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
from music.compositions import KINDS, RATE, Song, compose
from music.forms import FORMS, arrange
from music.forms import score as score_form
from numpy.typing import NDArray

from ecs_core.audio.features import features_of
from ecs_core.audio.spectrum import spectrum_of
from ecs_core.song_file.audio_file import AudioFile

F64 = NDArray[np.float64]
SEEDS = (401, 402, 403, 404)  # only for final measurements; 1–8 were for fitting, 101–104 for development
FOLDERS = ("/usr/share/games/neverball/bgm", "/usr/share/games/frozen-bubble/snd")
GOALS = {
    "beats F": 0.85,
    "CMLt": 0.70,
    "AMLt": 0.90,
    "onsets 50 ms": 0.97,
    "12.5 ms": 0.95,
    "kicks": 0.95,
    "snares": 0.85,
    "hats": 0.90,
    "downbeats": 0.75,
}
EARLY = 5.0  # mir_eval ignores beats in these first seconds

Heard = dict[str, Any]  # "beats", "onsets" … in seconds, "tempo"


def ours(sound: NDArray[np.float32]) -> Heard:
    analysis = features_of(spectrum_of([sound[None]], rate=RATE))
    return {**analysis.events, "metre": analysis.metre, "tempo": analysis.tempo, "confidence": analysis.confidence}


def by_librosa(sound: NDArray[np.float32]) -> Heard:
    """Librosa with its defaults, at its own sample rate."""
    import librosa

    y = librosa.resample(sound, orig_sr=RATE, target_sr=22_050)
    tempo, beats = librosa.beat.beat_track(y=y, sr=22_050, units="time")
    onsets = librosa.onset.onset_detect(y=y, sr=22_050, units="time")
    return {"beats": beats, "onsets": onsets, "tempo": float(np.atleast_1d(tempo)[0])}


def by_aubio(sound: NDArray[np.float32]) -> Heard:
    import aubio

    tempo, onset = aubio.tempo("default", 1024, 512, RATE), aubio.onset("default", 1024, 512, RATE)
    beats, onsets = [], []
    for first in range(0, len(sound) - 511, 512):
        part = sound[first : first + 512].astype(np.float32)
        if tempo(part)[0]:
            beats.append(tempo.get_last_s())
        if onset(part)[0]:
            onsets.append(onset.get_last_s())
    return {"beats": np.asarray(beats), "onsets": np.asarray(onsets), "tempo": float(tempo.get_bpm())}


def by_essentia(sound: NDArray[np.float32]) -> Heard:
    import essentia
    import essentia.standard as es

    essentia.log.infoActive = False
    tempo, beats, *_ = es.RhythmExtractor2013(method="multifeature")(sound)
    window, fft, polar = es.Windowing(type="hann"), es.FFT(), es.CartesianToPolar()
    detect = es.OnsetDetection(method="hfc")
    strengths = []
    for frame in es.FrameGenerator(sound, frameSize=1024, hopSize=512):
        magnitude, phase = polar(fft(window(frame)))
        strengths.append(detect(magnitude, phase))
    onsets = es.Onsets()(essentia.array([strengths]), [1])
    return {"beats": np.asarray(beats), "onsets": np.asarray(onsets), "tempo": float(tempo)}


METHODS: dict[str, Callable[[NDArray[np.float32]], Heard]] = {
    "ours": ours,
    "librosa": by_librosa,
    "aubio": by_aubio,
    "essentia": by_essentia,
}


def installed() -> dict[str, Callable[[NDArray[np.float32]], Heard]]:
    found = {}
    for name, method in METHODS.items():
        try:
            if name != "ours":
                __import__(name)
        except ImportError:
            print(f"!! {name.upper()} IS NOT INSTALLED: the tables below lack it", file=sys.stderr)
        else:
            found[name] = method
    return found


def f_measure(true: F64, found: F64, within: float) -> float:
    if not len(true) or not len(found):
        return float(len(true) == len(found))
    return float(mir_eval.onset.f_measure(true, np.sort(found), window=within)[0])


def score(song: Song, heard: Heard) -> dict[str, float]:
    """Scores by mir_eval; drums that the song lacks and events that the method does not detect are not scored."""
    beats, true = (times[times >= EARLY] for times in (np.asarray(heard["beats"]), song.beats))
    scores = {"beats F": 0.0, "CMLt": 0.0, "AMLt": 0.0}
    if len(beats) > 1:
        continuity = mir_eval.beat.continuity(true, beats)
        scores = {"beats F": mir_eval.beat.f_measure(true, beats), "CMLt": continuity[1], "AMLt": continuity[3]}
        off = beats - true[np.abs(beats[:, None] - true).argmin(axis=1)]
        if (np.abs(off) < 0.07).any():
            scores["offset ms"] = float(np.median(off[np.abs(off) < 0.07])) * 1e3
    scores["onsets 50 ms"] = f_measure(song.onsets, heard["onsets"], 0.05)
    scores["12.5 ms"] = f_measure(song.onsets, heard["onsets"], 0.0125)
    for name, times in song.drums.items():
        if name in heard and len(times):
            scores[name] = f_measure(times, heard[name], 0.05)
    if "downbeats" in heard:
        downbeats, firsts = (times[times >= EARLY] for times in (heard["downbeats"], song.downbeats))
        scores["downbeats"] = mir_eval.beat.f_measure(firsts, downbeats) if len(downbeats) else 0.0
        scores["metre"] = float(heard["metre"] == song.metre)
    return scores


def mean(scores: list[dict[str, float]], name: str) -> float:
    values = [each[name] for each in scores if name in each]
    if not values:
        return float("nan")
    return statistics.median(values) if name == "offset ms" else statistics.fmean(values)


def row(title: str, scores: list[dict[str, float]]) -> str:
    cells = []
    for name in COLUMNS:
        value = mean(scores, name)
        cells.append(f"{'':>10}" if np.isnan(value) else f"{value:10.1f}" if name == "offset ms" else f"{value:10.2f}")
    return f"{title:24}" + "".join(cells)


COLUMNS = (
    "beats F",
    "CMLt",
    "AMLt",
    "offset ms",
    "onsets 50 ms",
    "12.5 ms",
    "kicks",
    "snares",
    "hats",
    "downbeats",
    "metre",
)


def measure(seeds: tuple[int, ...], kinds: tuple[str, ...]) -> bool:
    """Score every method on every song; returns whether all goals are met."""
    methods = installed()
    results: dict[str, dict[str, list[dict[str, float]]]] = {name: {} for name in methods}
    cost = dict.fromkeys(methods, 0.0)
    seconds = 0.0
    sure: list[tuple[float, float]] = []
    for kind in kinds:
        for seed in seeds:
            song = compose(kind, seed)
            seconds += len(song.sound) / RATE
            for name, method in methods.items():
                begun = time.process_time()
                heard = method(song.sound)
                cost[name] += time.process_time() - begun
                results[name].setdefault(kind, []).append(score(song, heard))
                if name == "ours":
                    sure.append((heard["confidence"]["beats"], results[name][kind][-1]["beats F"]))
    print(f"{'':24}" + "".join(f"{name.removeprefix('onsets ').removeprefix('beats '):>10}" for name in COLUMNS))
    for name in methods:
        print(row(name, [each for scores in results[name].values() for each in scores]))
    print("\nBy kind, ours above librosa's:")
    worse = []
    for kind in kinds:
        print(row(kind, results["ours"][kind]))
        if "librosa" in results:
            print(row("", results["librosa"][kind]))
            for figure in ("beats F", "onsets 50 ms", "12.5 ms"):
                mine, theirs = (mean(results[name][kind], figure) for name in ("ours", "librosa"))
                if mine < theirs - 0.005:
                    worse.append(f"{kind}: {figure} {mine:.2f}, librosa {theirs:.2f}")
    print("\nWorse than librosa: " + ("; ".join(worse) or "nowhere"))
    confident, other = ([f for c, f in sure if (c >= 0.5) == high] for high in (True, False))
    print(
        f"Confidence of beats: F {np.mean(confident or [np.nan]):.2f} where it is at least 0.5 ({len(confident)}), "
        f"{np.mean(other or [np.nan]):.2f} below ({len(other)})"
    )
    print("CPU seconds per minute of song: " + ", ".join(f"{name} {cost[name] / seconds * 60:.2f}" for name in methods))
    everything = [each for scores in results["ours"].values() for each in scores]
    missed = [
        f"{name} {mean(everything, name):.3f} < {goal}" for name, goal in GOALS.items() if mean(everything, name) < goal
    ]
    if abs(mean(everything, "offset ms")) > 2:
        missed.append("offset over 2 ms")
    print("Goals: " + ("; ".join(missed) + " MISSED" if missed else "all met"))
    return not missed


def measure_forms(seeds: tuple[int, ...]) -> None:
    """Score sections and drops on songs of known form."""
    print("\nSections and drops:")
    for form in FORMS:
        scores = []
        for seed in seeds:
            song = arrange(form, seed)
            heard = features_of(spectrum_of([song.sound[None]], rate=RATE))
            scores.append(score_form(song, heard.events["sections"], heard.labels, heard.events["drops"]))
        print(f"{form:24}" + "   ".join(f"{name} {mean(scores, name):.2f}" for name in scores[0]))


def listen(path: Path) -> NDArray[np.float32]:
    """The samples of a song, as mono at RATE."""
    import soxr

    with AudioFile(path) as song:
        blocks = [block.mean(axis=0, dtype=np.float32) for block in song.blocks()]
        mono = np.concatenate(blocks)
        return soxr.resample(mono, song.rate, RATE).astype(np.float32) if song.rate != RATE else mono


def real_songs(most: int) -> None:
    """Print every method's tempo, and how well its beats and onsets agree with ours."""
    methods = installed()
    paths = [path for folder in FOLDERS for path in sorted(Path(folder).glob("*.ogg"))]
    if not paths:
        print("!! NO SONGS: apt-get install neverball-data frozen-bubble-data", file=sys.stderr)
        return
    print(f"{'':28}" + "".join(f"{name:>18}" for name in methods) + "   tempo, F of beats and onsets with ours")
    shown = 0
    for path in paths:
        sound = listen(path)
        if len(sound) < 20 * RATE or shown >= most:  # a sound effect
            continue
        shown += 1
        heard = {name: method(sound) for name, method in methods.items()}
        mine = heard["ours"]
        cells = []
        for name, found in heard.items():
            if name == "ours":
                cells.append(f"{found['tempo']:7.1f} ({mine['confidence']['beats']:.2f})   ")
                continue
            beats = f_measure(np.asarray(mine["beats"]), np.asarray(found["beats"]), 0.07)
            onsets = f_measure(np.asarray(mine["onsets"]), np.asarray(found["onsets"]), 0.05)
            cells.append(f"{found['tempo']:8.1f} {beats:.2f} {onsets:.2f}")
        drums = " ".join(f"{name} {len(mine[name])}" for name in ("kicks", "snares", "hats"))
        print(f"{path.parent.parent.name[:11]}/{path.stem[:15]:16}" + "".join(f"{cell:>18}" for cell in cells), end="")
        print(f"   {mine['metre']} beats per bar; {drums}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", action="store_true", help="use real songs instead of generated ones")
    parser.add_argument("--most", type=int, default=24, help="at most this many real songs")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.songs:
        real_songs(arguments.most)
    else:
        met = measure(tuple(arguments.seeds), tuple(arguments.kinds))
        measure_forms(tuple(arguments.seeds))
        if not met:
            sys.exit(1)


if __name__ == "__main__":
    main()
