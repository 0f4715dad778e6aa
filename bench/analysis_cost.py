"""The CPU time of analysing a three-minute song, compared with calling librosa once per feature.

    python bench/analysis_cost.py       # two and a half minutes on two cores

It also measures how the time grows with the song, up to an hour, what a fresh process needs, and whether two analyses
of a song are identical.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.analysis import Analysis
from ecs_core.audio.catalogue import FEATURES
from ecs_core.audio.features import analyze
from ecs_core.audio.spectrum import BANDS
from services.cli.demo_song import beat_times, write_wav

F64 = NDArray[np.float64]
SECONDS, GOAL = 180.0, 0.3
FPS = Fraction(30)
WARM, FRESH, MEMORY = 1.5, 6.0, 600.0  # CPU seconds of three minutes, MB of an hour
LENGTHS = (30.0, 60.0, 180.0, 360.0)
HOUR = 3600.0
# Runs in a separate process and measures itself, because a process does not give back memory that it used once.
ALONE = """
import sys, time, json

def peak():  # VmHWM: unlike ru_maxrss it does not start at the peak of the parent
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

if sys.argv[2] == "warm":
    from ecs_core.audio.features import analyze
    analyze(sys.argv[3])  # a short song
base = peak()
start = time.process_time() if sys.argv[2] == "warm" else 0.0
from ecs_core.audio.features import analyze
imported = time.process_time()
analyze(sys.argv[1])
end = time.process_time()
print(json.dumps({"cpu": end - start, "import": imported, "base": base, "peak": peak()}))
"""


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds of all threads while ``work`` runs."""
    start = time.process_time()
    work()
    return time.process_time() - start


def by_librosa(path: Path) -> tuple[float, dict[str, F64], dict[str, F64]]:
    """Every feature by one call of librosa each: tempo, curves by name at a hop of 512 samples, and events."""
    import librosa

    y, rate = librosa.load(path)
    curves = {}
    for name, (low, high) in BANDS.items():
        bands = 8 if high <= 60 else 16  # the most that leave no band without an FFT bin
        mel = librosa.feature.melspectrogram(y=y, sr=rate, fmin=low, fmax=high, n_mels=bands)
        curves[name] = np.sqrt(mel.sum(axis=0))
    curves["rms"] = librosa.feature.rms(y=y)[0]
    curves["onset"] = librosa.onset.onset_strength(y=y, sr=rate)
    curves["centroid"] = librosa.feature.spectral_centroid(y=y, sr=rate)[0]
    onsets = librosa.onset.onset_detect(y=y, sr=rate, units="time")
    beats = librosa.beat.beat_track(y=y, sr=rate, units="time")[1]
    tempo = float(np.atleast_1d(librosa.feature.tempo(y=y, sr=rate))[0])
    # Our other features that librosa has: harmonic and percussive parts, chroma, flatness. It lacks loudness and drums.
    tones, strokes = librosa.effects.hpss(y)
    librosa.feature.rms(y=tones), librosa.feature.rms(y=strokes)
    librosa.feature.chroma_stft(y=y, sr=rate)
    librosa.feature.spectral_flatness(y=y)
    return tempo, curves, {"onsets": onsets, "beats": beats}


def share(these: F64, near: F64, within: float = 0.05) -> float:
    """The share of these times that have one of the others nearby."""
    return float(np.mean([np.abs(near - time).min() <= within for time in these])) if len(these) and len(near) else 0.0


def f_measure(found: F64, true: F64) -> float:
    precision, recall = share(found, true), share(true, found)
    return 2 * precision * recall / max(1e-9, precision + recall)


def centroid_of_power(path: Path) -> F64:
    """Librosa's centroid weighted by power, as ours is, instead of amplitude; only compared, not timed."""
    import librosa

    y, rate = librosa.load(path)
    centroid: F64 = librosa.feature.spectral_centroid(S=np.abs(librosa.stft(y)) ** 2, sr=rate)[0]
    return centroid


