"""What scipy and librosa have that we wrote by hand, side by side: CPU time of each, and how far results differ.

python bench/handmade.py

For each this says why ours stays: it is faster, or exact where the other is not, or the import costs more than it
saves. ``import`` is what a process pays that has loaded what else the analysis needs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view

from ecs_core.audio.loudness import weighting
from ecs_core.audio.meters import Meters
from ecs_core.audio.onsets import Rise, pick_onsets
from ecs_core.audio.spectrum import HOP, RATE, WINDOW
from ecs_core.audio.windows import medians

SONG_RATE = 44_100
SECONDS = 60


def cpu(work: Callable[[], object], rounds: int = 7) -> float:
    """The least CPU time of some rounds, ms."""
    work()
    least = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return least * 1e3


def importing(module: str) -> float:
    """CPU ms to import a module into a process that has loaded what else the analysis needs."""
    code = (
        "import time, numpy, av, numba, soxr, pydantic; b = time.process_time(); "
        f"import {module}; print((time.process_time() - b) * 1e3)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def difference(ours: Any, theirs: Any) -> str:
    """How far results differ at most, as a share of the largest value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        return f"{ours.shape} and {theirs.shape}"
    if np.array_equal(ours, theirs):
        return "none"
    return f"{np.abs(ours - theirs).max() / np.abs(ours).max():.0e}"


def row(what: str, ours: Callable[[], Any], theirs: Callable[[], Any], *, why: str) -> None:
    """Measure both and print a line."""
    mine, other = cpu(ours), cpu(theirs)
    print(f"{what:<44} {mine:>8.2f} {other:>8.2f} {mine / other:>6.2f}  {difference(ours(), theirs()):<18} {why}")


def main() -> None:
    import librosa
    import scipy.fft
    import scipy.ndimage
    import scipy.signal

    rng = np.random.Generator(np.random.Philox(1))
    sound = rng.uniform(-0.5, 0.5, SECONDS * SONG_RATE).astype(np.float32)
    short = soxr.resample(sound, SONG_RATE, RATE)
    rows = rng.uniform(0, 1, (520, 64)).astype(np.float32)
    curve = rng.uniform(0, 1, 15_500).astype(np.float32)
    windows = sliding_window_view(short, WINDOW)[: 256 * HOP : HOP] * np.hanning(WINDOW).astype(np.float32)
    print(f"{'ms of CPU':<44} {'ours':>8} {'theirs':>8} {'ratio':>6}  {'difference':<18}")

    row(
        "medians: kernel, scipy.ndimage",
        lambda: medians(rows, 17, outside="reflect"),
        lambda: scipy.ndimage.median_filter(rows, (1, 17), mode="mirror"),
        why="faster; scipy.ndimage's import",
    )
    row(
        "short transforms: numpy.fft, scipy.fft",
        lambda: np.fft.rfft(windows, axis=1),
        lambda: scipy.fft.rfft(windows, axis=1),
        why="other bits, so other frames; 0.2 s of 0.6 a song",
    )
    frequencies = np.fft.rfftfreq(1 << 16, 1 / SONG_RATE)
    sos = k_weighting(SONG_RATE)

    def by_scipy() -> Any:
        return scipy.signal.sosfreqz(sos, frequencies, fs=SONG_RATE)[1].astype(np.complex64)

    row(
        "K-weighting: response",
        lambda: weighting(frequencies, SONG_RATE),
        by_scipy,
        why="the same; scipy.signal's import",
    )

    def measured() -> Any:
        meters = Meters(rate=SONG_RATE, layout="mono", hop=HOP / RATE)
        for first in range(0, len(sound), 4096):
            meters.take(sound[None, first : first + 4096])
        return meters.finish().loudness[:, 0]

    def filtered() -> Any:
        weighted = scipy.signal.sosfilt(sos, sound.astype(np.float64))
        return (weighted**2).reshape(-1, SONG_RATE // 10).mean(axis=1).astype(np.float32)

    row(
        "K-weighting: mean squares (ours: air, stereo too)",
        measured,
        filtered,
        why="importing scipy.signal takes what two songs save",
    )
    rise = Rise(curve, curve, curve)
    row(
        "onsets: peaks",
        lambda: pick_onsets(rise)[0],
        lambda: scipy.signal.find_peaks(curve, distance=4, prominence=0.3)[0],
        why="ours compares with medians; F-measure: bench/listening.py",
    )
    row(
        "loudest of three bands: slices, maximum_filter1d",
        lambda: loudest(rows),
        lambda: scipy.ndimage.maximum_filter1d(rows, 3, axis=1),
        why="faster",
    )
    row(
        "windows: numpy.hanning, scipy.signal",
        lambda: np.hanning(WINDOW + 1)[:-1].astype(np.float32),
        lambda: scipy.signal.windows.hann(WINDOW, sym=False).astype(np.float32),
        why="the same; scipy.signal's import",
    )
    row(
        "resampling: soxr, scipy.signal.resample_poly",
        lambda: soxr.resample(sound, SONG_RATE, RATE),
        lambda: scipy.signal.resample_poly(sound, 1, 2),
        why="streams; any ratio",
    )
    row(
        "onset envelope: mel flux, librosa",
        lambda: np.maximum(np.diff(np.log1p(rows), axis=0), 0).mean(axis=1),
        lambda: librosa.onset.onset_strength(S=np.log1p(rows.T))[1:],
        why="ours is SuperFlux, whitened; librosa's import",
    )
    for module in ("scipy.ndimage", "scipy.fft", "scipy.signal", "librosa.onset"):
        print(f"import {module:<37} {importing(module):>8.0f}")


def loudest(rows: Any) -> Any:
    """As onsets do: the loudest of each band and its neighbours."""
    widest = rows.copy()
    widest[:, 1:] = np.maximum(widest[:, 1:], rows[:, :-1])
    widest[:, :-1] = np.maximum(widest[:, :-1], rows[:, 1:])
    return widest


def k_weighting(rate: int) -> Any:
    """The two filters of BS.1770 as second-order sections, from the constants of ecs_core/audio/loudness.py."""
    k, q = np.tan(np.pi * 1681.974450955533 / rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    shelf = [high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]
    shelf = [*(b / a0 for b in shelf), 1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
    k, q = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    a0 = 1 + k / q + k * k
    return np.array([shelf, [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]])


if __name__ == "__main__":
    main()