def compare(ours: Analysis, tempo: float, curves: dict[str, F64], events: dict[str, F64]) -> None:
    """Print how well the results agree."""
    frames = round(ours.exact_duration * FPS)
    found = ours.timeline(FPS, frames).features
    times = (np.arange(frames) + 0.5) / float(FPS)
    likeness = {}
    for name, curve in curves.items():
        # Our centroid is logarithmic and our hits decay slowly: librosa's curves are transformed to match.
        if name.startswith("centroid"):
            scaled = np.log(np.maximum(curve, 100.0))
        elif any(feature.name == name and feature.kind == "hit" for feature in FEATURES):
            fall = np.arange(len(curve)) * (512 / 22_050 / 0.09)
            scaled = np.exp(np.maximum.accumulate(np.log(np.maximum(curve, 1e-9)) + fall) - fall)
        else:
            scaled = curve
        theirs = np.interp(times, np.arange(len(scaled)) * 512 / 22_050, scaled)
        likeness[name] = float(np.corrcoef(found[name.split()[0]], theirs)[0, 1])
    print("  correlation at 30 fps   " + "  ".join(f"{name} {value:.2f}" for name, value in likeness.items()))
    onsets, beats = ours.events["onsets"], ours.events["beats"]
    near = share(events["onsets"], onsets)
    print(
        f"  onsets                  {len(onsets)} ours, {len(events['onsets'])} librosa's; {near:.0%} of them near ours"
    )
    print(f"  tempo                   {ours.tempo:.1f} ours, {tempo:.1f} librosa's, 120 true")
    true = beat_times(SECONDS)
    scores = f_measure(beats, true), f_measure(events["beats"], true)
    print(f"  beats within 50 ms      F {scores[0]:.2f} ours, {scores[1]:.2f} librosa's")


def alone(path: Path, mode: str, short: Path) -> dict[str, float]:
    """CPU seconds and MB of an analysis in a separate process."""
    command = [sys.executable, "-c", ALONE, str(path), mode, str(short)]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def repeat(song: Path, times: int, path: Path) -> None:
    """Write a song repeated ``times`` times."""
    with wave.open(str(song)) as once, wave.open(str(path), "wb") as many:
        many.setparams(once.getparams())
        samples = once.readframes(once.getnframes())
        for _ in range(times):
            many.writeframes(samples)


def same(one: Analysis, other: Analysis) -> bool:
    """Whether two analyses are identical to the last bit."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("curves", "events", "strengths")]
    equal = all(a.keys() == b.keys() and all(np.array_equal(a[each], b[each]) for each in a) for a, b in pairs)
    return bool(equal and (one.tempo, one.key, one.labels) == (other.tempo, other.key, other.labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="number of runs; their median counts")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        songs = {seconds: folder / f"{seconds:g}.wav" for seconds in LENGTHS}
        for seconds, path in songs.items():
            write_wav(path, seconds)
        song, short = songs[SECONDS], songs[30.0]
        analyze(short)  # warm up both: compile and import
        by_librosa(short)
        ours, theirs = [], []
        for _ in range(arguments.repeat):  # alternate, so that other load on the machine affects both
            ours.append(cpu_of(lambda: analyze(song)))
            theirs.append(cpu_of(lambda: by_librosa(song)))
        one, other = float(np.median(ours)), float(np.median(theirs))
        print(f"All features of {SECONDS / 60:g} minutes, CPU seconds (median of {arguments.repeat})")
        print(f"  goal: ours at most {WARM}; two runs are identical: {same(analyze(song), analyze(song))}")
        print(f"  ours {one:.2f}   librosa, once per feature {other:.2f}   ratio {one / other:.3f} (goal {GOAL})")
        tempo, curves, events = by_librosa(song)
        curves["centroid of power"] = centroid_of_power(song)
        compare(analyze(song), tempo, curves, events)
        songs[HOUR] = folder / "hour.wav"
        repeat(songs[LENGTHS[-1]], round(HOUR / LENGTHS[-1]), songs[HOUR])
        print(f"Growth, each in a separate warm process (goal for an hour: {MEMORY:g} MB)")
        for seconds, path in songs.items():
            found = alone(path, "warm", short)
            per_minute = found["cpu"] / seconds * 60
            grown = found["peak"] - found["base"]
            print(
                f"  {seconds / 60:4g} min   {found['cpu']:5.2f} CPU s ({per_minute:.2f} a minute)   "
                f"peak {found['peak']:.0f} MB (+{grown:.0f} over 30 s of song)"
            )
        fresh = alone(song, "fresh", short)
        said = f"{fresh['cpu']:.2f} CPU s (goal {FRESH:g}), including {fresh['import']:.2f} for imports"
        print(f"A fresh process, {SECONDS / 60:g} min   {said}")


if __name__ == "__main__":
    main()
